import { describe, expect, it, vi } from 'vitest';
import { EventParser } from '../src/transports/events.js';
import type { IMClient, IMError, IMOptions, Message, PlatformAdapter, State, StateChange } from './sdk.js';
import { Refusal } from './server.js';
import { text, world } from './setup.js';

const w = world();
const minute = 60_000;

/** A sessionStorage. */
function memory() {
  const kept = new Map<string, string>();
  return {
    kept,
    getItem: (k: string) => kept.get(k) ?? null,
    setItem: (k: string, v: string) => kept.set(k, v),
  };
}

async function online(o: Partial<IMOptions> = {}, p: PlatformAdapter = {}) {
  const c = w.client({ ...o }, p);
  const states: State[] = [];
  const changes: StateChange[] = [];
  c.on('state', (e) => {
    states.push(e.state);
    changes.push(e);
  });
  void c.init();
  await w.pass(5_000);
  return { c, states, changes };
}

const down = (yes: boolean) => {
  w.server.down = yes;
};

describe('the transport', () => {
  it('is WebSocket, and nothing else is asked for, where that works', async () => {
    const { c } = await online();
    expect([c.transport, c.state, w.server.hits]).toEqual(['websocket', 'online', {}]);
  });

  it('is null before a session was opened, and told by an event when it changes', async () => {
    const c = w.client();
    const told: string[] = [];
    c.on('transport', (name) => told.push(name));
    expect(c.transport).toBeNull();
    void c.init();
    await w.pass();
    w.server.cut();
    await w.pass(1000);
    expect(told).toEqual(['websocket']);
    w.server.blocked.add('websocket');
    w.server.cut();
    await w.pass(1000);
    expect(told).toEqual(['websocket', 'sse']);
    expect(c.transport).toBe('sse');
  });

  it('is an event stream where WebSocket is blocked, after two tries and without waiting', async () => {
    w.server.blocked.add('websocket');
    const c = w.client();
    void c.init();
    await w.pass(50);
    expect([c.transport, c.state]).toEqual(['sse', 'online']);
    expect(w.server.connections).toBe(3);
  });

  it('is an event stream where WebSocket hangs, within 15 s', async () => {
    class WebSocket {
      send() {}
      close() {}
    }
    const c = w.client({}, { WebSocket: WebSocket as never });
    void c.init();
    await w.pass(15_000);
    expect([c.transport, c.state]).toEqual(['sse', 'online']);
  });

  it('is an event stream where something takes WebSockets and swallows what they carry', async () => {
    const { WebSocket } = w.server.platform();
    class Swallowing extends (WebSocket as NonNullable<typeof WebSocket>) {
      override send() {}
    }
    const c = w.client({}, { WebSocket: Swallowing });
    void c.init();
    await w.pass(31_000);
    expect([c.transport, c.state]).toEqual(['sse', 'online']);
  });

  it('is an event stream where there is no WebSocket', async () => {
    const { WebSocket, ...rest } = w.server.platform();
    vi.stubGlobal('WebSocket', undefined);
    const c = w.client({ platform: rest });
    void c.init();
    await w.pass(1000);
    expect([c.transport, c.state]).toEqual(['sse', 'online']);
    vi.unstubAllGlobals();
  });

  it('is long poll where event streams are blocked, too', async () => {
    w.server.blocked.add('websocket').add('sse');
    const { c } = await online();
    expect([c.transport, c.state]).toEqual(['poll', 'online']);
  });

  it('is long poll where a proxy holds event streams back', async () => {
    w.server.blocked.add('websocket');
    w.server.buffering = true;
    const c = w.client();
    void c.init();
    await w.pass(3_900);
    expect(c.state).toBe('connecting');
    await w.pass(200);
    expect([c.transport, c.state]).toEqual(['poll', 'online']);
  });

  it('is long poll where the answer to a stream is a page of somebody else', async () => {
    w.server.blocked.add('websocket');
    w.server.http = (path) => (path === 'events' ? { status: 200, body: '<html>' } : undefined);
    const { c } = await online();
    expect(c.transport).toBe('poll');
  });

  it('stays WebSocket while there is no network, however long', async () => {
    const storage = memory();
    down(true);
    const { c } = await online({}, { sessionStorage: storage });
    await w.pass(5 * minute);
    expect(c.state).toBe('waiting');
    down(false);
    await w.pass(minute / 2);
    expect([c.transport, c.state, w.server.hits.events, storage.kept.size]).toEqual([
      'websocket',
      'online',
      undefined,
      0,
    ]);
  });

  it.each([5, 7, 13, 29])('stays WebSocket over a network that comes and goes every %i ms', async (ms) => {
    const c = w.client();
    void c.init();
    for (let i = 0; i < 400; i++) {
      down(i % 2 === 0);
      if (i % 2 === 0) w.server.cut();
      await w.pass(ms);
    }
    down(false);
    await w.pass(minute);
    expect([c.transport, c.state]).toEqual(['websocket', 'online']);
  });

  it('stays WebSocket where a page of somebody else answers for the server', async () => {
    w.server.blocked.add('websocket');
    w.server.http = () => ({ status: 200, body: '<html>log in to the network</html>' });
    const { c } = await online();
    expect(c.state).toBe('waiting');
    w.server.blocked.clear();
    w.server.http = () => undefined;
    await w.pass(minute);
    expect(c.transport).toBe('websocket');
  });

  it('stays WebSocket when the server refuses, or closes with a code of its own', async () => {
    const { c } = await online({ userToken: 'wrong' });
    expect(c.state).toBe('unauthorized');
    w.server.intercept = (op) => {
      if (op === 'session.open') setTimeout(() => w.server.cut(4000), 1);
      return 'hang';
    };
    const second = await online();
    expect(second.c.transport).toBeNull();
    expect(w.server.hits).toEqual({});
  });

  it('leaves a server alone that says that it is busy', async () => {
    w.server.blocked.add('websocket');
    w.server.http = () => ({ status: 503, headers: { 'Retry-After': '20' } });
    const { c, changes } = await online();
    const attempts = w.server.connections;
    expect(changes.at(-1)).toMatchObject({
      state: 'waiting',
      error: { reason: 'unavailable', retryAfterMs: 20_000 },
    });
    await w.pass(14_000);
    expect(w.server.connections).toBe(attempts);
    w.server.http = () => undefined;
    await w.pass(3_000);
    expect(c.state).toBe('online');
  });

  it('makes no storm where the server is there and nothing opens', async () => {
    for (const name of ['websocket', 'sse', 'poll'] as const) w.server.blocked.add(name);
    await online();
    await w.pass(minute);
    const all = w.server.connections + Object.values(w.server.hits).reduce((a, b) => a + b, 0);
    expect(all).toBeLessThan(80); // 15 rounds of WebSocket twice, a question, a stream and a poll
  });

  it('is remembered for the session of the page', async () => {
    const sessionStorage = memory();
    w.server.blocked.add('websocket');
    const first = await online({}, { sessionStorage });
    await first.c.close();
    const before = w.server.connections;
    const second = w.client({}, { sessionStorage });
    void second.init();
    await w.pass(50);
    expect([second.transport, second.state, w.server.connections - before]).toEqual(['sse', 'online', 1]);
  });

  it.each(['sse', 'sse x', 'ftp 12', 'poll -1', 'sse 99999999999999', '{'])(
    'is WebSocket where %j is what is remembered',
    async (value) => {
      const sessionStorage = memory();
      sessionStorage.setItem('h5im.transport', value);
      const { c } = await online({}, { sessionStorage });
      expect(c.transport).toBe('websocket');
    },
  );

  it('is WebSocket again at the first connection after 5 minutes', async () => {
    const sessionStorage = memory();
    w.server.blocked.add('websocket');
    const { c } = await online({}, { sessionStorage });
    w.server.blocked.clear();
    await w.pass(4 * minute);
    w.server.cut();
    await w.pass(1000);
    expect(c.transport).toBe('sse');
    await w.pass(minute);
    w.server.cut();
    await w.pass(1000);
    expect(c.transport).toBe('websocket');
    const next = await online({}, { sessionStorage });
    expect(next.c.transport).toBe('websocket');
  });

  it('goes back at once to what worked where WebSocket still does not, and for 5 minutes more', async () => {
    w.server.blocked.add('websocket').add('sse');
    const { c } = await online();
    expect(c.transport).toBe('poll');
    await w.pass(6 * minute);
    const { events } = w.server.hits;
    for (const attempts of [2, 1]) {
      const before = w.server.connections;
      w.server.cut();
      await w.pass(1000);
      expect([c.transport, c.state, w.server.connections - before]).toEqual(['poll', 'online', attempts]);
    }
    expect(w.server.hits.events).toBe(events);
  });

  it('is what the application says, and nothing else', async () => {
    for (const transport of ['websocket', 'sse', 'poll'] as const) {
      const { c } = await online({ transport });
      expect([transport, c.transport, c.state]).toEqual([transport, transport, 'online']);
      w.server.blocked.add(transport);
      w.server.cut();
      await w.pass(minute);
      expect([transport, c.state]).toEqual([transport, 'waiting']);
      w.server.blocked.clear();
      await w.pass(minute);
      expect([c.transport, c.state]).toEqual([transport, 'online']);
      await c.close();
    }
  });
});

