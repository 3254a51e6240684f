import type { AnyParams, TestServer } from './server.js';
/** A request as it came. */
export interface TestRequest {
    id: number;
    method: string;
    params: AnyParams;
}
/** What carries a session, at the server's end. */
export interface Carrier {
    readonly url: string;
    /** Sends a frame on the way of the events. */
    deliver(frame: string): void;
    /** Ends the connection. */
    closed(code: number, reason?: string): void;
    /** The session was opened. */
    opened?(): void;
}
/** The server's end of a session. */
export declare class TestSession {
    private readonly server;
    readonly socket: Carrier;
    /** Empty until the session was opened. */
    user: string;
    readonly id: string;
    /** Nothing arrives any more; see TestServer.stall. */
    stalled: boolean;
    /** Events that wait for the first sync's answer. */
    private held;
    constructor(server: TestServer, socket: Carrier);
    /** Sends an event, with whatever the server's fate for it is. */
    notify(method: string, params: unknown): void;
    private event;
    /** Takes a frame; the answers go back where the events go. */
    receive(frame: string): void;
    private answer;
    private open;
}
