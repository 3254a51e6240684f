import { type ResponseLike } from '../platform.js';
import type { Conn, ConnEvents, Dialing } from './conn.js';
/** What came back of a request. */
export interface Reply {
    status: number;
    text: string;
    retryAfterMs: number;
}
/** What the kinds of connections without a socket share: requests go by POST, answers come in its body. */
export declare abstract class Posting implements Conn {
    #private;
    protected readonly dialing: Dialing;
    protected readonly events: ConnEvents;
    busy: boolean;
    /** The id of the session, once the server has told it. */
    protected session: string;
    protected readonly ended: AbortController;
    constructor(dialing: Dialing, events: ConnEvents);
    protected get isOver(): boolean;
    /** Opens the session with the first frame, and keeps the way of the events open from then on. */
    protected abstract run(frame: string): Promise<void>;
    send(frame: string): void;
    close(): void;
    /** It broke, or the server ended it. */
    protected end(code: number, reason?: string, retryAfterMs?: number): void;
    /** The server did not answer with what was wanted: what that means for the connection. */
    protected refused({ status, text, retryAfterMs }: Reply): void;
    /** What came on the way of the events; nothing is a sign of life. */
    protected came(...frames: string[]): void;
    protected fetch(path: 'events' | 'poll' | 'rpc', o: {
        body?: string;
        query?: string;
        signal?: AbortSignal;
        keepalive?: boolean;
    }): Promise<ResponseLike>;
    /** One request with its whole answer; it rejects where none comes in time. */
    protected request(path: 'poll' | 'rpc', o: {
        body?: string;
        query?: string;
        timeoutMs?: number;
    }): Promise<Reply>;
    /** Waits, or until it ended. */
    protected pause(ms: number): Promise<void>;
}
