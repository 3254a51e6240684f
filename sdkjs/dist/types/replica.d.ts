import type { Conversation } from './protocol.js';
/** Messages that were left out because the client was too far behind. */
export interface Gap {
    conversation: string;
    /** The first and the last seq that onMessage was not called for. */
    from: number;
    to: number;
}
/** What a change of the list of conversations touched. */
export interface ConversationsChange {
    changed: Conversation[];
    /** The ids of those that are no longer mine. */
    removed: string[];
}
/** What is held of the conversations at one moment, newest first; without a cursor it is not all. */
export interface Saved {
    epoch: string;
    cursor: string;
    /** Of each what is known, and the rev up to which every change was applied. */
    conversations: Array<{
        view: Conversation;
        rev: number;
    }>;
}
