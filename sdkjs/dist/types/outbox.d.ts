import { IMError } from './errors.js';
import type { Message, SendParams } from './protocol.js';
/**
 * What has become of a message of ours. "delivered" and "read" are told in
 * direct conversations, while this client runs.
 */
export type SendStatus = 'queued' | 'sending' | 'sent' | 'delivered' | 'read' | 'failed' | 'cancelled';
/**
 * What became of giving a message up. "cancelled": it never left and never
 * will. "unknown": it was on its way already; it is not sent again, but may have
 * arrived, and is then a message like any other. "sent": the server has it.
 */
export type CancelResult = 'cancelled' | 'unknown' | 'sent';
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
    /** Gives up: see messages.cancel. */
    cancel(): CancelResult;
}
/**
 * A message as it is stored until the server has it. Exported, so that the build
 * leaves its names alone: other builds read it. It may get more, blobs as well.
 */
export interface OutboxRow {
    v: typeof version;
    clientId: string;
    params: SendParams;
    time: number;
    /** Its place among the others of its conversation. */
    order: number;
    /** The client that sends it: exactly one does. */
    client: string;
    /** When it was on the wire first, if it ever was. */
    wired?: number;
    /** When it is given up. */
    until?: number;
    /** Why it failed. */
    failed?: {
        reason: string;
        message: string;
    };
}
declare const version = 1;
/** Where a message goes, as an application writes it: a bare string is a person. */
export type Target = string | {
    user: string;
} | {
    conversation: string;
};
export {};