const lost = { sse: 'the event stream', poll: 'polls' };

describe.each(['websocket', 'sse', 'poll'] as const)('a client over %s', (transport) => {
  const start = (o: Partial<IMOptions> = {}, p: PlatformAdapter = {}) => online({ transport, ...o }, p);

  it('sends and receives, in order', async () => {
    const { c } = await start();
    const seen: string[] = [];
    c.onMessage((m) => seen.push(String(text(m))));
    const sent = Array.from({ length: 20 }, (_, i) => c.sendMessage({ to: 'bob', content: `mine ${i}` }));
    for (let i = 0; i < 50; i++) w.server.send('bob', { user: 'me' }, `his ${i}`);
    await w.pass(5000);
    expect(seen).toEqual(Array.from({ length: 50 }, (_, i) => `his ${i}`));
    const seqs = (await Promise.all(sent)).map((m) => m.seq);
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
    expect(w.server.chat('d_bob_me').messages.length).toBe(70);
  });

  it('stays online for an hour of silence on one connection', async () => {
    const { c, states } = await start();
    await w.pass(60 * minute);
    expect([states, w.server.connections]).toEqual([['connecting', 'syncing', 'online'], 1]);
    expect(c.state).toBe('online');
  });

  it('comes back after a broken connection, repeats what has no answer and stores it once', async () => {
    const { c } = await start();
    let hang = true;
    w.server.intercept = (op, p, s) => {
      if (op !== 'message.send' || !hang) return undefined;
      w.server.run(op, p, s);
      return 'hang';
    };
    const sent = c.sendMessage({ to: 'bob', content: 'x' });
    await w.pass();
    hang = false;
    w.server.send('bob', { user: 'me' }, 'meanwhile');
    w.server.cut();
    await w.pass(2000);
    expect((await sent).seq).toBe(1);
    expect(w.server.chat('d_bob_me').messages.map(text)).toEqual(['x', 'meanwhile']);
    expect([c.state, c.conversations.list()[0]?.unread]).toEqual(['online', 1]);
  });

  it('notices in 35 s that nothing arrives any more', async () => {
    const { c } = await start();
    w.server.stall();
    await w.pass(36_000);
    expect([c.state, w.server.connections]).toEqual(['online', 2]);
  });

  it('notices in 2 s of waking up that nothing arrives any more', async () => {
    let wake = () => {};
    const onWake = (fn: () => void) => {
      wake = fn;
      return () => {};
    };
    const { c } = await start({}, { onWake });
    await w.pass(17_000);
    wake();
    await w.pass(1000);
    expect([w.server.connections, w.server.count('ping'), w.server.count('sync')]).toEqual([1, 1, 2]);
    w.server.stall();
    wake();
    await w.pass(1900);
    expect(w.server.connections).toBe(1);
    await w.pass(1000);
    expect([c.state, w.server.connections]).toEqual(['online', 2]);
  });

  it.each([
    [4000, 'online', 2],
    [4101, 'unauthorized', 1],
    [4201, 'kicked', 1],
  ])('ends with close code %i: %s', async (code, state, connections) => {
    const { c } = await start();
    w.server.cut(code);
    await w.pass(minute);
    expect([c.state, w.server.connections]).toEqual([state, connections]);
  });

  it('stays away when it was kicked, and comes back after a goaway', async () => {
    const { c } = await start();
    for (const s of w.server.sessions) s.notify('goaway', { retryAfterMs: 3000 });
    await w.pass(100);
    w.server.cut(4000);
    await w.pass(2800);
    expect(c.state).toBe('waiting');
    await w.pass(500);
    expect(c.state).toBe('online');
    for (const s of w.server.sessions) s.notify('kicked', { reason: 'session_limit' });
    await w.pass(minute);
    expect([c.state, w.server.connections]).toEqual(['kicked', 2]);
  });

  it('renews its credentials on the open session', async () => {
    w.server.tokens.set('second', 'me');
    const { c } = await start({ getToken: async () => 'second' });
    for (const s of w.server.sessions) s.notify('reauth', { graceMs: 25_000 });
    await w.pass(100);
    w.server.tokens.delete('USER_TOKEN');
    const sent = c.sendMessage({ to: 'bob', content: 'x' });
    await w.pass(minute);
    expect((await sent).seq).toBe(1);
    expect([c.state, w.server.connections]).toEqual(['online', 1]);
  });

  it('leaves the server at once when it is closed', async () => {
    const { c } = await start();
    expect(w.server.sessions.size).toBe(1);
    await c.close();
    await w.pass(100);
    expect(w.server.sessions.size).toBe(0);
  });

  it('tells the refusal of its credentials', async () => {
    const { c, changes } = await start({ userToken: 'wrong' });
    expect(c.state).toBe('unauthorized');
    expect(changes.at(-1)?.error).toMatchObject({ reason: 'unauthenticated' });
  });

  it('says why it has no connection', async () => {
    const { changes } = await start();
    w.server.cut();
    await w.pass(10);
    expect(changes.at(-1)?.error).toMatchObject({ reason: 'offline' });
    if (transport !== 'websocket') expect(lost[transport]).toBeDefined();
  });
});

