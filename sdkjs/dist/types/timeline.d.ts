import type { IMError } from './errors.js';
import type { Outgoing } from './outbox.js';
import type { Message } from './protocol.js';
import type { Wait } from './wait.js';
/** Seqs that are not loaded, both ends included. */
export interface GapItem {
    type: 'gap';
    key: string;
    from: number;
    to: number;
}
/** What a timeline shows, oldest first. key stays the same while a message is sent and acknowledged. */
export type TimelineItem = {
    type: 'message';
    key: string;
    message: Message;
} | GapItem | {
    type: 'outgoing';
    key: string;
    outgoing: Outgoing;
};
/**
 * The messages of one conversation, in order and alive: new ones, new states of
 * old ones, and what is being sent. It starts with the newest page. What is not
 * loaded between two parts that are is an item of its own, never a silent hole.
 */
export declare class Timeline {
    #private;
    readonly conversation: string;
    /** The newest page could not be loaded; null: it could, or is on its way. */
    error: IMError | null;
    /** The newest page is here. */
    loaded: boolean;
    /** Whatever is being loaded right now. */
    loading: boolean;
    /** What to show. A new array after every change, the same one between changes. */
    get items(): readonly TimelineItem[];
    /** There are older messages than the first item. */
    get hasOlder(): boolean;
    /** Calls fn after every change, once for all changes of one moment. Returns off. */
    subscribe(fn: (items: readonly TimelineItem[]) => void): () => void;
    /** Loads the page before the first item. Calls at the same time share it. */
    loadOlder(wait?: Wait & {
        limit?: number;
    }): Promise<void>;
    /** Loads a page into a gap, from its newer end. */
    fill(gap: {
        to: number;
    }, wait?: Wait & {
        limit?: number;
    }): Promise<void>;
    /** Ends it: no more changes, nothing is kept. */
    close(): void;
}
