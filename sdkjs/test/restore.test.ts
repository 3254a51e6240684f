import { beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type Conversation,
  type IMError,
  type IMOptions,
  type Message,
  memoryStorage,
  type Outgoing,
  type PlatformAdapter,
  type StorageAdapter,
} from './sdk.js';
import { Refusal } from './server.js';
import { Locks, Tab, text, world } from './setup.js';

const w = world();
const direct = 'd_bob_me';
const day = 24 * 3_600_000;
let storage: StorageAdapter;
beforeEach(() => {
  storage = memoryStorage();
  w.server.tokens.set('EVE', 'eve');
});

/** A page of "me" on the storage that outlives it. */
function tab(o: Partial<IMOptions> = {}, p?: PlatformAdapter): Tab {
  return new Tab(w, { user: 'me', ...o, storage }, p);
}

async function online(o?: Partial<IMOptions>): Promise<Tab> {
  const t = tab(o);
  void t.client.init();
  await w.pass();
  expect(t.client.state).toBe('online');
  return t;
}

/** Another page after it, without a chance to say goodbye. */
async function reload(t: Tab, o?: Partial<IMOptions>): Promise<Tab> {
  t.kill();
  const next = t.again(o);
  void next.client.init();
  await w.pass();
  return next;
}

const say = (t: Tab, content: string, timeoutMs?: number) => {
  const handle = t.client.sendMessage({ to: 'bob', content, timeoutMs });
  handle.then(null, () => {});
  return handle;
};
/** Time passes in which no page is open. */
const away = (ms: number) => vi.setSystemTime(Date.now() + ms);
const rows = async (kind = 'out/') =>
  (await storage.list('')).filter(([k]) => k.includes(`]${kind}`)).map(([, v]) => v as Record<string, never>);
const log = (id = direct) => w.server.chats.get(id)?.messages.map(text) ?? [];
const sends = () => w.server.requests.filter((r) => r.op === 'message.send');
function outgoing(t: Tab): Outgoing[] {
  const all: Outgoing[] = [];
  t.client.on('outgoing', (o) => all.push(o));
  return all;
}
function errors(t: Tab): IMError[] {
  const all: IMError[] = [];
  t.client.on('error', (e) => all.push(e));
  return all;
}
const statuses = (all: Outgoing[]) =>
  all.map((o) => `${(o.params.content as { text: string }).text} ${o.status}`);

