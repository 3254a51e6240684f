import { fetchOf } from '../platform.js';
import { now } from '../wait.js';
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

const timeoutMs = 4_000;

/** Whether the server answers at all. It asks for nothing: a POST without a content type is refused with 415, by everything but a server of ours with something else. */
export async function reach(d: Dialing): Promise<Reach> {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), timeoutMs);
  const asked = now();
  try {
    const init = { method: 'POST', headers: {}, signal: stop.signal, cache: 'no-store' } as const;
    const { status, headers } = await fetchOf(d.platform)(d.url('rpc'), init);
    const reached: Reach = { ok: status === 415, status, rttMs: now() - asked };
    const retryAfterMs = Number(headers.get('Retry-After') ?? 0) * 1000;
    if (retryAfterMs > 0 && (status === 503 || status === 429)) reached.retryAfterMs = retryAfterMs;
    const serverTime = Date.parse(headers.get('Date') ?? '');
    if (serverTime) reached.serverTime = serverTime;
    return reached;
  } catch {
    return { ok: false, rttMs: now() - asked };
  } finally {
    clearTimeout(timer);
  }
}
