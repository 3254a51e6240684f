import { now } from '../wait.js';
import type { Dial, Dialing, TransportName } from './conn.js';
import { poll } from './poll.js';
import { type Reach, reach } from './reach.js';
import { sse } from './sse.js';
import { websocket } from './websocket.js';

/**
 * What came of trying a way to the server.
 *
 * - unsupported: there is no WebSocket here, or no fetch.
 * - unreachable: the server does not answer a plain request either: no network, or no server.
 * - blocked: the server answers, but not this way: something in between does not let it pass.
 * - timeout: it opened, and nothing came: something in between holds it back, or the network is very slow.
 * - busy: the server asks to come later.
 */
export type Way =
  | { ok: true; rttMs: number }
  | {
      ok: false;
      reason: 'unsupported' | 'unreachable' | 'blocked' | 'timeout' | 'busy';
      /** What was seen: "closed with 1006", "HTTP 403". For a log, not for a user. */
      detail?: string;
    };

const dials: Record<TransportName, Dial> = { websocket, sse, poll };
const timeoutMs = 6_000;
/** The server refuses it before it looks at any credentials, and makes no session. */
const question =
  '{"jsonrpc":"2.0","id":1,"method":"session.open","params":{"appId":"","device":"diagnosis"}}';

/** Tries all ways to the server. It opens no session. */
export async function probe(
  d: Dialing,
): Promise<{ server: Way; reached: Reach; transports: Record<TransportName, Way> }> {
  const names: TransportName[] = ['websocket', 'sse', 'poll'];
  const [reached, ...ways] = await Promise.all([
    reach(d),
    ...names.map((name) => tryTransport(d, dials[name])),
  ]);
  const someWay = reached.ok || ways.some((w) => w.ok);
  const transports = {} as Record<TransportName, Way>;
  ways.forEach((way, i) => {
    const blocked = !way.ok && way.reason === 'blocked' && !someWay;
    transports[names[i] as TransportName] = blocked ? { ...way, reason: 'unreachable' } : way;
  });
  return { server: wayOf(reached), reached, transports };
}

function wayOf({ ok, rttMs, status, retryAfterMs }: Reach): Way {
  if (ok) return { ok, rttMs: Math.round(rttMs) };
  if (!status) return { ok, reason: 'unreachable' };
  return { ok, reason: retryAfterMs ? 'busy' : 'blocked', detail: `HTTP ${status}` };
}

/** Whether a question is answered over a transport, whatever the answer. */
function tryTransport(d: Dialing, dial: Dial): Promise<Way> {
  return new Promise((resolve) => {
    let asked = 0;
    const settle = (way: Way) => {
      clearTimeout(timer);
      resolve(way);
      conn?.close();
    };
    const answered = (frame?: string) => {
      if (frame) settle({ ok: true, rttMs: Math.round(now() - asked) });
    };
    const timer = setTimeout(() => settle({ ok: false, reason: asked ? 'timeout' : 'blocked' }), timeoutMs);
    let conn: ReturnType<Dial> | undefined;
    try {
      conn = dial(d, {
        opened: () => {
          asked = now();
          conn?.send(question);
        },
        received: answered,
        answered,
        idle: () => {},
        closed: (code, reason) => {
          const detail = reason || `closed with ${code}`;
          if (code >= 4000) answered('its own close');
          else settle({ ok: false, reason: code === 1013 ? 'busy' : 'blocked', detail });
        },
      });
    } catch (e) {
      settle({ ok: false, reason: 'unsupported', detail: (e as Error).message });
    }
  });
}