describe.each(['sse', 'poll'] as const)('requests beside %s', (transport) => {
  const start = async (o: Partial<IMOptions> = {}) => (await online({ transport, ...o })).c;
  const pings = (c: IMClient, n: number) => Array.from({ length: n }, () => c.call('ping', {}));

  it('go one after the other, and what comes meanwhile goes together, at most 64', async () => {
    const c = await start();
    w.server.latencyMs = 100;
    const before = w.server.hits.rpc as number;
    const all = pings(c, 1);
    await w.pass(10);
    for (let i = 0; i < 100; i++) {
      all.push(...pings(c, 1));
      await w.pass(1);
    }
    await w.pass(1000);
    await Promise.all(all);
    expect((w.server.hits.rpc as number) - before).toBe(3); // 1, 64 and 36 of them
  });

  it('are not made when nobody waits for them any more', async () => {
    const c = await start();
    w.server.latencyMs = 100;
    const first = c.call('ping', {});
    await w.pass(10);
    const stop = new AbortController();
    const second = expect(
      c.call('user.get', { users: ['x'] }, { signal: stop.signal }),
    ).rejects.toMatchObject({
      reason: 'aborted',
    });
    await w.pass(10);
    stop.abort();
    await second;
    await w.pass(1000);
    await first;
    expect(w.server.count('user.get')).toBe(0);
  });

  it('carry the session and the token in headers, never in the URL', async () => {
    const seen: Array<Record<string, string>> = [];
    w.server.http = (_, headers) => {
      seen.push(headers);
      return undefined;
    };
    const c = await start();
    await Promise.all([c.call('ping', {}), w.pass()]);
    const { id, socket } = [...w.server.sessions][0] as never as { id: string; socket: { url: string } };
    expect(seen[0]).toEqual({ 'Content-Type': 'application/json' });
    expect(seen.at(-1)).toMatchObject({ 'Im-Session': id, Authorization: 'Bearer USER_TOKEN' });
    expect(socket.url).toBe(`http://chat.test/im/${transport === 'sse' ? 'events' : 'poll'}?app=YOUR_APP_ID`);
  });

  it('that break end the connection; what they did is not done twice', async () => {
    const c = await start();
    let n = 0;
    w.server.loseAnswer = (path) => path === 'rpc' && n++ === 0;
    const sent = c.sendMessage({ to: 'bob', content: 'x' });
    await w.pass(3000);
    expect(await sent).toMatchObject({ seq: 1 });
    expect([w.server.chat('d_bob_me').messages.length, w.server.connections]).toEqual([1, 2]);
  });

  it('that get no answer for 30 s end the connection', async () => {
    const c = await start();
    w.server.intercept = (op) => (op === 'user.get' ? 'hang' : undefined);
    const failed = c.call('user.get', { users: ['x'] }).catch((e: IMError) => e.reason);
    await w.pass(16_000);
    expect(await failed).toBe('timeout');
    await w.pass(16_000);
    expect([c.state, w.server.connections]).toEqual(['online', 2]);
  });

  it('to a session that is gone make a new one at once', async () => {
    const c = await start();
    w.server.http = (path) => {
      if (path !== 'rpc') return undefined;
      w.server.http = () => undefined;
      return { status: 404 };
    };
    const sent = c.sendMessage({ to: 'bob', content: 'x' });
    await w.pass(400);
    expect((await sent).seq).toBe(1);
    expect(w.server.connections).toBe(2);
  });

  it('with a token that is refused ask for another', async () => {
    const asked: string[] = [];
    const getToken = async (why: string) => {
      asked.push(why);
      return 'second';
    };
    const c = await start({ getToken });
    w.server.tokens.delete('USER_TOKEN');
    w.server.tokens.set('second', 'me');
    const sent = c.sendMessage({ to: 'bob', content: 'x' });
    await w.pass(1000);
    expect((await sent).seq).toBe(1);
    expect(asked).toEqual(['rejected']);
  });

  it.each([
    [503, 'unavailable', true],
    [429, 'rate_limited', true],
    [502, 'unavailable', true],
    [413, 'invalid_request', false],
  ])('refused with %i fail as %s and end nothing', async (status, reason, retryable) => {
    const c = await start();
    w.server.http = (path) => (path === 'rpc' ? { status, headers: { 'Retry-After': '7' } } : undefined);
    const failed = [c.call('ping', {}), c.call('ping', {})].map((p) => p.catch((e: IMError) => e));
    await w.pass();
    for (const e of await Promise.all(failed)) {
      expect(e).toMatchObject({ name: 'IMError', reason, retryable, retryAfterMs: 7000 });
    }
    w.server.http = () => undefined;
    await Promise.all([c.call('ping', {}), w.pass()]);
    expect(w.server.connections).toBe(1);
  });

  it("refused with the server's own words fail with them", async () => {
    const c = await start();
    const data = { reason: 'too_large', field: 'frame', max: 9 };
    const body = JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: 413, message: 'no', data } });
    w.server.http = (path) => (path === 'rpc' ? { status: 413, body } : undefined);
    const failed = c.call('ping', {}).catch((e: IMError) => e);
    await w.pass();
    expect(await failed).toMatchObject({
      reason: 'too_large',
      message: 'no',
      detail: { field: 'frame', max: 9 },
    });
    w.server.http = () => undefined;
  });

  it('that open a session wait as long as the server says', async () => {
    w.server.http = () => ({ status: 503, headers: { 'Retry-After': '20' } });
    const c = await start();
    await w.pass(14_000);
    const hits = { ...w.server.hits };
    expect(Object.values(hits)).toEqual([1]);
    w.server.http = () => undefined;
    await w.pass(3000);
    expect(c.state).toBe('online');
  });

  it('wait for a slow one, but for a ping, which waits for none', async () => {
    let wake = () => {};
    const onWake = (fn: () => void) => {
      wake = fn;
      return () => {};
    };
    const { c } = await online({ transport }, { onWake });
    const slowly = () => new Promise((r) => setTimeout(() => r({ profiles: [] }), 10_000));
    w.server.intercept = (op) => (op === 'user.get' ? slowly() : undefined);
    const slow = c.call('user.get', { users: ['x'] });
    await w.pass();
    const marks = c.call('conversation.get', { conversation: 'none' }).catch((e: IMError) => e.reason);
    wake();
    await w.pass(3000);
    expect([w.server.count('ping'), w.server.count('conversation.get'), w.server.connections]).toEqual([
      1, 0, 1,
    ]);
    await w.pass(8000);
    expect([await slow, await marks]).toEqual([{ profiles: [] }, 'not_found']);
    expect(w.server.connections).toBe(1);
  });
});

