import { describe, expect, it } from 'vitest';
import { type IMOptions, type Message, memoryStorage } from './sdk.js';
import { Refusal } from './server.js';
import { Tab, Tabs, text, world } from './setup.js';

// Tabs of one user share one connection: what one of them may lose when another
// is closed, frozen or signed out, and what none of them may see twice.

const w = world();
const me = { user: 'me' };

interface Open {
  tab: Tab;
  told: string[];
}

/** Opens tabs of a browser. */
function browser() {
  const tabs = new Tabs();
  const storage = memoryStorage();
  const open = (o: Partial<IMOptions> = {}): Open => {
    const tab = new Tab(w, { user: 'me', ...o, storage }, tabs);
    const told: string[] = [];
    tab.client.onMessage((m: Message) => told.push(String(text(m))));
    tab.client.init().catch(() => {});
    return { tab, told };
  };
  return { tabs, open, storage };
}

/** How many connections are open at the server. */
const sockets = () => [...w.server.sessions].filter((s) => s.user).length;
const stored = (id = 'd_bob_me') => w.server.chats.get(id)?.messages.map((m) => String(text(m))) ?? [];

async function two(o: Partial<IMOptions> = {}) {
  const b = browser();
  const a = b.open(o);
  await w.pass();
  const c = b.open(o);
  await w.pass();
  return { ...b, a, b: c };
}

describe('two tabs', () => {
  it('have one connection', async () => {
    const { a, b } = await two();
    expect([a.tab.client.state, b.tab.client.state]).toEqual(['online', 'online']);
    expect(w.server.connections).toBe(1);
    expect(w.server.count('session.open')).toBe(1);
    expect(b.tab.client.transport).toBe('websocket');
    expect(b.tab.client.me).toEqual({ id: 'me' });
  });

  it('have one in the end where the page does not say who the user is', async () => {
    const { a, b } = await two({ user: undefined as never });
    await w.pass(1000);
    expect([a.tab.client.state, b.tab.client.state]).toEqual(['online', 'online']);
    expect(sockets()).toBe(1);
    w.server.send('bob', me, 'hi');
    await w.pass();
    expect([a.told, b.told]).toEqual([['hi'], ['hi']]);
  });

  it('that open together have one, and neither waits long', async () => {
    const { open } = browser();
    const all = [open(), open(), open()];
    await w.pass(400);
    expect(all.map(({ tab }) => tab.client.state)).toEqual(['online', 'online', 'online']);
    expect(w.server.connections).toBe(1);
  });

  it('both hear what comes, and each what the other sends, once', async () => {
    const { a, b } = await two();
    w.server.send('bob', me, 'from bob');
    await w.pass();
    await Promise.all([
      a.tab.client.sendMessage({ to: 'bob', content: 'from a' }),
      b.tab.client.sendMessage({ to: 'bob', content: 'from b' }),
      w.pass(),
    ]);
    await w.pass(1000);
    expect(a.told).toEqual(['from bob', 'from b']);
    expect(b.told).toEqual(['from bob', 'from a']);
    expect(stored()).toHaveLength(3);
    expect(w.server.count('message.changes')).toBe(0); // nothing was missed
  });

  it('agree on what was read', async () => {
    const { a, b } = await two();
    w.server.send('bob', me, '1');
    await w.pass();
    for (const [reader, other] of [
      [a, b],
      [b, a],
    ] as const) {
      w.server.send('bob', me, 'more');
      await w.pass();
      void reader.tab.client.conversations.markRead('d_bob_me');
      await w.pass();
      expect(other.tab.client.conversations.peek('d_bob_me')?.unread).toBe(0);
    }
  });

  it('of different users, apps or servers share nothing', async () => {
    const { open, tabs } = browser();
    w.server.tokens.set('YOUR', 'you');
    const all = [
      open(),
      open({ user: 'you', userToken: 'YOUR' }),
      open({ endpoint: 'http://other.test/im' }),
    ];
    await w.pass(400);
    expect(w.server.connections).toBe(3);
    w.server.send('bob', { user: 'you' }, 'secret');
    await w.pass();
    expect(all.map((x) => x.told)).toEqual([[], ['secret'], []]);
    expect(tabs.channels.said.join()).not.toContain('secret');
  });

  it('are separate where they want to, or where there are no locks or no channels', async () => {
    const a = await two({ tabs: 'separate' });
    expect(w.server.connections).toBe(2);
    expect(a.tabs.channels.said).toEqual([]);
    for (const platform of [{ locks: null }, { broadcastChannel: null }]) {
      const before = w.server.connections;
      const { locks } = new Tabs();
      const both = { locks: locks.page(), broadcastChannel: () => ({}) as never, ...platform };
      const clients = [1, 2].map(() => w.client({ user: 'me', storage: 'memory' }, both));
      for (const c of clients) void c.init();
      await w.pass(400);
      expect(w.server.connections - before).toBe(2);
      for (const c of clients) await c.close();
    }
  });

  it('say no token to each other', async () => {
    const { a, b, tabs, storage } = await two();
    void b.tab.client.sendMessage({ to: 'bob', content: 'x' });
    await w.pass(2000);
    expect(tabs.channels.said.length).toBeGreaterThan(5);
    expect(tabs.channels.said.join()).not.toContain('USER_TOKEN');
    expect(JSON.stringify(await storage.list(''))).not.toContain('USER_TOKEN');
    expect(a.tab.client.state).toBe('online');
  });

  it('tell errors of the server as they are', async () => {
    const { b } = await two();
    w.server.intercept = (op) => {
      if (op === 'user.get') throw new Refusal('rate_limited', { retryAfterMs: 3000 });
      if (op === 'member.list') throw new Refusal('permission_denied', { field: 'conversation' });
      return undefined;
    };
    const refused = [
      b.tab.client.call('user.get', { users: ['x'] }).catch((e) => e),
      b.tab.client.call('member.list', { conversation: 'x' }).catch((e) => e),
    ];
    await w.pass();
    expect(await refused[0]).toMatchObject({ reason: 'rate_limited', retryable: true, retryAfterMs: 3000 });
    expect(await refused[1]).toMatchObject({
      reason: 'permission_denied',
      retryable: false,
      detail: { field: 'conversation' },
    });
  });

  it('wait together without the network, and are back together', async () => {
    const { a, b } = await two();
    w.server.down = true;
    w.server.cut();
    await w.pass(3000);
    expect([a.tab.client.state, b.tab.client.state]).toEqual(['waiting', 'waiting']);
    const sent = b.tab.client.sendMessage({ to: 'bob', content: 'later' });
    const before = w.server.connections;
    w.server.down = false;
    a.tab.wake();
    await w.pass(500);
    expect([a.tab.client.state, b.tab.client.state]).toEqual(['online', 'online']);
    expect(w.server.connections - before).toBe(1);
    expect(text(await sent)).toBe('later');
    expect(a.told).toEqual(['later']);
  });

  it('find out together that the connection is dead: the one that wakes asks for both', async () => {
    const { a, b } = await two();
    for (const s of w.server.sessions) s.stalled = true;
    b.tab.wake();
    await w.pass(2800);
    expect([a.tab.client.state, b.tab.client.state]).toEqual(['online', 'online']);
    expect(w.server.connections).toBe(2);
    expect(sockets()).toBe(1);
  });
});

