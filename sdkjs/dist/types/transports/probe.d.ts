import type { Dialing, TransportName } from './conn.js';
import { type Reach } from './reach.js';
/**
 * What came of trying a way to the server.
 *
 * - unsupported: there is no WebSocket here, or no fetch.
 * - unreachable: the server does not answer a plain request either: no network, or no server.
 * - blocked: the server answers, but not this way: something in between does not let it pass.
 * - timeout: it opened, and nothing came: something in between holds it back, or the network is very slow.
 * - busy: the server asks to come later.
 */
export type Way = {
    ok: true;
    rttMs: number;
} | {
    ok: false;
    reason: 'unsupported' | 'unreachable' | 'blocked' | 'timeout' | 'busy';
    /** What was seen: "closed with 1006", "HTTP 403". For a log, not for a user. */
    detail?: string;
};
/** Tries all ways to the server. It opens no session. */
export declare function probe(d: Dialing): Promise<{
    server: Way;
    reached: Reach;
    transports: Record<TransportName, Way>;
}>;