describe('long poll', () => {
  it('loses and doubles nothing when answers to polls are lost', async () => {
    const { c } = await online({ transport: 'poll' });
    let n = 0;
    w.server.loseAnswer = (path) => path === 'poll' && n++ % 2 === 0;
    const seen: string[] = [];
    const holes: unknown[] = [];
    c.onMessage((m: Message) => seen.push(String(text(m))));
    c.on('gap', (g) => holes.push(g));
    c.on('extension', (e) => seen.push(e.name));
    const syncs = w.server.count('message.changes');
    for (let i = 0; i < 30; i++) {
      w.server.send('bob', { user: 'me' }, `${i}`);
      for (const session of w.server.sessions) session.notify(`x.${i}`, {});
      await w.pass(300);
    }
    await w.pass(3000);
    expect(seen.length).toBe(60);
    expect(new Set(seen).size).toBe(60);
    expect(seen.filter((x) => !x.startsWith('x'))).toEqual(Array.from({ length: 30 }, (_, i) => `${i}`));
    expect([w.server.connections, w.server.count('message.changes') - syncs, holes]).toEqual([1, 0, []]);
  });

  it('tells a frame once that comes again, from a cache on the way', async () => {
    const { c } = await online({ transport: 'poll' });
    const names: string[] = [];
    c.on('extension', (e) => names.push(e.name));
    const frame = (n: number) => ({ frame: n, messages: [{ jsonrpc: '2.0', method: `x.${n}`, params: {} }] });
    const frames = [1, 1, 2, 1, 2, 3].map(frame);
    w.server.http = (path, headers) => {
      const next = path === 'poll' && headers['Im-Session'] ? frames.shift() : undefined;
      return next && { status: 200, body: JSON.stringify(next) };
    };
    w.server.send('bob', { user: 'me' }, 'ends the poll that waits');
    await w.pass(1000);
    expect([names, frames.length]).toEqual([['x.2', 'x.3'], 0]);
  });

  it('begins anew when polls keep failing', async () => {
    const { c } = await online({ transport: 'poll' });
    w.server.http = (path, headers) => {
      if (path === 'poll' && headers['Im-Session']) throw new TypeError('fetch failed');
      return undefined;
    };
    await w.pass(30_000);
    w.server.http = () => undefined;
    await w.pass(5000);
    expect(c.state).toBe('online');
    expect(w.server.connections).toBeGreaterThan(1);
  });

  it('does not storm something that answers polls by itself', async () => {
    const { c } = await online({ transport: 'poll' });
    w.server.http = (path, headers) =>
      path === 'poll' && headers['Im-Session'] ? { status: 204 } : undefined;
    w.server.send('bob', { user: 'me' }, 'wakes the poll that waits');
    const before = w.server.hits.poll as number;
    await w.pass(20_000);
    expect((w.server.hits.poll as number) - before).toBeLessThan(40);
    expect(c.state).toBe('online');
    w.server.http = () => undefined;
  });
});

