import { describe, expect, it, vi } from 'vitest';
import { clockWords } from '../src/fallbacks.js';
import type { Diagnosis, IMClient, IMOptions, PlatformAdapter } from './sdk.js';
import { Refusal } from './server.js';
import { world } from './setup.js';

const w = world();
const hour = 3_600_000;

async function online(o: Partial<IMOptions> = {}, p: PlatformAdapter = {}) {
  const c = w.client(o, p);
  void c.init();
  await w.pass(1000);
  return c;
}

async function diagnosis(c: IMClient, ms = 8_000): Promise<Diagnosis> {
  const [d] = await Promise.all([c.diagnose(), w.pass(ms)]);
  return d;
}

describe('diagnose', () => {
  it('tells of a client for which all is well', async () => {
    w.server.latencyMs = 40;
    const c = await online();
    const d = await diagnosis(c);
    expect(d).toMatchObject({
      ...{ state: 'online', transport: 'websocket', isOnline: true, server: { ok: true, rttMs: 80 } },
      transports: {
        websocket: { ok: true, rttMs: 80 },
        sse: { ok: true },
        poll: { ok: true, rttMs: 80 },
      },
      clock: { offsetMs: 0, direction: 'right', text: 'your clock is right' },
      token: { state: 'valid' },
      limits: { contentBytes: 65536, frameBytes: 262144 },
    });
    expect(d.error).toBeUndefined();
  });

  it('opens no session and disturbs none, on any transport', async () => {
    for (const transport of ['websocket', 'sse', 'poll'] as const) {
      const c = await online({ transport });
      const [session] = w.server.sessions;
      const opened = w.server.count('session.open');
      await diagnosis(c);
      expect([...w.server.sessions]).toEqual([session]);
      const asked = w.server.requests.filter((r) => r.op === 'session.open').slice(opened);
      expect(asked.every((r) => r.params.appId === '' && r.params.token === undefined)).toBe(true);
      expect(c.state).toBe('online');
      await c.close();
      await w.pass();
    }
  });

  it('tells what is blocked, on a client that was never started', async () => {
    w.server.blocked.add('websocket').add('poll');
    const d = await diagnosis(w.client());
    expect(d).toMatchObject({
      ...{ state: 'idle', transport: null, server: { ok: true } },
      transports: {
        websocket: { ok: false, reason: 'blocked', detail: 'closed with 1006' },
        sse: { ok: true },
        poll: { ok: false, reason: 'blocked' },
      },
      ...{ token: { state: 'unknown' }, limits: null },
    });
  });

  it('tells that a proxy holds event streams back, and that a socket swallows', async () => {
    w.server.buffering = true;
    const { WebSocket } = w.server.platform();
    class Swallowing extends (WebSocket as NonNullable<typeof WebSocket>) {
      override send() {}
    }
    const d = await diagnosis(w.client({}, { WebSocket: Swallowing }));
    expect(d.transports).toMatchObject({
      websocket: { ok: false, reason: 'timeout' },
      sse: { ok: false, reason: 'blocked', detail: 'the event stream does not begin' },
      poll: { ok: true },
    });
  });

  it('tells that nothing is reached, and stays as long as it says', async () => {
    w.server.down = true;
    const d = await diagnosis(w.client({}, { isOnline: () => false }), 100);
    const unreachable = { ok: false, reason: 'unreachable' };
    expect(d).toMatchObject({
      ...{ isOnline: false, server: unreachable, clock: null },
      transports: { websocket: unreachable, sse: unreachable, poll: unreachable },
    });
  });

  it('tells that the server is busy, and that somebody else answers for it', async () => {
    w.server.http = () => ({ status: 503, headers: { 'Retry-After': '3' } });
    expect(await diagnosis(w.client())).toMatchObject({
      server: { ok: false, reason: 'busy', detail: 'HTTP 503' },
      transports: { sse: { reason: 'busy' }, poll: { reason: 'busy' } },
    });
    w.server.http = () => ({ status: 200, body: '<html>log in to the network</html>' });
    expect(await diagnosis(w.client())).toMatchObject({ server: { ok: false, reason: 'blocked' } });
    w.server.http = () => undefined;
  });

  it('takes any word of the server for a way to it', async () => {
    w.server.http = (path) => (path === 'events' ? { status: 401 } : undefined);
    expect((await diagnosis(w.client())).transports.sse).toMatchObject({ ok: true });
    w.server.http = () => undefined;
  });

  it('tells what is not there', async () => {
    vi.stubGlobal('WebSocket', undefined);
    const { WebSocket: _, ...platform } = w.server.platform();
    const d = await diagnosis(w.client({ platform }));
    expect(d.transports.websocket).toMatchObject({ ok: false, reason: 'unsupported' });
    vi.unstubAllGlobals();
  });

  it('tells how far the clock is off, to the millisecond once connected, by the second before', async () => {
    w.server.clockAheadMs = -(3 * hour + 2 * 60_000);
    const clock = { direction: 'ahead', hours: 3, minutes: 2, text: 'your clock is 3 h 2 min ahead' };
    const c = w.client();
    expect((await diagnosis(c)).clock).toMatchObject(clock);
    void c.init();
    await w.pass();
    expect((await diagnosis(c)).clock).toMatchObject({ offsetMs: -10_920_000, ...clock });
    expect(c.clockOffsetMs).toBe(-10_920_000);
  });

  it('tells of the clock that made the server refuse a token', async () => {
    w.server.clockAheadMs = 2 * hour;
    w.server.intercept = (op) => {
      if (op === 'session.open') throw new Refusal('clock_skew', { serverTime: w.server.now() });
    };
    const c = await online();
    await w.pass(10 * 60_000);
    const d = await diagnosis(c);
    expect(d).toMatchObject({
      state: 'unauthorized',
      token: { state: 'refused', reason: 'clock_skew' },
      clock: { offsetMs: 2 * hour, text: 'your clock is 2 h behind' },
      error: { reason: 'clock_skew' },
    });
  });

  it('tells until when the token is valid, by the clock of the server', async () => {
    w.server.clockAheadMs = 5 * hour;
    w.server.tokenLifeMs = hour;
    const c = await online();
    const { token } = await diagnosis(c);
    expect(token).toMatchObject({ state: 'valid', validUntil: 1_700_000_000_002 + 6 * hour });
    expect(token.leftMs).toBeGreaterThan(hour - 10_000);
    await w.pass(hour);
    expect((await diagnosis(c)).token.state).toBe('expired');
  });

  it('tells of a token that is refused, has expired, or is not there', async () => {
    const refused = await online({ userToken: 'wrong' });
    expect((await diagnosis(refused)).token).toMatchObject({ state: 'refused', reason: 'unauthenticated' });
    w.server.intercept = (op) => {
      if (op === 'session.open') throw new Refusal('token_expired');
    };
    const expired = await online();
    expect((await diagnosis(expired)).token).toMatchObject({ state: 'expired', reason: 'token_expired' });
    expect((await diagnosis(w.client({ userToken: undefined as never }))).token).toEqual({ state: 'absent' });
  });

  it('ends when its caller does not wait any longer', async () => {
    class WebSocket {
      send() {}
      close() {}
    }
    const c = w.client({}, { WebSocket: WebSocket as never });
    const late = expect(c.diagnose({ timeoutMs: 500 })).rejects.toMatchObject({ reason: 'timeout' });
    await w.pass(500);
    await late;
  });
});

describe('the words for a clock', () => {
  it.each([
    [0, 'your clock is right'],
    [-2_400, 'your clock is right'],
    [-3_000, 'your clock is 3 s ahead'],
    [65_000, 'your clock is 1 min 5 s behind'],
    [-60_000, 'your clock is 1 min ahead'],
    [-(3 * hour + 2 * 60_000 + 17_000), 'your clock is 3 h 2 min ahead'],
    [-(3 * hour + 17_000), 'your clock is 3 h ahead'],
    [49 * hour, 'your clock is 2 d 1 h behind'],
    [59_700, 'your clock is 1 min behind'],
  ])('of %i ms are: %s', (ms, text) => {
    expect(clockWords(ms).text).toBe(text);
  });

  it('come as numbers, too', () => {
    expect(clockWords(-(2 * 86_400_000 + 3 * hour + 4 * 60_000 + 5_000))).toEqual({
      ...{ direction: 'ahead', days: 2, hours: 3, minutes: 4, seconds: 5 },
      text: 'your clock is 2 d 3 h ahead',
    });
  });
});