describe('the leader', () => {
  it('is closed under load: nothing is lost, doubled or out of order', async () => {
    const { a, b, open } = await two();
    const c = open();
    await w.pass();
    const contents = Array.from({ length: 30 }, (_, i) => `m${i}`);
    const sends = contents.map((content, i) => {
      const handle = b.tab.client.sendMessage({ to: 'bob', content });
      if (i % 5 === 0) w.server.send('bob', me, `in${i}`);
      return handle;
    });
    const settled = sends.map((s) => Promise.resolve(s));
    await w.pass(7);
    expect(w.server.count('message.send')).toBeGreaterThan(0); // in the middle of it
    a.tab.kill();
    await w.pass(2000);
    const messages = await Promise.all(settled);
    expect(messages.map((m) => m.seq)).toEqual([...messages.map((m) => m.seq)].sort((x, y) => x - y));
    expect(stored().filter((t) => t.startsWith('m'))).toEqual(contents);
    expect(c.told).toEqual(stored());
    expect(b.told).toEqual(stored().filter((t) => t.startsWith('in')));
    expect(sockets()).toBe(1);
    expect(w.server.connections).toBe(2);
    expect(w.server.requests.filter((r) => r.op === 'message.send').length).toBeLessThan(60);
  });

  it('is closed with a request in flight: it settles once', async () => {
    const { a, b } = await two();
    w.server.send('bob', me, 'hi');
    await w.pass();
    let hangs = true;
    w.server.intercept = (op, p, s) => {
      if (op !== 'message.send' || !hangs) return undefined;
      w.server.run(op, p, s); // it happens, and nobody hears so
      return 'hang';
    };
    let settled = 0;
    const sent = b.tab.client.sendMessage({ to: 'bob', content: 'once' });
    void Promise.resolve(sent).then(() => settled++);
    const asked = b.tab.client.call('user.get', { users: ['bob'] });
    await w.pass();
    expect(settled).toBe(0);
    hangs = false;
    a.tab.kill();
    await w.pass(2000);
    expect(settled).toBe(1);
    expect((await asked).profiles).toHaveLength(1);
    expect(stored()).toEqual(['hi', 'once']);
  });

  it('closes its client, and the other takes over at once', async () => {
    const { a, b } = await two();
    await a.tab.client.close();
    await w.pass(200);
    expect(b.tab.client.state).toBe('online');
    expect(sockets()).toBe(1);
    w.server.send('bob', me, 'still here');
    await w.pass();
    expect([a.told, b.told]).toEqual([[], ['still here']]);
    void a.tab.client.init();
    await w.pass(400);
    expect(a.tab.client.state).toBe('online');
    expect(a.told).toEqual(['still here']);
    expect(sockets()).toBe(1);
  });

  it('is frozen: a visible tab takes over in under 2 s, and it follows when it thaws', async () => {
    const { a, b } = await two();
    a.tab.frozen = true;
    a.tab.visible = false;
    w.server.send('bob', me, 'while frozen');
    await w.pass(1900);
    expect(b.told).toEqual(['while frozen']);
    const sent = b.tab.client.sendMessage({ to: 'bob', content: 'also' });
    await w.pass(20_000);
    expect(text(await sent)).toBe('also');
    const before = w.server.connections;
    a.tab.frozen = false;
    await w.pass(1000);
    expect([a.tab.client.state, b.tab.client.state]).toEqual(['online', 'online']);
    expect(w.server.connections).toBe(before);
    expect(sockets()).toBe(1);
    expect(a.told).toEqual(['while frozen', 'also']);
    w.server.send('bob', me, 'after');
    await w.pass();
    expect([a.told.at(-1), b.told]).toEqual(['after', ['while frozen', 'after']]);
  });

  it('is frozen with a request on its way: it is asked of the next, and not done again when it thaws', async () => {
    const { a, b } = await two();
    a.tab.frozen = true;
    a.tab.visible = false;
    const sent = b.tab.client.sendMessage({ to: 'bob', content: 'once' });
    const asked = b.tab.client.call('conversation.create', { kind: 'group', members: [], clientId: 'g' });
    await w.pass(1900);
    expect(text(await sent)).toBe('once');
    await asked;
    await w.pass(5000);
    a.tab.frozen = false;
    await w.pass(1000);
    expect(w.server.count('conversation.create')).toBe(1);
    expect(stored()).toEqual(['once']);
    expect(a.told).toEqual(['once']);
  });

  it('is frozen, and hears what the others say all the same', async () => {
    const { a, b, tabs } = await two();
    tabs.leaky = true;
    a.tab.visible = false;
    a.tab.frozen = true;
    a.tab.freezes(true);
    w.server.send('bob', me, 'while frozen');
    const sent = b.tab.client.sendMessage({ to: 'bob', content: 'once' });
    await w.pass(100); // the leader said so
    expect(b.told).toEqual(['while frozen']);
    expect(text(await sent)).toBe('once');
    a.tab.frozen = false;
    a.tab.freezes(false);
    a.tab.wake();
    await w.pass(1000);
    expect(sockets()).toBe(1);
    expect(a.told).toEqual(['while frozen', 'once']);
    expect(b.told).toEqual(['while frozen']);
  });

  it('is frozen for a moment that nobody saw: what was asked meanwhile is asked again', async () => {
    const { a, b, tabs } = await two();
    tabs.leaky = true;
    b.tab.visible = false;
    a.tab.frozen = true;
    a.tab.freezes(true);
    await w.pass();
    const asked = b.tab.client.call('user.get', { users: ['bob'] });
    await w.pass(5000);
    a.tab.frozen = false;
    a.tab.freezes(false);
    await w.pass(1000);
    expect((await asked).profiles).toHaveLength(1);
    expect(w.server.connections).toBe(1);
  });

  it('is frozen, hears what the others say, and nobody heard its farewell', async () => {
    const { a, b, tabs } = await two();
    b.tab.visible = false;
    await w.pass(1000);
    tabs.leaky = true;
    a.tab.frozen = true;
    a.tab.freezes(true);
    w.server.send('bob', me, 'while frozen');
    await w.pass(1000);
    expect(b.told).toEqual([]);
    b.tab.visible = true;
    b.tab.wake();
    await w.pass(700);
    expect(b.told).toEqual(['while frozen']);
    a.tab.frozen = false;
    a.tab.freezes(false);
    await w.pass(1000);
    expect(sockets()).toBe(1);
  });

  it('is frozen while nobody looks: it is replaced when somebody does', async () => {
    const { a, b } = await two();
    b.tab.visible = false;
    await w.pass(2000);
    a.tab.frozen = true;
    w.server.send('bob', me, 'hello');
    await w.pass(10_000);
    expect(w.server.connections).toBe(1);
    expect(b.told).toEqual([]);
    b.tab.visible = true;
    b.tab.wake();
    await w.pass(1900);
    expect(b.told).toEqual(['hello']);
    a.tab.frozen = false;
    await w.pass(500);
    expect(sockets()).toBe(1);
  });

  it('is one, whoever takes it away', async () => {
    const { a, b, open } = await two();
    const c = open();
    const d = open();
    await w.pass();
    a.tab.frozen = true;
    await w.pass(3000); // three want to be it at the same time
    expect(sockets()).toBe(1 + 1); // and that of the frozen one
    a.tab.frozen = false;
    await w.pass(1000);
    expect(sockets()).toBe(1);
    w.server.send('bob', me, 'hello');
    await w.pass();
    expect([a, b, c, d].map((x) => x.told)).toEqual([['hello'], ['hello'], ['hello'], ['hello']]);
  });
});

