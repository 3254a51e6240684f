import type { CancelResult, SendHandle } from './outbox.js';
import type { ListResult } from './protocol.js';
import { Timeline } from './timeline.js';
import type { Wait } from './wait.js';
/** Messages of conversations. */
export declare class MessagesApi {
    #private;
    /**
     * One page of messages, ascending by seq: the newest, or the one before a seq,
     * after it, or around it. It covers the seqs from to to: what is absent inside is gone.
     */
    history(page: {
        conversation: string;
        before?: number;
        after?: number;
        around?: number;
        limit?: number;
    } & Wait): Promise<ListResult>;
    /** The messages of a conversation, alive, with what is being sent. Close it when it is no longer shown. */
    timeline(conversation: string): Timeline;
    /**
     * Sends a message that failed again, under the same clientId: it is never
     * stored twice, unless it failed because it "expired". Look for it first then.
     */
    resend(clientId: string, wait?: Wait): SendHandle;
    /** Forgets a message that failed, or gives up one that is still to be sent, and tells what became of it. */
    cancel(clientId: string): CancelResult;
    /** The same as cancel, for whom what became of it does not matter. */
    discard(clientId: string): void;
}
