import { describe, expect, it, vi } from 'vitest';
import type { IMError, IMOptions } from './sdk.js';
import { Refusal } from './server.js';
import { world } from './setup.js';

const w = world();
const minute = 60_000;
const hour = 60 * minute;

/** A client whose tokens are numbered, and why each was asked for. */
async function renewing(o: Partial<IMOptions> = {}) {
  const why: string[] = [];
  const getToken = async (reason: string) => {
    why.push(reason);
    const token = `token ${why.length}`;
    w.server.tokens.set(token, 'me');
    return token;
  };
  const states: string[] = [];
  const errors: IMError[] = [];
  const c = w.client({ userToken: undefined as never, getToken, ...o });
  c.on('state', (e) => states.push(e.state));
  c.on('error', (e) => errors.push(e));
  void c.init();
  await w.pass(1000);
  return { c, why, states, errors };
}

const opens = () => w.server.requests.filter((r) => r.op === 'session.open').map((r) => r.params.token);

describe.each(['websocket', 'sse', 'poll'] as const)('credentials that end, over %s,', (transport) => {
  it('are renewed a minute before, on the open session', async () => {
    w.server.tokenLifeMs = hour;
    const { c, why, states } = await renewing({ transport });
    await w.pass(58 * minute);
    expect(why).toEqual(['initial']);
    await w.pass(minute);
    expect(why).toEqual(['initial', 'expired']);
    expect(opens()).toEqual(['token 1', 'token 2']);
    await w.pass(10 * hour);
    expect(why.length).toBe(12); // every 59 minutes
    expect([c.state, states, w.server.connections]).toEqual([
      'online',
      ['connecting', 'syncing', 'online'],
      1,
    ]);
  });
});

describe('renewal', () => {
  it.each([-26 * hour, 26 * hour])('goes by the server alone: its clock is %i ms ahead', async (ms) => {
    w.server.clockAheadMs = ms;
    w.server.tokenLifeMs = hour;
    const { why } = await renewing();
    vi.setSystemTime(Date.now() - ms / 2);
    await w.pass(58 * minute);
    expect(why).toEqual(['initial']);
    await w.pass(minute);
    expect(why).toEqual(['initial', 'expired']);
  });

  it('comes in time for credentials that are short-lived, and makes no storm of those that are over', async () => {
    w.server.tokenLifeMs = 30_000;
    const short = await renewing();
    await w.pass(5 * minute);
    expect(short.why.length).toBeGreaterThanOrEqual(12);
    expect(short.why.length).toBeLessThanOrEqual(14);
    await short.c.close();
    w.server.tokenLifeMs = 1;
    const over = await renewing();
    await w.pass(minute);
    expect(over.why.length).toBeLessThan(15);
  });

  it('waits longer than a timer can', async () => {
    w.server.tokenLifeMs = 400 * 24 * hour;
    const { why } = await renewing();
    await w.pass(24 * hour);
    expect(why).toEqual(['initial']);
  });

  it('that fails is told, and tried again when the server asks', async () => {
    w.server.tokenLifeMs = hour;
    const { c, why, errors } = await renewing();
    w.server.intercept = (op) => {
      if (op === 'session.open') throw new Refusal('unauthenticated');
    };
    await w.pass(hour);
    expect([errors.map((e) => e.reason), c.state]).toEqual([['unauthenticated'], 'online']);
    w.server.intercept = () => undefined;
    for (const s of w.server.sessions) s.notify('reauth', { graceMs: 25_000 });
    await w.pass(1000);
    expect([why.length, c.state, w.server.connections]).toEqual([3, 'online', 1]);
  });

  it('does not happen without getToken', async () => {
    w.server.tokenLifeMs = hour;
    const c = w.client();
    void c.init();
    await w.pass(2 * hour);
    expect(opens()).toEqual(['USER_TOKEN']);
  });

  it('ends with the client', async () => {
    w.server.tokenLifeMs = hour;
    const { c, why } = await renewing();
    await c.close();
    await w.pass(2 * hour);
    expect(why.length).toBe(1);
  });

  it('asks once, however many want a token', async () => {
    w.server.tokenLifeMs = hour;
    const answers: Array<(t: string) => void> = [];
    const getToken = () => new Promise<string>((token) => answers.push(token));
    const c = w.client({ getToken });
    void c.init();
    await w.pass(59 * minute);
    for (const s of w.server.sessions) s.notify('reauth', { graceMs: 25_000 });
    await w.pass(1000);
    expect(answers.length).toBe(1);
    answers[0]?.('USER_TOKEN');
    await w.pass(100);
    expect(c.state).toBe('online');
  });
});

