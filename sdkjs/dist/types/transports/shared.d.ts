import type { OpenResult } from '../protocol.js';
import type { Dial, TransportName } from './conn.js';
/** What tabs say to each other. Everybody hears everything. */
export interface Said {
    /**
     * From a follower: "hello" begins a connection, "ping" wants a sign of life,
     * "frame" is for the server, "wake" the page may have slept.
     * From the leader: "alive", "up" its own connection is there, "down" it is
     * not, "frame" from the server, "lead" it is the leader now,
     * "freeze" it will be silent.
     * From anyone: "logout".
     */
    kind: 'hello' | 'ping' | 'wake' | 'alive' | 'up' | 'down' | 'frame' | 'lead' | 'freeze' | 'logout';
    /** The tab. */
    from: string;
    /** The follower's connection that it is of or for; absent: for all. */
    conn?: string | undefined;
    /** It is not for this one. */
    not?: string | undefined;
    /** The leader's connection. */
    link?: string | undefined;
    frame?: string;
    /** When a follower said it, in milliseconds since the epoch. */
    at?: number;
    transport?: TransportName | null;
    /** Why it is down: a close code. */
    code?: number;
    reason?: string | undefined;
}
/** An error as the leader met it. */
export interface TabError {
    reason: string;
    message: string;
    retryable: boolean;
    retryAfterMs?: number;
    detail?: object;
}
/** The tab, for what is shared. */
export interface TabHost {
    readonly id: string;
    readonly leads: boolean;
    /** The session of the tab's own connection, while it is online. */
    readonly session: OpenResult | null;
    readonly transport: TransportName | null;
    /** No attempt to connect is under way. */
    readonly rests: boolean;
    newId(): string;
    say(m: Omit<Said, 'from'>): void;
    isVisible(): boolean;
    serverTime(): number;
    /** Calls an operation on the tab's own connection. */
    call(op: string, params: object, timeoutMs: number, use: (result: unknown) => void): Promise<unknown>;
    /** An event, for the tab's own client. */
    notified(method: string, params: unknown): void;
    /** The page may have slept. */
    wake(): void;
    /** Becomes the leader, whoever is. */
    steal(): void;
}
/** The code of tabs that is needed when there are two. */
export interface Sharing {
    /** The leader's connection, for a follower. */
    readonly dial: Dial;
    /** What carries the leader's session. */
    readonly transport: TransportName | null;
    heard(m: Said): void;
    /** The tab leads now. */
    led(): void;
    /** The page may have slept. */
    woke(): void;
    /** The tab's own connection is there. */
    up(): void;
    down(code?: number, reason?: string): void;
    event(method: string, params: unknown): void;
    /** An operation was answered on the tab's own connection. */
    answered(op: string, params: object, result: unknown): void;
}
