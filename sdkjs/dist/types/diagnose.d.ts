import type { Session, State } from './connection.js';
import type { IMError, Reason } from './errors.js';
import type { Limits } from './protocol.js';
import type { TransportName } from './transports/conn.js';
import { type Way } from './transports/probe.js';
/** How far this device's clock is from the server's: numbers for a text of one's own, and one in English. */
export interface ClockWords {
    /** "right" is within two seconds, which nobody notices. */
    direction: 'ahead' | 'behind' | 'right';
    days: number;
    hours: number;
    minutes: number;
    seconds: number;
    /** "your clock is 3 h 2 min ahead". */
    text: string;
}
/** What the server's answers tell of the credentials. Nobody looks into a token. */
export interface TokenDiagnosis {
    /**
     * - absent: there is none, and no getToken; the host's cookie may count.
     * - unknown: the server has not seen it yet.
     * - valid: a session was opened with it.
     * - expired: it was good once.
     * - refused: the server does not take it; reason and message say why.
     */
    state: 'absent' | 'unknown' | 'valid' | 'expired' | 'refused';
    /** Until when it is valid, by the server's clock, in milliseconds since the epoch. */
    validUntil?: number;
    /** How long that still is. */
    leftMs?: number;
    reason?: Reason;
    message?: string;
}
/** Answers to the questions of support: is there a way to the server, is the clock right, is the token good, what may be sent. */
export interface Diagnosis {
    state: State;
    /** What carries the session, where there is one. */
    transport: TransportName | null;
    /** False only where the browser is certain that there is no network. */
    isOnline: boolean;
    /** Whether the server answers a plain request. */
    server: Way;
    /** Whether the server answers over each transport; the round trip is that of the answer, once connected. */
    transports: Record<TransportName, Way>;
    /** Null where nothing told the server's time. */
    clock: (ClockWords & {
        offsetMs: number;
    }) | null;
    token: TokenDiagnosis;
    /** What the server accepts; null before the first session. */
    limits: Limits | null;
    /** Why there is no session. */
    error?: IMError;
}
/** What a client knows of itself. */
export interface Known {
    state: State;
    transport: TransportName | null;
    isOnline: boolean;
    session: Session | null;
    clockOffsetMs: number | undefined;
    /** Whether there is a way to get a token, or one. */
    hasToken: boolean;
    error: IMError | undefined;
    /** The round trip on the session, where there is one. */
    rttMs: number | undefined;
}
/** Puts the server's clock minus ours into words: its two largest units. */
export declare function clockWords(offsetMs: number): ClockWords;
