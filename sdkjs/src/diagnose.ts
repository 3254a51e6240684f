import type { Session, State } from './connection.js';
import type { IMError, Reason } from './errors.js';
import type { Limits } from './protocol.js';
import type { Dialing, TransportName } from './transports/conn.js';
import { probe, type Way } from './transports/probe.js';

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
  clock: (ClockWords & { /** The server's clock minus ours. */ offsetMs: number }) | null;
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

/** @internal */
export async function diagnose(d: Dialing, known: Known): Promise<Diagnosis> {
  const { server, reached, transports } = await probe(d);
  const { state, transport, isOnline, session, error, rttMs } = known;
  if (transport && rttMs !== undefined) transports[transport] = { ok: true, rttMs: Math.round(rttMs) };
  const roughly = reached.serverTime && reached.serverTime - Date.now();
  const offsetMs = known.clockOffsetMs ?? roughly;
  const clock = offsetMs === undefined ? null : { offsetMs, ...clockWords(offsetMs) };
  const isOver = state !== 'online' && error;
  return {
    ...{ state, transport, isOnline, server, transports, clock },
    ...{ token: tokenOf(known), limits: session?.limits ?? null },
    ...(isOver ? { error } : {}),
  };
}

function tokenOf({ state, session, error, clockOffsetMs = 0, hasToken }: Known): TokenDiagnosis {
  const reason = state === 'online' ? undefined : error?.reason;
  if (error && reason === 'token_expired') return { state: 'expired', reason, message: error.message };
  if (error && (reason === 'unauthenticated' || reason === 'clock_skew' || reason === 'conflict')) {
    return { state: 'refused', reason, message: error.message };
  }
  if (!session) return { state: hasToken ? 'unknown' : 'absent' };
  const { expiresAt } = session;
  if (!expiresAt) return { state: 'valid' };
  const leftMs = expiresAt - (Date.now() + clockOffsetMs);
  return { state: leftMs > 0 ? 'valid' : 'expired', validUntil: expiresAt, leftMs: Math.max(0, leftMs) };
}

/** Puts the server's clock minus ours into words: its two largest units. */
export function clockWords(offsetMs: number): ClockWords {
  let rest = Math.round(Math.abs(offsetMs) / 1000);
  const direction = rest <= 2 ? 'right' : offsetMs < 0 ? 'ahead' : 'behind';
  const take = (unit: number) => {
    const n = Math.floor(rest / unit);
    rest -= n * unit;
    return n;
  };
  const [days, hours, minutes, seconds] = [take(86_400), take(3_600), take(60), rest] as const;
  const units = [`${days} d`, `${hours} h`, `${minutes} min`, `${seconds} s`];
  const first = units.findIndex((u) => !u.startsWith('0 '));
  const named = units.slice(first, first + 2).filter((u) => !u.startsWith('0 '));
  const text =
    direction === 'right' ? 'your clock is right' : `your clock is ${named.join(' ')} ${direction}`;
  return { direction, days, hours, minutes, seconds, text };
}