describe('a message that is to be sent', () => {
  it('is stored before the socket is touched, marked as sent, and gone when the server has it', async () => {
    const t = await online();
    let before: unknown[] = [];
    w.server.intercept = (op) => {
      if (op === 'message.send') void rows().then((r) => (before = r));
    };
    const handle = say(t, '1');
    await w.pass();
    expect(handle.status).toBe('sent');
    expect(before).toMatchObject([{ v: 1, clientId: handle.clientId, wired: expect.any(Number) }]);
    expect(await rows()).toEqual([]);
  });

  it('survives reloads and days offline: once, in order, before what is sent later', async () => {
    w.server.send('bob', { user: 'me' }, '0');
    let t = await online();
    w.server.down = true;
    w.server.cut();
    for (const content of ['1', '2']) say(t, content);
    await w.pass(100);
    t = await reload(t);
    say(t, '3');
    const shown = t.client.messages.timeline(direct);
    await w.pass(3_600_000);
    away(3 * day);
    t = await reload(t);
    const all = outgoing(t);
    say(t, '4');
    await w.pass(3_600_000);
    w.server.down = false;
    await w.pass(60_000);
    expect(log()).toEqual(['0', '1', '2', '3', '4']);
    expect(statuses(all).filter((s) => !/queued|sending/.test(s))).toEqual([
      '1 sent',
      '2 sent',
      '3 sent',
      '4 sent',
    ]);
    expect(await rows()).toEqual([]);
    shown.close();
  });

  it('of pages that are gone goes before what the new page sends at once, in the order of its sending', async () => {
    const tabs = [tab(), tab()];
    w.server.down = true;
    for (const n of [1, 2]) {
      for (const [i, t] of tabs.entries()) {
        say(t, `${n} of ${i}`);
        await w.pass(10);
      }
    }
    for (const t of tabs) t.kill();
    const t = tab();
    void t.client.init();
    for (const n of [1, 2, 3]) say(t, `${n} of the new one`);
    await w.pass(1000);
    w.server.down = false;
    await w.pass(60_000);
    const old = ['1 of 0', '1 of 1', '2 of 0', '2 of 1'];
    expect(log()).toEqual([...old, ...[1, 2, 3].map((n) => `${n} of the new one`)]);
  });

  it('is shown in its timeline, and in an event, by the page that comes after', async () => {
    w.server.send('bob', { user: 'me' }, '0');
    let t = await online();
    w.server.down = true;
    w.server.cut();
    const { clientId } = say(t, '1');
    await w.pass(2000);
    t.kill();
    t = t.again();
    const all = outgoing(t);
    void t.client.init();
    const timeline = t.client.messages.timeline(direct);
    await w.pass();
    expect(all).toMatchObject([{ clientId, status: 'queued', time: expect.any(Number) }]);
    expect(timeline.items).toMatchObject([
      { type: 'outgoing', key: clientId, outgoing: { status: 'queued' } },
    ]);
  });

  it('is not doubled, nor told as news, when the page died between sending and the answer', async () => {
    let t = await online();
    w.server.intercept = (op, p, s) => {
      if (op !== 'message.send') return undefined;
      w.server.run(op, p, s);
      return 'hang';
    };
    say(t, '1');
    await w.pass(10);
    expect(log()).toEqual(['1']);
    w.server.intercept = () => undefined;
    t.kill();
    t = t.again();
    const all = outgoing(t);
    const heard: Message[] = [];
    t.client.onMessage((m) => heard.push(m));
    void t.client.init();
    await w.pass(2000);
    expect(log()).toEqual(['1']);
    expect(statuses(all).at(-1)).toBe('1 sent');
    expect(heard).toEqual([]);
    expect(await rows()).toEqual([]);
  });

  it('is not lost when the page died between storing and sending', async () => {
    let t = await online();
    const write = storage.write;
    storage.write = async (changes) => {
      await write(changes);
      if (changes.some((c) => c.key.includes(']out/'))) t.kill();
    };
    say(t, '1');
    await w.pass();
    expect([log(), sends().length]).toEqual([[], 0]);
    storage.write = write;
    t = await reload(t);
    expect(log()).toEqual(['1']);
  });

  it('fails as expired when it was on the wire 29 days ago, and may be sent all the same', async () => {
    let t = await online();
    w.server.intercept = (op) => (op === 'message.send' ? 'hang' : undefined);
    const { clientId } = say(t, '1');
    await w.pass(100);
    t.kill();
    w.server.down = true;
    away(29 * day + 1000);
    w.server.down = false;
    w.server.intercept = () => undefined;
    t = t.again();
    const all = outgoing(t);
    const failed = errors(t);
    void t.client.init();
    await w.pass();
    expect(all.map((o) => o.error?.reason ?? o.status)).toEqual(['queued', 'expired']);
    expect([log(), failed.map((e) => e.reason)]).toEqual([[], []]); // the event tells of it
    t = await reload(t);
    expect(() => t.client.messages.resend('another')).toThrow();
    const again = t.client.messages.resend(clientId);
    await w.pass();
    expect(await again).toMatchObject({ clientId, seq: 1 });
  });

  it('that was never on the wire waits for longer', async () => {
    let t = tab();
    say(t, '1');
    await w.pass();
    away(60 * day);
    t = await reload(t);
    expect(log()).toEqual(['1']);
  });

  it('is given up at its deadline, also by the page that comes after', async () => {
    let t = tab();
    say(t, '1', 60_000);
    say(t, '2', 600_000);
    await w.pass(1000);
    t.kill();
    await w.pass(120_000);
    t = await reload(t);
    expect(log()).toEqual(['2']);
    expect((await rows()).map((r) => r.failed)).toMatchObject([{ reason: 'offline' }]);
  });

  it('that was refused stays, failed, until it is sent again or given up', async () => {
    let t = await online();
    w.server.intercept = (op) => {
      if (op === 'message.send') throw new Refusal('permission_denied');
    };
    const [a, b] = [say(t, '1'), say(t, '2')];
    await w.pass();
    w.server.intercept = () => undefined;
    t.kill();
    t = t.again();
    const all = outgoing(t);
    void t.client.init();
    await w.pass();
    expect(all.map((o) => [o.status, o.error?.reason])).toEqual([
      ['failed', 'permission_denied'],
      ['failed', 'permission_denied'],
    ]);
    expect(log()).toEqual([]);
    void t.client.messages.resend(a.clientId);
    expect(t.client.messages.cancel(b.clientId)).toBe('cancelled');
    await w.pass();
    expect([log(), await rows()]).toEqual([['1'], []]);
  });

  it('that was refused is forgotten after 30 days', async () => {
    const t = await online();
    w.server.intercept = (op) => {
      if (op === 'message.send') throw new Refusal('permission_denied');
    };
    say(t, '1');
    await w.pass();
    t.kill();
    away(31 * day);
    await reload(t);
    expect(await rows()).toEqual([]);
  });

  it('is kept where the token has ended, and goes when there is a valid one', async () => {
    const t = await online();
    w.server.tokens.delete('USER_TOKEN');
    const handle = say(t, '1');
    w.server.cut(4100);
    const end = expect(handle).rejects.toMatchObject({ reason: 'unauthenticated' });
    await w.pass(1000);
    await end;
    expect([t.client.state, handle.status]).toEqual(['unauthorized', 'queued']);
    w.server.tokens.set('NEW', 'me');
    await reload(t, { userToken: 'NEW' });
    expect(log()).toEqual(['1']);
  });

  it('stays when the client is closed, and goes when it begins again', async () => {
    const t = await online();
    w.server.mute = true;
    const handle = say(t, '1');
    await w.pass();
    const end = expect(handle).rejects.toMatchObject({ reason: 'aborted' });
    await t.client.close();
    await end;
    expect(handle.status).toBe('queued');
    w.server.mute = false;
    void t.client.init();
    const again = t.client.messages.resend(handle.clientId); // somebody waits again
    await w.pass();
    expect(text(await again)).toBe('1');
    expect([log(), await rows()]).toEqual([['1'], []]);
  });
});