describe('refused credentials', () => {
  it('are the end after three refusals, until init', async () => {
    w.server.intercept = (op) => {
      if (op === 'session.open') throw new Refusal('unauthenticated');
    };
    const { c, why } = await renewing();
    await w.pass(10 * minute);
    expect([c.state, why]).toEqual(['unauthorized', ['initial', 'rejected', 'rejected']]);
    await w.pass(hour);
    expect(opens().length).toBe(3);
    w.server.intercept = () => undefined;
    void c.init();
    await w.pass(1000);
    expect(c.state).toBe('online');
  });

  it('are refused three times over every transport', async () => {
    for (const transport of ['sse', 'poll'] as const) {
      w.server.intercept = (op) => {
        if (op === 'session.open') throw new Refusal('token_expired');
      };
      const before = opens().length;
      const { c, why } = await renewing({ transport });
      await w.pass(10 * minute);
      expect([c.state, why]).toEqual(['unauthorized', ['initial', 'expired', 'expired']]);
      expect(opens().length - before).toBe(3);
    }
  });
});

describe('init and close', () => {
  it('in one breath and any number are one connection, as StrictMode and two components make them', async () => {
    const c = w.client();
    const first = c.init();
    void c.close();
    const second = c.init();
    const third = c.init();
    await w.pass();
    expect([w.server.connections, c.state]).toEqual([1, 'online']);
    for (const p of [first, second, third]) expect((await p).user).toBe('me');
    await c.close();
    await w.pass();
    expect(c.state).toBe('online');
    await c.close();
    expect(c.state).toBe('closed');
    await c.close();
    void c.init();
    await w.pass();
    expect([w.server.connections, c.state]).toEqual([2, 'online']);
  });
});

describe('the clock', () => {
  it('is read from the fastest answer', async () => {
    w.server.clockAheadMs = 5_000;
    w.server.latencyMs = 10;
    const c = w.client();
    void c.init();
    await w.pass(1000);
    expect(c.clockOffsetMs).toBe(5_000);
    w.server.latencyMs = 1;
    w.server.intercept = (op) => {
      if (op !== 'ping') return undefined;
      const serverTime = w.server.now();
      return new Promise((done) => setTimeout(() => done({ serverTime }), 900)); // 450 ms off
    };
    await w.pass(minute);
    expect(w.server.count('ping')).toBeGreaterThan(0);
    expect(c.clockOffsetMs).toBe(5_000);
    w.server.intercept = () => undefined;
    w.server.clockAheadMs = 5_003; // drifted: a faster answer knows
    await w.pass(minute);
    expect(c.clockOffsetMs).toBe(5_003);
  });

  it('is read anew when one of the two was set', async () => {
    const c = w.client();
    void c.init();
    await w.pass(1000);
    vi.setSystemTime(Date.now() - hour);
    w.server.latencyMs = 200;
    w.server.clockAheadMs = hour;
    await w.pass(minute);
    expect(c.clockOffsetMs).toBe(hour);
  });
});

describe('synchronising', () => {
  it('tells how far it has come', async () => {
    w.server.syncPage = 20;
    for (let i = 0; i < 50; i++) w.server.create(`g_${i}`, 'group', ['me', 'bob']);
    const c = w.client();
    const told: unknown[] = [];
    c.on('syncing', (p) => told.push([c.state, p]));
    void c.init();
    await w.pass(1000);
    expect(told).toEqual([
      ['syncing', { pages: 1, rows: 20, done: false }],
      ['syncing', { pages: 2, rows: 40, done: false }],
      ['syncing', { pages: 3, rows: 50, done: true }],
    ]);
    await w.pass(7 * minute);
    expect(told.at(-1)).toEqual(['online', { pages: 1, rows: 0, done: true }]);
  });
});
