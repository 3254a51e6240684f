import { describe, expect, it, vi } from 'vitest';
import type { IMError, StateChange } from './sdk.js';
import { Refusal } from './server.js';
import { world } from './setup.js';

const w = world();

function recorded() {
  const states: string[] = [];
  const changes: StateChange[] = [];
  const c = w.client();
  c.on('state', (e) => {
    states.push(e.state);
    changes.push(e);
  });
  return { c, states, changes };
}

/** A client on a page that can be woken. */
function sleeper() {
  let wake = () => {};
  const onWake = (fn: () => void) => {
    wake = fn;
    return () => {};
  };
  return { c: w.client({}, { onWake }), wake: () => wake() };
}

describe('connection', () => {
  it('goes from connecting over syncing to online, and tells who we are', async () => {
    const { c, states } = recorded();
    expect(c.state).toBe('idle');
    const init = c.init();
    expect(c.state).toBe('connecting');
    await w.pass();
    expect(states).toEqual(['connecting', 'syncing', 'online']);
    expect((await init).user).toBe('me');
    expect(c.me).toEqual({ id: 'me' });
    const [open] = w.server.requests;
    expect(open?.op).toBe('session.open');
    expect(open?.params).toMatchObject({
      appId: 'YOUR_APP_ID',
      token: 'USER_TOKEN',
      client: expect.stringMatching(/^h5im-js\//),
    });
    expect(open?.params.device).toMatch(/^[\w.-]{1,64}$/);
    expect(open?.session.socket).toMatchObject({
      url: 'ws://chat.test/im/ws?app=YOUR_APP_ID',
      protocol: 'im.v1.json',
    });
  });

  it('opens one connection for init, close and init in the same breath, as StrictMode does', async () => {
    const { c } = recorded();
    void c.init();
    const sent = c.sendMessage({ to: 'bob', content: 'hi' });
    void c.close();
    void c.init();
    await w.pass();
    expect(w.server.connections).toBe(1);
    expect(c.state).toBe('online');
    expect((await sent).seq).toBe(1);
  });

  it('stays connected until close was called as often as init', async () => {
    const { c } = recorded();
    void c.init();
    void c.init();
    await w.pass();
    await c.close();
    expect(c.state).toBe('online');
    await c.close();
    expect(c.state).toBe('closed');
    await w.pass();
    expect(w.server.sessions.size).toBe(0);
  });

  it('connects again after close', async () => {
    const { c } = recorded();
    void c.init();
    await w.pass();
    await c.close();
    void c.init();
    await w.pass();
    expect(c.state).toBe('online');
  });

  it('rejects an init that is closed, without an unhandled rejection', async () => {
    const { c } = recorded();
    w.server.down = true;
    const init = c.init();
    void c.close();
    await w.pass();
    await expect(init).rejects.toMatchObject({ reason: 'aborted' });
  });

  it('lets the caller of init stop waiting, and goes on', async () => {
    const { c } = recorded();
    w.server.down = true;
    const late = c.init({ timeoutMs: 1000 });
    const stop = new AbortController();
    const stopped = c.init({ signal: stop.signal });
    stop.abort();
    await expect(stopped).rejects.toMatchObject({ reason: 'aborted' });
    const failed = expect(late).rejects.toMatchObject({ reason: 'offline', retryable: true });
    await w.pass(1000);
    await failed;
    w.server.down = false;
    await w.pass(5000);
    expect(c.state).toBe('online');
  });

  it('comes back after a lost connection, later and later while that fails, and never beyond 30 s', async () => {
    const { c, changes } = recorded();
    void c.init();
    await w.pass(10_000);
    w.server.down = true;
    w.server.cut();
    await w.pass(180_000);
    const waits = changes.filter((e) => e.state === 'waiting');
    const delays = waits.map((e) => (e.retryAtMs ?? 0) - Date.now());
    expect(waits[0]?.error).toMatchObject({ reason: 'offline' });
    expect(delays.length).toBeGreaterThan(8);
    const attempts = w.server.connections;
    await w.pass(60_000);
    expect(w.server.connections - attempts).toBeLessThanOrEqual(5); // half of 30 s each, with random at 0.5
    w.server.down = false;
    await w.pass(30_000);
    expect(c.state).toBe('online');
  });

  it('spreads attempts over the whole delay (full jitter)', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.01);
    const { c } = recorded();
    w.server.down = true;
    void c.init();
    await w.pass(100);
    expect(w.server.connections).toBeGreaterThan(4);
  });

  it('does not storm a server that accepts and cuts at once', async () => {
    const { c } = recorded();
    w.server.intercept = (op) => {
      if (op === 'session.open') setTimeout(() => w.server.cut(4000), 5);
    };
    void c.init();
    await w.pass(60_000);
    expect(w.server.connections).toBeLessThan(15);
  });

  it('does not storm a server that accepts a token and ends the session at once', async () => {
    let asked = 0;
    const getToken = async () => {
      asked++;
      return 'USER_TOKEN';
    };
    const c = w.client({ getToken });
    w.server.intercept = (op) => {
      if (op === 'session.open') setTimeout(() => w.server.cut(4101), 5);
    };
    void c.init();
    await w.pass(60_000);
    expect(c.state).toBe('unauthorized');
    expect([w.server.connections, asked]).toEqual([3, 2]);
  });

  it('tries again when a socket cannot even be made', async () => {
    let made = 0;
    class WebSocket {
      constructor() {
        made++;
        throw new Error('SecurityError');
      }
    }
    const errors: IMError[] = [];
    const c = w.client({
      transport: 'websocket',
      platform: { ...w.server.platform(), WebSocket: WebSocket as never },
    });
    c.on('error', (e) => errors.push(e));
    void c.init();
    await w.pass(60_000);
    expect(made).toBeGreaterThan(5);
    expect(made).toBeLessThan(15);
    expect(errors[0]).toMatchObject({ message: 'SecurityError' });
    expect(c.state).toBe('waiting');
  });

  it('comes back when a socket does not send any more', async () => {
    const { c } = recorded();
    void c.init();
    await w.pass();
    for (const s of w.server.sessions) {
      (s.socket as unknown as WebSocket).send = () => {
        throw new Error('InvalidStateError');
      };
    }
    const ping = c.call('ping', {});
    await w.pass(1000);
    expect((await ping).serverTime).toBeGreaterThan(0);
    expect(w.server.connections).toBe(2);
  });

  it('comes back after a goaway later than demanded, spread', async () => {
    // [P32]
    const times: number[] = [];
    for (const random of [0.1, 0.9]) {
      vi.spyOn(Math, 'random').mockReturnValue(random);
      const { c } = recorded();
      void c.init();
      await w.pass(10_000);
      for (const s of w.server.sessions) s.notify('goaway', { retryAfterMs: 1000 });
      await w.pass();
      const cut = Date.now();
      w.server.cut(4000);
      await new Promise<void>((online) => {
        c.on('state', ({ state }) => state === 'connecting' && online());
        void w.pass(2000);
      });
      times.push(Date.now() - cut);
      await w.pass();
      await c.close();
      await w.pass();
    }
    expect(times[0]).toBeGreaterThanOrEqual(1000);
    expect((times[1] as number) - (times[0] as number)).toBeGreaterThan(100);
  });

  it('stays away when the close after a goaway says so', async () => {
    const { c } = recorded();
    void c.init();
    await w.pass();
    for (const s of w.server.sessions) s.notify('goaway', { retryAfterMs: 1000 });
    await w.pass();
    w.server.cut(4201);
    await w.pass(60_000);
    expect(c.state).toBe('kicked');
    expect(w.server.connections).toBe(1);
  });

  it('lets a listener of the end begin again', async () => {
    const c = w.client({ userToken: 'wrong' });
    let again: Promise<unknown> | undefined;
    c.on('state', ({ state }) => {
      if (state !== 'unauthorized' || again) return;
      w.server.tokens.set('wrong', 'me');
      again = c.init();
    });
    void c.init();
    await w.pass(1000);
    expect(c.state).toBe('online');
    expect(await again).toMatchObject({ user: 'me' });
  });

  it('obeys retryAfterMs of a refusal and of a goaway', async () => {
    const { c, changes } = recorded();
    let refuse = true;
    w.server.intercept = (op) => {
      if (op === 'session.open' && refuse) throw new Refusal('unavailable', { retryAfterMs: 7000 });
    };
    void c.init();
    await w.pass(6900);
    const waiting = changes.find((e) => e.state === 'waiting');
    expect((waiting?.retryAtMs ?? 0) - 1_700_000_000_000).toBeGreaterThanOrEqual(7000);
    expect(w.server.connections).toBe(1);
    refuse = false;
    await w.pass(300);
    expect(c.state).toBe('online');
    for (const s of w.server.sessions) s.notify('goaway', { retryAfterMs: 9000 });
    await w.pass(100);
    w.server.cut(4000, 'restart');
    await w.pass(8800);
    expect(c.state).toBe('waiting');
    expect(w.server.connections).toBe(2);
    await w.pass(600);
    expect(c.state).toBe('online');
  });

  it('keeps a connection that is going away until the server closes it, at most 5 s', async () => {
    const { c } = recorded();
    void c.init();
    await w.pass();
    for (const s of w.server.sessions) s.notify('goaway', { retryAfterMs: 0 });
    await w.pass(4000);
    expect((await Promise.all([c.call('ping', {}), w.pass()]))[0].serverTime).toBeGreaterThan(0);
    await w.pass(1500);
    expect(w.server.connections).toBe(2);
  });

  it.each([
    [1000, 'reconnects'],
    [1006, 'reconnects'],
    [1011, 'reconnects'],
    [4000, 'reconnects'],
    [4099, 'reconnects'],
    [4300, 'reconnects'],
    [4100, 'unauthorized'],
    [4199, 'unauthorized'],
    [4200, 'kicked'],
    [4202, 'kicked'],
    [4299, 'kicked'],
  ])('after close code %i %s', async (code, what) => {
    const { c } = recorded();
    void c.init();
    await w.pass();
    w.server.cut(code);
    await w.pass(60_000);
    expect(c.state).toBe(what === 'reconnects' ? 'online' : what);
    expect(w.server.connections).toBe(what === 'reconnects' ? 2 : 1);
  });

  it('asks getToken before it comes back after 4100 to 4199', async () => {
    // [P35]
    const asked: string[] = [];
    w.server.tokens.set('fresh', 'me');
    const getToken = async (why: string) => {
      asked.push(why);
      return 'fresh';
    };
    const c = w.client({ getToken });
    void c.init();
    await w.pass();
    w.server.tokens.delete('USER_TOKEN');
    w.server.cut(4101);
    await w.pass();
    expect(c.state).toBe('online');
    w.server.cut(4100);
    await w.pass(1000);
    expect(asked).toEqual(['expired', 'rejected']);
    expect(w.server.requests.filter((r) => r.op === 'session.open').map((r) => r.params.token)).toEqual([
      'USER_TOKEN',
      'fresh',
      'fresh',
    ]);
  });

  it('finds its first token with getToken', async () => {
    const asked: string[] = [];
    const c = w.client({
      userToken: undefined as never,
      getToken: async (why) => {
        asked.push(why);
        return 'USER_TOKEN';
      },
    });
    void c.init();
    await w.pass();
    w.server.cut();
    await w.pass(1000);
    expect(c.state).toBe('online');
    expect(asked).toEqual(['initial']);
  });

  it('tries a refused token anew twice and is unauthorized then, until init', async () => {
    const asked: string[] = [];
    const errors: IMError[] = [];
    const c = w.client({
      userToken: 'wrong',
      getToken: async (why) => {
        asked.push(why);
        return 'wrong too';
      },
    });
    c.on('error', (e) => errors.push(e));
    const init = c.init();
    await w.pass(60_000);
    expect(c.state).toBe('unauthorized');
    expect(asked).toEqual(['rejected', 'rejected']);
    await expect(init).rejects.toMatchObject({ reason: 'unauthenticated', retryable: false });
    expect(errors.map((e) => e.reason)).toEqual(['unauthenticated']);
    w.server.tokens.set('wrong too', 'me');
    void c.init();
    await w.pass();
    expect(c.state).toBe('online');
  });

  it('is unauthorized at once where no token can be had', async () => {
    const c = w.client({ userToken: 'wrong' });
    void c.init();
    await w.pass(1000);
    expect(c.state).toBe('unauthorized');
    expect(w.server.connections).toBe(1);
    await expect(c.sendMessage({ to: 'bob', content: 'x' })).rejects.toMatchObject({
      reason: 'unauthenticated',
    });
  });

  it('tries again when getToken fails', async () => {
    let fail = true;
    const errors: IMError[] = [];
    const c = w.client({
      userToken: undefined as never,
      getToken: async () => {
        if (fail) throw new Error('login is down');
        return 'USER_TOKEN';
      },
    });
    c.on('error', (e) => errors.push(e));
    void c.init();
    await w.pass(1000);
    expect(errors[0]).toMatchObject({ reason: 'unavailable', cause: new Error('login is down') });
    fail = false;
    await w.pass(10_000);
    expect(c.state).toBe('online');
  });

  it('renews the credentials of the open session on reauth', async () => {
    w.server.tokens.set('second', 'me');
    const c = w.client({ getToken: async (why) => (why === 'expired' ? 'second' : 'USER_TOKEN') });
    void c.init();
    await w.pass();
    for (const s of w.server.sessions) s.notify('reauth', { graceMs: 25_000 });
    await w.pass();
    expect(w.server.connections).toBe(1);
    expect(w.server.requests.at(-1)).toMatchObject({ op: 'session.open', params: { token: 'second' } });
    expect(c.state).toBe('online');
  });

  it('asks for one token at a time', async () => {
    let asked = 0;
    const getToken = () => {
      asked++;
      return new Promise<string>((token) => setTimeout(() => token('USER_TOKEN'), 1000));
    };
    const c = w.client({ getToken });
    void c.init();
    await w.pass();
    for (const s of w.server.sessions) for (let i = 0; i < 3; i++) s.notify('reauth', { graceMs: 500 });
    await w.pass(500);
    w.server.cut(4101);
    await w.pass(5000);
    expect([c.state, asked]).toEqual(['online', 1]);
  });

  it('uses no token that comes after logout', async () => {
    const answers: Array<(token: string) => void> = [];
    const getToken = () => new Promise<string>((token) => answers.push(token));
    const c = w.client({ userToken: undefined as never, getToken });
    void c.init();
    await w.pass();
    await c.logout();
    void c.init();
    await w.pass();
    answers[1]?.('bob-token');
    answers[0]?.('USER_TOKEN');
    await w.pass();
    w.server.cut();
    await w.pass(1000);
    expect([c.state, c.me?.id]).toEqual(['online', 'bob']);
    expect(answers.length).toBe(2);
  });

  it('stays away when it was kicked', async () => {
    // [P33] [P35]
    const { c, changes } = recorded();
    void c.init();
    await w.pass();
    for (const s of w.server.sessions) s.notify('kicked', { reason: 'session_limit' });
    await w.pass(60_000);
    expect(c.state).toBe('kicked');
    expect(changes.at(-1)?.error).toMatchObject({ reason: 'session_limit' });
    expect(w.server.connections).toBe(1);
    await expect(c.call('ping', {})).rejects.toMatchObject({ reason: 'session_limit' });
  });

  it('refuses to become another user without a logout', async () => {
    const c = w.client({ getToken: async () => 'bob-token' });
    void c.init();
    await w.pass();
    w.server.cut(4101);
    await w.pass();
    expect(c.state).toBe('unauthorized');
    await c.logout();
    void c.init();
    await w.pass();
    expect(c.me?.id).toBe('bob');
  });

  it('pings after 25 s of silence and reconnects when no answer comes in 10 s', async () => {
    const { c } = recorded();
    void c.init();
    await w.pass(24_000);
    expect(w.server.count('ping')).toBe(0);
    await w.pass(2000);
    expect(w.server.count('ping')).toBe(1);
    expect(c.state).toBe('online');
    w.server.mute = true;
    await w.pass(26_000);
    expect(w.server.count('ping')).toBe(2);
    w.server.mute = false;
    await w.pass(10_000);
    expect(w.server.connections).toBe(2);
  });

  it('probes the connection in 2 s when the page wakes', async () => {
    const { c, wake } = sleeper();
    void c.init();
    await w.pass();
    wake();
    await w.pass();
    expect(w.server.count('ping')).toBe(1);
    expect(w.server.count('sync')).toBe(2);
    w.server.mute = true;
    wake();
    await w.pass(1900);
    expect(c.state).toBe('online');
    w.server.mute = false;
    await w.pass(500);
    expect(w.server.connections).toBe(2);
  });

  it('cuts a wait short when the page wakes, but not below what the server demanded', async () => {
    const { c, wake } = sleeper();
    w.server.down = true;
    void c.init();
    await w.pass(60_000);
    w.server.down = false;
    wake();
    await w.pass();
    expect(c.state).toBe('online');
    for (const s of w.server.sessions) s.notify('goaway', { retryAfterMs: 5000 });
    await w.pass();
    w.server.cut(4000);
    await w.pass();
    wake();
    await w.pass(4000);
    expect(c.state).toBe('waiting');
    await w.pass(1000);
    expect(c.state).toBe('online');
  });

  it('notices in 2 s that the browser went offline, and at once that it is back', async () => {
    const page = new EventTarget();
    vi.stubGlobal('addEventListener', page.addEventListener.bind(page));
    let up = true;
    const c = w.client({}, { onWake: undefined as never, isOnline: () => up });
    void c.init();
    await w.pass(10_000);
    up = false;
    w.server.mute = w.server.down = true;
    page.dispatchEvent(new Event('offline'));
    await w.pass(2010);
    expect(c.state).toBe('offline');
    await w.pass(60_000);
    up = true;
    w.server.mute = w.server.down = false;
    page.dispatchEvent(new Event('online'));
    await w.pass();
    expect(c.state).toBe('online');
    vi.unstubAllGlobals();
  });

  it('is offline where the browser says so, and listens to it only between init and close', async () => {
    let listening = 0;
    const onWake = () => {
      listening++;
      return () => {
        listening--;
      };
    };
    const c = w.client({}, { isOnline: () => false, onWake });
    expect(listening).toBe(0);
    w.server.down = true;
    void c.init();
    await w.pass(10);
    expect([c.state, listening]).toEqual(['offline', 1]);
    await c.close();
    expect(listening).toBe(0);
  });

  it('knows how far the clocks differ', async () => {
    const { c } = recorded();
    w.server.latencyMs = 100;
    w.server.intercept = (op) => (op === 'ping' ? { serverTime: Date.now() + 60_000 } : undefined);
    void c.init();
    await w.pass(1000);
    expect(c.clockOffsetMs).toBe(0);
    await w.pass(26_000);
    expect(c.clockOffsetMs).toBe(60_000);
  });

  it('leaves with session.close on logout, and forgets token and conversations', async () => {
    const { c } = recorded();
    w.server.send('bob', { user: 'me' }, 'hi');
    void c.init();
    await w.pass();
    expect(c.conversations.list().length).toBe(1);
    const [,] = await Promise.all([c.logout(), w.pass()]);
    expect(w.server.count('session.close')).toBe(1);
    expect(c.conversations.list()).toEqual([]);
    expect(c.me).toBeNull();
    void c.init();
    await w.pass(1000);
    expect(w.server.requests.filter((r) => r.op === 'session.open').at(-1)?.params.token).toBeUndefined();
  });
});

