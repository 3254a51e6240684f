import { describe, expect, it } from 'vitest';
import type { Message } from './sdk.js';
import { Refusal } from './server.js';
import { text, world } from './setup.js';

const w = world();
const bob = { user: 'me' };
const direct = 'd_bob_me';

async function online() {
  const c = w.client();
  const got: Message[] = [];
  c.onMessage((m) => got.push(m));
  void c.init();
  await w.pass();
  return { c, got, texts: () => got.map(text) };
}

function deliver(frame: string): void {
  for (const s of w.server.sessions) s.socket.deliver(frame);
}

/** JSON that is so many arrays deep. */
const deep = (n: number) => JSON.parse('['.repeat(n) + ']'.repeat(n));

describe('what makes no sense', () => {
  it('harms neither its neighbours in the frame nor what follows', async () => {
    // [P104]
    w.server.send('bob', bob, '1');
    const { c, texts } = await online();
    const methods = ['message', 'skip', 'conversation', 'self', 'receipt', 'member', 'gap', 'reauth', 'x', 5];
    const params = [
      ...[null, 5, 'text', [], {}, { conversation: direct }, { conversation: direct, rev: 'x' }],
      ...[
        { conversation: '__proto__', rev: 1 },
        { id: 'constructor', rev: 1 },
        { id: direct, left: 0 },
      ],
      { conversation: direct, rev: -1, seq: -1, user: null, read: 'x', markers: 5 },
    ];
    const bad = methods.flatMap((method) => params.map((p) => ({ jsonrpc: '2.0', method, params: p })));
    const good = { ...(w.server.chat(direct).messages[0] as Message), seq: 2, rev: 2, count: 2 };
    deliver(JSON.stringify([...bad, { jsonrpc: '2.0', method: 'message', params: good }, null, 1, [[]]]));
    for (const frame of ['', '{', '"x"', '[[]]', '\u0000']) deliver(frame);
    w.server.chat(direct).messages.push(good);
    Object.assign(w.server.chat(direct).head, { seq: 2, rev: 2, count: 2 });
    await w.pass(1000);
    w.server.send('bob', bob, '3');
    await w.pass(1000);
    expect(texts()).toEqual(['1', '3']);
    expect(c.conversations.peek(direct)).toMatchObject({ seq: 3, rev: 3, count: 3, unread: 3 });
    expect(({} as { rev?: number }).rev).toBeUndefined();
  });

  it('as a rev that does not exist, is asked for once and not for ever', async () => {
    w.server.send('bob', bob, '1');
    const { texts } = await online();
    const m = w.server.chat(direct).messages[0];
    for (const s of w.server.sessions) s.notify('message', { ...m, rev: 1000 });
    for (const s of w.server.sessions) s.notify('gap', { conversation: direct, rev: 400 });
    await w.pass(10_000);
    expect(w.server.count('message.changes') + w.server.count('message.list')).toBeLessThan(6);
    w.server.send('bob', bob, '2');
    await w.pass(1000);
    expect(texts()).toEqual(['2']);
  });

  it('as an answer, fails its call and no other', async () => {
    const { c } = await online();
    w.server.intercept = (op) => (op === 'conversation.get' ? 5 : undefined);
    const failed = c.conversations.get('x').then(
      () => 'resolved',
      () => 'rejected',
    );
    const ping = c.call('ping', {});
    await w.pass();
    expect((await ping).serverTime).toBeGreaterThan(0);
    expect(await failed).toBeDefined();
  });
});

describe('a reason that is not known', () => {
  it.each([
    ['too_many_kittens', 429, true],
    ['no_kittens_now', 503, true],
    ['no_kittens', 409, false],
    ['constructor', 401, false],
  ])('%s with code %i is retryable: %s', async (reason, code, retryable) => {
    const { c } = await online();
    w.server.code = code;
    w.server.intercept = (op) => {
      if (op === 'ping') throw new Refusal(reason);
    };
    const failed = expect(c.call('ping', {})).rejects.toMatchObject({ reason, retryable });
    await w.pass();
    await failed;
  });

  it('named like a method of every object is no token to renew', async () => {
    w.server.intercept = (op) => {
      if (op === 'session.open') throw new Refusal('constructor');
    };
    const c = w.client({ getToken: async () => 'USER_TOKEN' });
    void c.init();
    await w.pass(10_000);
    expect([c.state, w.server.connections]).toEqual(['unauthorized', 1]);
  });
});

describe('a frame that the server would refuse whole', () => {
  it('is not made of a request that is too deep or has too many values: that one fails at once', async () => {
    const { c } = await online();
    const fine = c.sendMessage({ to: 'bob', content: 'fine', ext: { a: deep(10) } });
    const tooDeep = c.sendMessage({ to: 'carol', content: 'x', ext: { a: deep(14) } });
    const tooMany = c.sendMessage({ to: 'dora', content: 'x', ext: { a: Array(4100).fill(1) } });
    const ends = [
      expect(tooDeep).rejects.toMatchObject({ reason: 'too_large', detail: { field: 'depth' } }),
      expect(tooMany).rejects.toMatchObject({ reason: 'too_large', detail: { field: 'items', max: 4096 } }),
    ];
    await w.pass();
    await Promise.all(ends);
    expect((await fine).seq).toBe(1);
  });

  it('is not made of requests that are too many together', async () => {
    const { c } = await online();
    const frames: string[] = [];
    const [session] = w.server.sessions;
    const receive = session?.receive.bind(session);
    if (session)
      session.receive = (frame) => {
        frames.push(frame);
        receive?.(frame);
      };
    const ids = Array.from({ length: 5000 }, (_, i) => `"quoted\\u00e9 [{,:]} ${i}`);
    const profiles = c.contacts.profiles(ids);
    await w.pass();
    expect((await profiles).length).toBe(5000);
    for (const frame of frames) expect(items(JSON.parse(frame))).toBeLessThanOrEqual(4096);
    expect(frames.length).toBe(2);
  });

  /** As the server counts: every value and every name. */
  function items(value: unknown): number {
    if (typeof value !== 'object' || value === null) return 1;
    const names = Array.isArray(value) ? 0 : Object.keys(value).length;
    return Object.values(value).reduce((n: number, v) => n + items(v), 1 + names);
  }
});

describe('another user', () => {
  it('who takes a clientId of mine is heard all the same', async () => {
    const { c, texts } = await online();
    const mine = c.sendMessage({ to: 'bob', content: 'mine' });
    await w.pass();
    w.server.send('bob', bob, 'copied', { clientId: mine.clientId });
    await w.pass();
    expect(texts()).toEqual(['copied']);
  });
});

describe('a conversation whose history is another', () => {
  it('is read anew, and heard again', async () => {
    for (let i = 1; i <= 5; i++) w.server.send('bob', bob, `old ${i}`);
    const { c, texts } = await online();
    const t = c.messages.timeline(direct);
    await w.pass();
    w.server.chats.delete(direct);
    w.server.lose = () => true;
    w.server.send('me', { user: 'bob' }, 'new 1');
    w.server.lose = () => false;
    for (const s of w.server.sessions) s.notify('gap', { conversation: direct, rev: 6 });
    await w.pass(1000);
    w.server.send('bob', bob, 'new 2');
    await w.pass(1000);
    expect(texts()).toEqual(['new 1', 'new 2']);
    expect(t.items.map((i) => (i.type === 'message' ? text(i.message) : i.type))).toEqual(['new 1', 'new 2']);
    expect(c.conversations.peek(direct)).toMatchObject({ seq: 2, count: 2, unread: 1 });
  });
});