describe('another user', () => {
  it('never sends, sees or removes what is not his', async () => {
    const users = ['me', 'eve', 'me"]', 'me","x', '"me"', 'm', 'e', 'me/', ' me', 'Me', 'me\ud800'];
    let t = await online();
    w.server.down = true;
    w.server.cut();
    say(t, 'of me');
    await w.pass(2000);
    t.kill();
    w.server.down = false;
    for (const user of users.slice(1)) {
      w.server.tokens.set('THEIRS', user);
      for (const named of [user, undefined]) {
        t = new Tab(w, { user: named as string, userToken: 'THEIRS', storage });
        const all = outgoing(t);
        void t.client.init();
        await w.pass(1000);
        expect([t.client.state, all, sends().length], user).toEqual(['online', [], 0]);
        await Promise.all([t.client.logout(), w.pass(100)]);
        t.kill();
      }
    }
    expect((await rows()).length).toBe(1);
    t = await online();
    expect(w.server.chat(direct).messages.map((m) => [m.from, text(m)])).toEqual([['me', 'of me']]);
  });

  it('than the page says is refused, and nothing is sent', async () => {
    const t = tab();
    say(t, 'of me');
    await w.pass(100);
    const eve = await reload(t, { userToken: 'EVE' });
    say(eve, 'of me too');
    await w.pass(10_000);
    expect([eve.client.state, eve.client.me?.id, sends()]).toEqual(['unauthorized', 'me', []]);
    const me = await reload(eve, { userToken: 'USER_TOKEN' });
    expect(log()[0]).toBe('of me');
    expect(me.client.me?.id).toBe('me');
    expect([...w.server.chats.keys()]).toEqual([direct]);
  });

  it('who comes where the page does not say who it is has only what is his', async () => {
    const anyone = { user: undefined } as never;
    let t = await online(anyone);
    w.server.down = true;
    w.server.cut();
    say(t, 'of me');
    await w.pass(2000);
    expect((await rows()).length).toBe(1);
    t.kill();
    t = t.again({ userToken: 'EVE' });
    const early = say(t, 'of eve'); // nobody knows yet whose it is
    void t.client.init();
    await w.pass(2000);
    expect([early.status, t.client.me, t.client.conversations.list(), (await rows()).length]).toEqual([
      'queued',
      null,
      [],
      1,
    ]);
    w.server.down = false;
    await w.pass(60_000);
    expect(w.server.chat('d_bob_eve').messages.map((m) => [m.from, text(m)])).toEqual([['eve', 'of eve']]);
    expect([...w.server.chats.keys()]).toEqual(['d_bob_eve']);
    await reload(t, { userToken: 'USER_TOKEN' });
    expect(log()).toEqual(['of me']);
  });

  it('after logout in the same page begins with nothing', async () => {
    w.server.send('bob', { user: 'me' }, 'secret');
    const t = await online();
    t.client.messages.timeline(direct);
    await w.pass(2000);
    w.server.down = true;
    w.server.cut();
    say(t, 'of me');
    await w.pass(100);
    expect([(await rows()).length, (await rows('cache/')).length]).toEqual([1, 3]);
    await Promise.all([t.client.logout(), w.pass(3000)]);
    expect(await storage.list('')).toEqual([]);
    w.server.down = false;
    const other = await online();
    expect(log()).toEqual(['secret']);
    await Promise.all([other.client.logout(), w.pass(3000)]);
    expect(await storage.list('')).toEqual([]);
  });
});

