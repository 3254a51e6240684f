import type { Dialing } from './conn.js';
/** What came of a plain request. */
export interface Reach {
    /** Our server answered. */
    ok: boolean;
    /** What answered, where anything did. */
    status?: number;
    rttMs: number;
    /** How long the server asks to be left alone. */
    retryAfterMs?: number;
    /** The server's clock, to the second, where a page may know it. */
    serverTime?: number;
}
/** Whether the server answers at all. It asks for nothing: a POST without a content type is refused with 415, by everything but a server of ours with something else. */
export declare function reach(d: Dialing): Promise<Reach>;
