import { type Target } from './outbox.js';
import type { Conversation, Marker, OwnResult } from './protocol.js';
import type { Wait } from './wait.js';
/** The user's conversations. What is here is alive from the first sync on. */
export declare class ConversationsApi {
    #private;
    /** All of them, the one with the newest message first. */
    list(): Conversation[];
    /** Calls fn with the list now and after every change. Returns off. */
    watch(fn: (list: Conversation[]) => void, o?: {
        signal?: AbortSignal;
    }): () => void;
    /** The unread messages of all conversations. */
    get unread(): number;
    /** One conversation, as it is known here. */
    peek(conversation: string): Conversation | undefined;
    /** One conversation, from the server. */
    get(conversation: string, wait?: Wait): Promise<Conversation>;
    /** The conversation that a target means; a direct one is made if there is none yet. */
    open(to: Target, wait?: Wait): Promise<Conversation>;
    /** My own state of it: markers, mute, draft and the like. */
    own(conversation: string, wait?: Wait): Promise<OwnResult>;
    /** Marks everything up to seq as read; without one, everything that is known. */
    markRead(conversation: string, seq?: number, wait?: Wait): Promise<void>;
    /** How far the members have come. */
    markers(conversation: string, wait?: Wait): Promise<Marker[]>;
}