describe('cancel', () => {
  it('tells whether the message had left', async () => {
    const t = tab();
    const { messages } = t.client;
    expect(messages.cancel(say(t, 'waits').clientId)).toBe('cancelled');
    void t.client.init();
    await w.pass();
    w.server.intercept = (op) => (op === 'message.send' ? 'hang' : undefined);
    const sending = say(t, 'left');
    const behind = say(t, 'behind it');
    const end = expect(sending).rejects.toMatchObject({ reason: 'aborted' });
    await w.pass(10);
    expect([messages.cancel(behind.clientId), messages.cancel(sending.clientId)]).toEqual([
      'cancelled',
      'unknown',
    ]);
    await end;
    expect(await rows()).toEqual([]);
    w.server.intercept = () => undefined;
    const sent = say(t, 'there');
    await w.pass();
    expect([sent.cancel(), sent.status]).toEqual(['sent', 'sent']);
    expect(log()).toEqual(['there']);
  });

  it('of what left before a reload does not pretend', async () => {
    let t = await online();
    w.server.intercept = (op) => (op === 'message.send' ? 'hang' : undefined);
    const { clientId } = say(t, 'left');
    await w.pass(10);
    w.server.down = true;
    t = await reload(t);
    expect(t.client.messages.cancel(clientId)).toBe('unknown');
    w.server.down = false;
    await w.pass(60_000);
    expect([sends().length, await rows()]).toEqual([1, []]);
  });
});

describe('what became of a message', () => {
  it('is told when the other one got it and read it', async () => {
    w.server.send('bob', { user: 'me' }, '0');
    const t = await online();
    const all = outgoing(t);
    const handles = ['1', '2', '3'].map((content) => say(t, content));
    await w.pass();
    for (const s of w.server.sessions)
      s.notify('receipt', { conversation: direct, user: 'bob', read: 2, delivered: 3 });
    await w.pass();
    expect(handles.map((h) => h.status)).toEqual(['read', 'delivered', 'sent']);
    for (const s of w.server.sessions)
      s.notify('receipt', { conversation: direct, user: 'bob', read: 4, delivered: 4 });
    await w.pass();
    expect(handles.map((h) => h.status)).toEqual(['read', 'read', 'read']);
    expect(statuses(all).filter((s) => /delivered|read/.test(s))).toEqual([
      '1 read',
      '2 delivered',
      '2 read',
      '3 read',
    ]);
  });
});

describe('a damaged row', () => {
  it('is left out and told of once; one of a newer version is left alone', async () => {
    const t = tab();
    say(t, 'good');
    await w.pass(100);
    const [[key, good]] = (await storage.list('')).filter(([k]) => k.includes(']out/')) as [[string, object]];
    const at = (id: string, value: unknown) => ({ key: key.replace(/[^/]*$/, id), value });
    const newer = at('newer', { v: 2, something: 'else' });
    await storage.write([
      ...[null, 5, 'x', [], {}, { v: 1 }, { ...good, clientId: 'y' }].map((v, i) => at(`bad${i}`, v)),
      at('b1', { ...good, params: null }),
      at('b2', { ...good, clientId: 'b2', order: 'x' }),
      newer,
    ]);
    t.kill();
    const next = t.again();
    const told = errors(next);
    void next.client.init();
    await w.pass();
    expect([log(), told.map((e) => e.reason)]).toEqual([['good'], ['storage']]);
    expect((await storage.list('')).filter(([k]) => k.includes(']out/'))).toEqual([[newer.key, newer.value]]);
  });
});