describe('calls', () => {
  it('travel together when they are made in the same breath', async () => {
    const { c } = recorded();
    void c.init();
    await w.pass();
    const frames = w.server.frames;
    const calls = Array.from({ length: 60 }, () => c.call('ping', {}));
    await w.pass();
    await Promise.all(calls);
    expect(w.server.frames - frames).toBe(1);
  });

  it('wait for the connection, and are repeated on the next when it is lost', async () => {
    const { c } = recorded();
    const early = c.call('ping', {});
    void c.init();
    await w.pass();
    expect((await early).serverTime).toBeGreaterThan(0);
    let hang = true;
    w.server.intercept = (op) => (op === 'ping' && hang ? 'hang' : undefined);
    const lost = c.call('ping', {});
    await w.pass();
    hang = false;
    w.server.cut();
    await w.pass(1000);
    expect((await lost).serverTime).toBeGreaterThan(0);
  });

  it('end at their deadline: timeout while connected, offline while not', async () => {
    const { c } = recorded();
    const never = expect(c.call('ping', {}, { timeoutMs: 100 })).rejects.toMatchObject({ reason: 'offline' });
    await w.pass(100);
    await never;
    void c.init();
    await w.pass();
    w.server.mute = true;
    const slow = expect(c.call('ping', {})).rejects.toMatchObject({ reason: 'timeout', retryable: true });
    await w.pass(15_000);
    await slow;
  });

  it('end when their signal does', async () => {
    const { c } = recorded();
    void c.init();
    await w.pass();
    w.server.mute = true;
    const stop = new AbortController();
    const call = expect(c.call('ping', {}, { signal: stop.signal })).rejects.toMatchObject({
      reason: 'aborted',
    });
    stop.abort();
    await call;
    await expect(c.call('ping', {}, { signal: stop.signal })).rejects.toMatchObject({ reason: 'aborted' });
  });

  it("reject with the server's reason and details", async () => {
    const { c } = recorded();
    void c.init();
    await w.pass();
    w.server.intercept = (op) => {
      if (op === 'member.add') throw new Refusal('too_large', { field: 'users', max: 500, retryAfterMs: 3 });
    };
    const failed = expect(c.groups.addMembers('g', ['a'])).rejects.toMatchObject({
      name: 'IMError',
      reason: 'too_large',
      retryable: false,
      retryAfterMs: 3,
      detail: { field: 'users', max: 500 },
    });
    await w.pass();
    await failed;
  });

  it('refuse a request that is larger than a frame, before it ends the connection', async () => {
    const { c } = recorded();
    void c.init();
    await w.pass();
    const huge = c.call('user.get', { users: ['x'.repeat(300_000)] });
    await expect(huge).rejects.toMatchObject({ reason: 'too_large' });
    expect(c.state).toBe('online');
  });

  it('that fail unheard are told by the error event and once to the logger', async () => {
    const warned: string[] = [];
    const errors: string[] = [];
    const c = w.client({ logger: { warn: (text) => warned.push(text), error: () => {} } });
    c.on('error', (e) => errors.push(e.reason));
    void c.init();
    await w.pass();
    w.server.intercept = (op) => {
      if (op !== 'session.open') throw new Refusal('not_found');
    };
    void c.messages.history({ conversation: 'x' });
    c.sendMessage({ to: 'bob', content: 'x' });
    await w.pass();
    expect(errors).toEqual(['not_found', 'not_found']);
    expect(warned.length).toBe(2);
    const heard = c.messages.history({ conversation: 'x' }).catch(() => 'heard');
    await w.pass();
    expect(await heard).toBe('heard');
    expect(errors.length).toBe(2);
  });
});