describe('an event stream', () => {
  const stream =
    '\uFEFF: hi\n\ndata: {"a":"ü€😀"}\n\ndata:1\r\ndata: 2\r\n\r\nevent: x\nid: 7\ndata: [3]\r\r:\n\ndata\n\ndata: cut';
  const events = ['{"a":"ü€😀"}', '1\n2', '[3]'];
  const bytes = new TextEncoder().encode(stream);

  it('is read whole, and cut anywhere into two or three', () => {
    for (let a = 0; a <= bytes.length; a++) {
      for (let b = a; b <= bytes.length; b += 3) {
        const p = new EventParser();
        const parts = [bytes.slice(0, a), bytes.slice(a, b), bytes.slice(b)];
        expect(parts.flatMap((x) => p.feed(x))).toEqual(events);
      }
    }
  });

  it('is read byte by byte', () => {
    const p = new EventParser();
    expect([...bytes].flatMap((b) => p.feed(new Uint8Array([b])))).toEqual(events);
  });
});

describe('a refusal', () => {
  it('is what the answer says, not the close that comes with it', async () => {
    const error = { code: 404, message: 'no such app', data: { reason: 'app_unknown' } };
    const answer = JSON.stringify({ jsonrpc: '2.0', id: 1, error });
    const params = { code: 4100, reason: 'session.open comes first' };
    const close = JSON.stringify({ jsonrpc: '2.0', method: 'close', params });
    w.server.http = () => ({ status: 200, body: `data: ${answer}\n\ndata: ${close}\n\n` });
    const { c, changes } = await online({ transport: 'sse' });
    expect([c.state, changes.at(-1)?.error]).toMatchObject(['unauthorized', { reason: 'app_unknown' }]);
    w.server.http = () => undefined;
  });

  it('of the app is told over every transport', async () => {
    for (const transport of ['websocket', 'sse', 'poll'] as const) {
      const c = w.client({ transport });
      w.server.intercept = (op) => {
        if (op === 'session.open') throw new Refusal('app_unknown');
      };
      const init = c.init().catch((e: IMError) => e.reason);
      await w.pass(1000);
      expect([await init, c.state]).toEqual(['app_unknown', 'unauthorized']);
    }
  });
});