describe('two tabs', () => {
  it('send each what is theirs, and what a tab left that is gone', async () => {
    w.server.send('bob', { user: 'me' }, '0');
    const locks = new Locks();
    const [one, two] = [locks.page(), locks.page()];
    const a = tab({}, { locks: one });
    void a.client.init();
    await w.pass();
    w.server.intercept = (op, p) => (op === 'message.send' && p.content.text === 'a1' ? 'hang' : undefined);
    say(a, 'a1');
    say(a, 'a2');
    await w.pass();
    const b = tab({}, { locks: two });
    const all = outgoing(b);
    void b.client.init();
    say(b, 'b1');
    await w.pass(1000);
    expect([log(), statuses(all).at(-1)]).toEqual([['0', 'b1'], 'b1 sent']);
    expect(sends().map((r) => r.params.content.text)).toEqual(['a1', 'b1']);
    a.kill();
    one.end();
    w.server.intercept = () => undefined;
    await w.pass(1000);
    expect(log()).toEqual(['0', 'b1', 'a1', 'a2']);
    expect(await rows()).toEqual([]);
  });

  it.each([
    [
      'are not allowed',
      () => {
        throw new DOMException('no', 'SecurityError');
      },
    ],
    ['are denied', () => Promise.reject(new DOMException('no', 'SecurityError'))],
    ['never answer', () => new Promise(() => {})],
  ])(
    'where locks %s: what is sent now goes, and what was left too, unless locks are silent',
    async (how, request) => {
      const a = tab({}, { locks: { request } });
      say(a, 'a');
      await w.pass(1000);
      expect((await rows()).length).toBe(1);
      const b = await reload(a);
      say(b, 'b');
      await w.pass(1000);
      expect(log()).toEqual(how === 'never answer' ? ['b'] : ['a', 'b']);
    },
  );

  it('that end in the same moment leave everything to the third, once', async () => {
    const locks = new Locks();
    const pages = [locks.page(), locks.page()];
    w.server.down = true;
    const tabs = pages.map((page) => tab({}, { locks: page }));
    tabs.forEach((t, i) => {
      void t.client.init();
      say(t, `${i}`);
    });
    await w.pass(1000);
    const thirds = [locks.page(), locks.page()].map((page) => tab({}, { locks: page }));
    for (const t of thirds) void t.client.init();
    await w.pass(1000);
    for (const t of tabs) t.kill();
    for (const p of pages) p.end();
    w.server.down = false;
    await w.pass(60_000);
    expect([log().sort(), sends().length, await rows()]).toEqual([['0', '1'], 2, []]);
  });
});