describe('a refusal reaches every tab', () => {
  it('kicked, and none comes back', async () => {
    const { a, b } = await two();
    for (const s of w.server.sessions) s.notify('kicked', { reason: 'session_limit' });
    await w.pass(5000);
    for (const { tab } of [a, b]) {
      expect(tab.client.state).toBe('kicked');
    }
    expect(w.server.connections).toBe(1);
  });

  it('kicked by a close code', async () => {
    const { a, b } = await two();
    w.server.cut(4202);
    await w.pass(5000);
    expect([a.tab.client.state, b.tab.client.state]).toEqual(['kicked', 'kicked']);
    expect(w.server.connections).toBe(1);
  });

  it('unauthorized, as each has a token of its own', async () => {
    const { a, b } = await two();
    w.server.tokens.clear();
    w.server.cut(4100);
    await w.pass(5000);
    expect([a.tab.client.state, b.tab.client.state]).toEqual(['unauthorized', 'unauthorized']);
  });

  it('a tab whose token is still good goes on', async () => {
    const { open } = browser();
    const a = open({ userToken: 'OLD' });
    w.server.tokens.set('OLD', 'me');
    await w.pass();
    const b = open();
    await w.pass();
    w.server.tokens.delete('OLD');
    w.server.cut(4100);
    await w.pass(2000);
    expect([a.tab.client.state, b.tab.client.state]).toEqual(['unauthorized', 'online']);
  });

  it('signing out in one signs out in all, and nothing is kept', async () => {
    for (const which of [0, 1]) {
      const { a, b, storage } = await two();
      w.server.send('bob', me, 'kept?');
      await w.pass(2000);
      const [out, other] = which ? [b, a] : [a, b];
      void out.tab.client.logout();
      await w.pass(3000);
      expect([out.tab.client.state, other.tab.client.state]).toEqual(['closed', 'unauthorized']);
      expect(other.tab.client.me).toBe(null);
      expect(other.tab.client.conversations.list()).toEqual([]);
      expect(await storage.list('')).toEqual([]);
      expect(sockets()).toBe(0);
      w.server.chats.clear();
    }
  });
});

describe('credentials', () => {
  it('are renewed by the leader alone', async () => {
    w.server.tokenLifeMs = 120_000;
    const asked = [0, 0];
    const { open } = browser();
    const ask = (i: number) => async () => {
      (asked[i] as number)++;
      return 'USER_TOKEN';
    };
    const all = [0, 1].map((i) => open({ getToken: ask(i), userToken: undefined as never }));
    await w.pass(100_000);
    expect(all.map(({ tab }) => tab.client.state)).toEqual(['online', 'online']);
    expect(asked[1]).toBe(0);
    expect(asked[0]).toBeGreaterThan(1);
    expect(w.server.connections).toBe(1);
  });
});
