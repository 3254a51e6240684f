import { IMError } from './errors.js';
import type { Message, SendParams } from './protocol.js';
/** What has become of a message of ours. */
export type SendStatus = 'queued' | 'sending' | 'sent' | 'failed' | 'cancelled';
/** A message on its way. Plain data, replaced as a whole when it changes. */
export interface Outgoing {
    readonly clientId: string;
    readonly status: SendStatus;
    readonly params: SendParams;
    /** When sendMessage was called, by the client's clock. */
    readonly time: number;
    /** Why it failed. */
    readonly error?: IMError | undefined;
}
/** A message that is being sent: await it for the stored message, or for the error. */
export interface SendHandle extends PromiseLike<Message> {
    /** The message's idempotency key: it finds the message in a timeline, and for resend. */
    readonly clientId: string;
    readonly status: SendStatus;
    /** Gives up. What was under way may arrive all the same. */
    cancel(): void;
}
/** Where a message goes, as an application writes it: a bare string is a person. */
export type Target = string | {
    user: string;
} | {
    conversation: string;
};
