import type { PlatformAdapter } from '../platform.js';
/** How frames travel; see IMOptions.transport. */
export type TransportName = 'websocket' | 'sse' | 'poll';
/** One transport connection: frames, nothing else. */
export interface Conn {
    /** What is sent now waits for what is under way: better sent together with what comes meanwhile. */
    readonly busy?: boolean;
    /** Sends a frame, the first one with session.open. Throws where it cannot any more. */
    send(frame: string): void;
    /** Ends it. No event follows. */
    close(): void;
}
/** What a connection tells; nothing before dialing has returned. */
export interface ConnEvents {
    /** The first frame may be sent. */
    opened(): void;
    /** A frame came on the way of the events. Without one: a sign of life. */
    received(frame?: string): void;
    /** A frame came on another way: it does not tell that events would come. */
    answered(frame: string): void;
    /** It is not busy any more. */
    idle(): void;
    /** It ended: a close code of the protocol or of WebSocket, 1006 where it just broke, 1013 where the server is busy. */
    closed(code: number, reason?: string, retryAfterMs?: number): void;
}
/** What it takes to connect. */
export interface Dialing {
    platform: PlatformAdapter;
    /** The URL of an endpoint. */
    url(path: 'ws' | 'events' | 'poll' | 'rpc'): string;
    /** The token of now, for what authenticates by itself. */
    token(): string | undefined;
}
export type Dial = (d: Dialing, e: ConnEvents) => Conn;