describe('the cache', () => {
  const list = (t: Tab) =>
    t.client.conversations.list().map((c) => [c.id, c.unread, c.lastMessage && text(c.lastMessage)]);
  const shown = (items: readonly { type: string }[]) =>
    items.map((i) => (i.type === 'message' ? text((i as unknown as { message: Message }).message) : i.type));

  it('shows the list and the messages before the server answers, and without it', async () => {
    w.server.create('g_x', 'group', ['bob', 'me'], 'Group');
    await w.pass();
    for (const content of ['1', '2', '3']) w.server.send('bob', { user: 'me' }, content);
    let t = await online();
    void t.client.contacts.profiles(['bob']);
    t.client.messages.timeline(direct);
    await w.pass(2000);
    w.server.down = true;
    t.kill();
    t = t.again();
    const painted: Conversation[][] = [];
    t.client.conversations.watch((l) => painted.push(l));
    void t.client.init();
    const timeline = t.client.messages.timeline(direct);
    await w.pass(0);
    expect(painted.at(-1)?.map((c) => c.id)).toEqual([direct, 'g_x']);
    expect([t.client.me?.id, t.client.contacts.peek('bob')?.name, t.client.conversations.unread]).toEqual([
      'me',
      'BOB',
      3,
    ]);
    expect([shown(timeline.items), timeline.loaded, timeline.hasOlder]).toEqual([
      ['1', '2', '3'],
      true,
      false,
    ]);
    await w.pass(60_000);
    expect([timeline.error, shown(timeline.items)]).toEqual([null, ['1', '2', '3']]);
  });

  it('forgets what the server no longer keeps, as soon as the list tells', async () => {
    for (const content of ['1', '2', '3']) w.server.send('bob', { user: 'me' }, content);
    let t = await online();
    t.client.messages.timeline(direct);
    await w.pass(2000);
    t.kill();
    w.server.prune(direct, 2);
    w.server.send('bob', { user: 'me' }, '4');
    t = t.again();
    void t.client.init();
    await w.pass(1000);
    const timeline = t.client.messages.timeline(direct);
    await w.pass(1000);
    expect(shown(timeline.items)).toEqual(['3', '4']);
    expect(timeline.hasOlder).toBe(false);
  });

  it('costs a session and a sync where nothing changed', async () => {
    w.server.send('bob', { user: 'me' }, '1');
    let t = await online();
    t.client.messages.timeline(direct);
    await w.pass(2000);
    t.kill();
    const before = w.server.requests.length;
    t = t.again();
    t.client.onMessage(() => {});
    const timeline = t.client.messages.timeline(direct);
    void t.client.init();
    await w.pass(1000);
    expect(shown(timeline.items)).toEqual(['1']);
    expect(w.server.requests.slice(before).map((r) => r.op)).toEqual(['session.open', 'sync']);
  });

  it('asks for nothing that nobody looks at, and tells what has come since the page did', async () => {
    for (const user of ['bob', 'carol', 'dave']) w.server.send(user, { user: 'me' }, '1');
    let t = await online();
    await w.pass(2000);
    t.kill();
    for (const user of ['bob', 'carol']) w.server.send(user, { user: 'me' }, 'while away');
    await w.pass(1000);
    const before = w.server.requests.length;
    w.server.intercept = (op) => {
      if (op !== 'sync') return;
      w.server.intercept = () => undefined;
      w.server.send('bob', { user: 'me' }, 'as it came');
    };
    t = t.again();
    const heard: Message[] = [];
    t.client.onMessage((m) => heard.push(m));
    void t.client.init();
    await w.pass(1000);
    const asked = w.server.requests.slice(before).map((r) => [r.op, r.params.conversation]);
    expect(asked).toEqual([
      ['session.open', undefined],
      ['sync', undefined],
      ['message.changes', direct],
    ]);
    expect(heard.map(text)).toEqual(['as it came']);
    expect(t.client.conversations.unread).toBe(6);
  });

  it('of a conversation whose changes cannot be had begins anew', async () => {
    w.server.send('bob', { user: 'me' }, '1');
    const t = await online();
    const timeline = t.client.messages.timeline(direct);
    await w.pass();
    w.server.lose = () => true;
    w.server.send('bob', { user: 'me' }, '2');
    w.server.lose = () => false;
    w.server.intercept = (op) => {
      if (op === 'message.changes') throw new Refusal('permission_denied');
    };
    w.server.send('bob', { user: 'me' }, '3');
    await w.pass(3000);
    expect(shown(timeline.items)).toEqual(['1', '2', '3']);
  });

  it('hides no change: what is new, edited, left, joined and read meanwhile', async () => {
    for (let i = 1; i <= 150; i++) w.server.send('bob', { user: 'me' }, `${i}`);
    w.server.create('g_left', 'group', ['bob', 'me']);
    let t = await online();
    const old = t.client.messages.timeline(direct);
    await w.pass(2000);
    old.close();
    await w.pass(2000);
    t.kill();
    w.server.edit(direct, 149, 'edited');
    w.server.edit(direct, 3, 'edited before the cache');
    for (const content of ['151', '152']) w.server.send('bob', { user: 'me' }, content);
    w.server.mark(direct, 'me', 151);
    w.server.changeMembers('g_left', ['me'], false);
    w.server.create('g_new', 'group', ['bob', 'me']);
    await w.pass(1000);
    t = t.again();
    const heard: Message[] = [];
    t.client.onMessage((m) => heard.push(m));
    const timeline = t.client.messages.timeline(direct);
    void t.client.init();
    await w.pass(0);
    expect(shown(timeline.items).at(-1)).toBe('150');
    await w.pass(1000);
    expect(list(t).sort()).toEqual([
      [direct, 1, '152'],
      ['g_new', 0, undefined],
    ]);
    expect(shown(timeline.items).slice(-4)).toEqual(['edited', '150', '151', '152']);
    expect(heard).toEqual([]); // it is history
    await Promise.all([timeline.loadOlder({ limit: 100 }), w.pass()]);
    expect(shown(timeline.items)).toEqual(w.server.chat(direct).messages.map(text));
    expect(w.server.count('message.list')).toBe(2);
    w.server.send('bob', { user: 'me' }, 'news');
    await w.pass();
    expect(heard.map(text)).toEqual(['news']);
  });

  it('shows a timeline that is opened again at once, and then what it missed', async () => {
    w.server.send('bob', { user: 'me' }, '1');
    const t = await online();
    t.client.onMessage(() => {});
    const changed: Message[] = [];
    t.client.on('messageChanged', (m) => changed.push(m));
    const first = t.client.messages.timeline(direct);
    await w.pass();
    first.close();
    w.server.send('bob', { user: 'me' }, '2');
    w.server.edit(direct, 1, 'edited');
    await w.pass();
    const second = t.client.messages.timeline(direct);
    await w.pass(0);
    expect(shown(second.items)).toEqual(['1']);
    await w.pass();
    expect(shown(second.items)).toEqual(['edited', '2']);
    expect([w.server.count('message.list'), w.server.count('message.changes'), changed.length]).toEqual([
      1, 1, 1,
    ]);
  });

  it('is nothing in another history', async () => {
    w.server.send('bob', { user: 'me' }, '1');
    w.server.send('bob', { user: 'me' }, '2');
    w.server.send('carol', { user: 'me' }, 'of e1');
    let t = await online();
    for (const id of [direct, 'd_carol_me']) t.client.messages.timeline(id);
    await w.pass(2000);
    const of1 = (await storage.list('')).find(([k]) => k.endsWith('page/d_carol_me')) as [string, string];
    t.kill();
    w.server.epoch = 'e2'; // a backup from before the second message, and another one since
    w.server.chats.clear();
    w.server.send('bob', { user: 'me' }, '1');
    w.server.send('bob', { user: 'me' }, 'other');
    t = t.again();
    const timeline = t.client.messages.timeline(direct);
    void t.client.init();
    await w.pass(1000);
    expect([shown(timeline.items), list(t)]).toEqual([['1', 'other'], [[direct, 2, 'other']]]);
    await w.pass(2000);
    expect(JSON.stringify(await rows('cache/'))).not.toContain('e1');
    w.server.send('carol', { user: 'me' }, 'of e2');
    await w.pass();
    await storage.write([{ key: of1[0], value: of1[1].replace('"rev":1', '"rev":99') }]); // another tab was late
    const other = t.client.messages.timeline('d_carol_me');
    await w.pass();
    expect(shown(other.items)).toEqual(['of e2']);
  });

  it('that is damaged is dropped and told of once', async () => {
    w.server.send('bob', { user: 'me' }, '1');
    let t = await online();
    t.client.messages.timeline(direct);
    await w.pass(2000);
    t.kill();
    const keys = (await storage.list('')).map(([k]) => k);
    const heads = (await storage.get(keys.find((k) => k.endsWith('heads')) as string)) as string;
    const page = (await storage.get(keys.find((k) => k.includes('page')) as string)) as string;
    const noRev = heads.replace(/"rev":1/g, '"rev":"x"');
    for (const value of [5, null, '', '{', '[]', '{"v":1}', noRev, heads.slice(0, 99), heads]) {
      for (const other of ['{', '{}', '{"messages":[null]}', page]) {
        await storage.write(keys.map((key) => ({ key, value: key.endsWith('heads') ? value : other })));
        t = t.again();
        const told = errors(t);
        const timeline = t.client.messages.timeline(direct);
        void t.client.init();
        await w.pass(100);
        expect([list(t), shown(timeline.items)], `${value}`).toEqual([[[direct, 1, '1']], ['1']]);
        expect([told.length < 2, value !== '{' || told[0]?.reason]).toEqual([
          true,
          value !== '{' || 'storage',
        ]);
        t.kill();
      }
    }
    await storage.write(keys.map((key) => ({ key, value: '{"v":99}' })));
    t = t.again();
    const told = errors(t);
    void t.client.init();
    await w.pass(100);
    expect([list(t), told]).toEqual([[[direct, 1, '1']], []]);
  });

  it('is written when the page may end', async () => {
    let hide = () => {};
    const onHide = (fn: () => void) => {
      hide = fn;
      return () => {};
    };
    const t = tab({}, { onHide });
    void t.client.init();
    await w.pass(3000);
    w.server.send('bob', { user: 'me' }, 'last words');
    await w.pass(5);
    hide();
    await w.pass(0);
    t.kill();
    expect(JSON.stringify(await rows('cache/'))).toContain('last words');
  });

  it('is written when the connection is lost', async () => {
    const t = await online();
    w.server.send('bob', { user: 'me' }, 'last words');
    await w.pass(5);
    w.server.down = true;
    w.server.cut();
    await w.pass(5);
    t.kill();
    expect(JSON.stringify(await rows('cache/'))).toContain('last words');
  });

  it('is written once for what changes in a second', async () => {
    let writes = 0;
    const { write } = storage;
    storage.write = (changes) => {
      writes++;
      return write(changes);
    };
    await online();
    await w.pass(2000);
    writes = 0;
    for (let i = 0; i < 50; i++) {
      w.server.send('bob', { user: 'me' }, `${i}`);
      await w.pass(10);
    }
    await w.pass(2000);
    expect(writes).toBeLessThanOrEqual(2);
  });

  it('keeps the 50 conversations that were opened last, 100 messages of each, and not too much of any', async () => {
    for (let c = 0; c < 60; c++) w.server.create(`g_${c}`, 'group', ['bob', 'me']);
    for (let i = 0; i < 150; i++) w.server.send('bob', { conversation: 'g_59' }, `${i}`);
    for (let i = 0; i < 20; i++) w.server.send('bob', { conversation: 'g_58' }, 'x'.repeat(30_000));
    const t = await online();
    for (let c = 0; c < 60; c++) {
      if (c < 58) w.server.send('bob', { conversation: `g_${c}` }, 'x');
      const timeline = t.client.messages.timeline(`g_${c}`);
      await w.pass(20);
      if (c === 59) {
        void timeline.loadOlder({ limit: 100 });
        await w.pass(20);
      }
      timeline.close();
    }
    await w.pass(2000);
    const all = await storage.list('');
    const pages = all.filter(([k]) => k.includes('cache/page/'));
    expect([pages.length, all.filter(([k]) => k.includes('cache/used/')).length]).toEqual([50, 50]);
    expect(pages.some(([k]) => k.endsWith('/g_9'))).toBe(false);
    const of = (id: string) => JSON.parse(pages.find(([k]) => k.endsWith(`/${id}`))?.[1] as string);
    expect([of('g_59').messages.length, of('g_59').from, of('g_59').to]).toEqual([100, 51, 150]);
    expect(of('g_58').messages.length).toBeLessThan(10);
    w.server.down = true;
    const next = await reload(t);
    const timeline = next.client.messages.timeline('g_59');
    await w.pass(0);
    expect([timeline.items.length, timeline.hasOlder]).toEqual([100, true]);
  });

  it('of more than 1,000 conversations has the newest, and hides none of the others', async () => {
    for (let c = 0; c < 1010; c++) {
      w.server.create(`g_${c}`, 'group', ['bob', 'me']);
      w.server.send('bob', { conversation: `g_${c}` }, 'x');
      if (c % 100 === 0) await w.pass(1);
    }
    let t = await online();
    await w.pass(3000);
    t.kill();
    w.server.down = true;
    t = t.again();
    void t.client.init();
    await w.pass();
    expect(t.client.conversations.list().length).toBe(1000);
    w.server.down = false;
    await w.pass(60_000);
    expect(t.client.conversations.list().length).toBe(1010);
  });
});
