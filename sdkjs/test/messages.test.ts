import { describe, expect, it } from 'vitest';
import type { Gap, IMClient, Message } from './sdk.js';
import { Refusal } from './server.js';
import { text, world } from './setup.js';

const w = world();
const bob = { user: 'me' };
const direct = 'd_bob_me';

function heard(c: IMClient) {
  const got: Message[] = [];
  c.onMessage((m) => got.push(m));
  return { got, texts: () => got.map(text), seqs: () => got.map((m) => m.seq) };
}

async function online() {
  const c = w.client();
  const h = heard(c);
  void c.init();
  await w.pass();
  return { c, ...h };
}

describe('onMessage', () => {
  it('tells what comes after init, and not what was there before', async () => {
    w.server.send('bob', bob, 'old');
    await w.pass(1000);
    const { texts } = await online();
    w.server.send('bob', bob, 'new');
    await w.pass();
    expect(texts()).toEqual(['new']);
  });

  it('misses nothing that comes between session.open and the first sync', async () => {
    w.server.send('bob', bob, 'old');
    w.server.create('g_1', 'group', ['bob', 'me']);
    w.server.send('bob', { conversation: 'g_1' }, 'old');
    await w.pass(1000);
    const c = w.client();
    const { texts } = heard(c);
    w.server.intercept = (op) => {
      if (op === 'sync') {
        w.server.intercept = () => undefined;
        w.server.send('bob', { conversation: 'g_1' }, 'four');
        w.server.send('bob', bob, 'one');
        w.server.send('bob', bob, 'two');
        w.server.send('carol', bob, 'three');
      }
    };
    void c.init();
    await w.pass();
    expect(texts().sort()).toEqual(['four', 'one', 'three', 'two']);
  });

  it('applies events that come before the answer of sync', async () => {
    // [P98]
    w.server.send('bob', bob, 'old');
    await w.pass(1000);
    const c = w.client();
    const { texts } = heard(c);
    w.server.intercept = (op, _, session) => {
      if (op !== 'sync') return undefined;
      const chat = w.server.chat(direct);
      const m = {
        ...(chat.messages[0] as Message),
        seq: 2,
        rev: 2,
        count: 2,
        content: { text: 'early' },
        clientId: 'x',
      };
      const row = w.server.view(chat, 'me');
      session.socket.deliver(JSON.stringify({ jsonrpc: '2.0', method: 'message', params: m }));
      chat.messages.push(m);
      return { conversations: [row], cursor: 'e1:9', more: false };
    };
    void c.init();
    await w.pass();
    expect(texts()).toEqual(['early']);
  });

  it('tells each message once, ascending, though events are doubled and reordered', async () => {
    // [P92] [P95]
    w.server.send('bob', bob, '1');
    const { seqs } = await online();
    const [session] = w.server.sessions;
    const sent: Message[] = [];
    w.server.lose = () => true;
    for (let i = 2; i <= 6; i++) sent.push(w.server.send('bob', bob, `${i}`));
    w.server.lose = () => false;
    for (const i of [1, 0, 0, 3, 2, 4, 1]) session?.notify('message', sent[i]);
    await w.pass();
    expect(seqs()).toEqual([2, 3, 4, 5, 6]);
    expect(w.server.count('message.changes')).toBe(0);
    await w.pass(1000);
    expect(w.server.count('message.changes')).toBe(0);
  });

  it('finds a lost event 300 ms after the next one', async () => {
    // [P92]
    w.server.send('bob', bob, '1');
    const { seqs } = await online();
    w.server.lose = (method) => method === 'message';
    w.server.send('bob', bob, '2');
    w.server.lose = () => false;
    w.server.send('bob', bob, '3');
    await w.pass(250);
    expect(seqs()).toEqual([]);
    await w.pass(100);
    expect(seqs()).toEqual([2, 3]);
    expect(w.server.requests.at(-1)).toMatchObject({
      op: 'message.changes',
      params: { conversation: direct, rev: 1 },
    });
  });

  it('reads the pages of changes to their end', async () => {
    w.server.send('bob', bob, '1');
    const { seqs } = await online();
    w.server.lose = () => true;
    for (let i = 2; i <= 250; i++) w.server.send('bob', bob, `${i}`);
    w.server.lose = () => false;
    w.server.send('bob', bob, 'last');
    await w.pass(1000);
    expect(seqs()).toEqual(Array.from({ length: 250 }, (_, i) => i + 2));
    expect(w.server.count('message.changes')).toBe(3);
  });

  it('tells new messages ascending though an edit moved one behind the others', async () => {
    w.server.send('bob', bob, '1');
    const { c, seqs } = await online();
    const edits: Message[] = [];
    c.on('messageChanged', (m) => edits.push(m));
    w.server.lose = () => true;
    for (let i = 2; i <= 4; i++) w.server.send('bob', bob, `${i}`);
    w.server.edit(direct, 2, 'edited');
    w.server.lose = () => false;
    w.server.edit(direct, 1, 'edited too');
    await w.pass(1000);
    expect(seqs()).toEqual([2, 3, 4]);
    expect(edits.map((m) => [m.seq, text(m)])).toEqual([[1, 'edited too']]);
  });

  it('takes skip for the message that it stands for', async () => {
    // [P93]
    w.server.send('bob', bob, '1');
    const { seqs } = await online();
    const [session] = w.server.sessions;
    session?.notify('skip', { conversation: direct, rev: 2 });
    const chat = w.server.chat(direct);
    chat.head.rev = 2;
    w.server.send('bob', bob, 'after');
    await w.pass(1000);
    expect(seqs()).toEqual([2]);
    expect(w.server.count('message.changes')).toBe(0);
  });

  it('repairs what a gap names, and syncs for a gap without a name', async () => {
    // [P96] [P98]
    w.server.send('bob', bob, '1');
    const { texts } = await online();
    const [session] = w.server.sessions;
    w.server.lose = (method) => method === 'message';
    w.server.send('bob', bob, '2');
    session?.notify('gap', { conversation: direct, rev: 2 });
    await w.pass();
    expect(texts()).toEqual(['2']);
    w.server.send('bob', bob, '3');
    w.server.send('carol', bob, 'hello');
    session?.notify('gap', {});
    await w.pass(1000);
    expect(texts().sort()).toEqual(['2', '3', 'hello']);
  });

  it('tells what came while the connection was lost, once, in order', async () => {
    w.server.send('bob', bob, '1');
    const { c, texts } = await online();
    w.server.send('bob', bob, '2');
    await w.pass();
    w.server.down = true;
    w.server.cut();
    w.server.send('bob', bob, '3');
    w.server.send('bob', bob, '4');
    w.server.send('dora', bob, 'new here');
    w.server.create('g_1', 'group', ['dora']);
    w.server.send('dora', { conversation: 'g_1' }, 'before you');
    w.server.changeMembers('g_1', ['me'], true);
    w.server.send('dora', { conversation: 'g_1' }, 'welcome');
    w.server.down = false;
    await w.pass(1000);
    w.server.send('bob', bob, '5');
    await w.pass();
    expect(texts().filter((t) => String(t).length === 1)).toEqual(['2', '3', '4', '5']);
    expect(texts()).toEqual(expect.arrayContaining(['new here', 'welcome']));
    expect(texts()).not.toContain('before you');
    expect(c.conversations.peek(direct)?.unread).toBe(5);
  });

  it('survives a hundred lost connections with nothing missing or doubled', async () => {
    w.server.send('bob', bob, '1');
    const { seqs } = await online();
    for (let i = 0; i < 100; i++) {
      w.server.send('bob', bob, 'x');
      await w.pass(i % 7);
      w.server.cut(i % 2 ? 1006 : 4000);
      w.server.send('bob', bob, 'y');
      await w.pass(i % 3 ? 3 : 700);
    }
    await w.pass(60_000);
    expect(seqs()).toEqual(Array.from({ length: 200 }, (_, i) => i + 2));
  });

  it('takes the newest page and tells of a gap when it is more than 5 pages behind', async () => {
    w.server.send('bob', bob, '1');
    const { c, seqs } = await online();
    const gaps: Gap[] = [];
    c.on('gap', (g) => gaps.push(g));
    w.server.cut();
    for (let i = 2; i <= 700; i++) w.server.send('bob', bob, `${i}`);
    await w.pass(1000);
    expect(gaps).toEqual([{ conversation: direct, from: 2, to: 600 }]);
    expect(seqs()).toEqual(Array.from({ length: 100 }, (_, i) => i + 601));
    w.server.send('bob', bob, 'after');
    await w.pass();
    expect(seqs().at(-1)).toBe(701);
  });

  it('does the same when the server answers reset', async () => {
    w.server.send('bob', bob, '1');
    const { seqs } = await online();
    w.server.intercept = (op) =>
      op === 'message.changes' ? { messages: [], rev: 2, more: false, reset: true } : undefined;
    w.server.cut();
    w.server.send('bob', bob, '2');
    await w.pass(1000);
    expect(seqs()).toEqual([2]);
  });

  it('tells what others write in a conversation that did not exist', async () => {
    const { texts } = await online();
    w.server.send('bob', bob, 'hello');
    w.server.send('bob', bob, 'are you there?');
    await w.pass();
    expect(texts()).toEqual(['hello', 'are you there?']);
  });

  it('asks for a conversation that an event names, and loses nothing meanwhile', async () => {
    const { c, texts } = await online();
    w.server.lose = (method) => method === 'conversation';
    w.server.latencyMs = 20;
    w.server.send('bob', bob, 'one');
    await w.pass(25);
    w.server.send('bob', bob, 'two');
    await w.pass(500);
    expect(texts()).toEqual(['one', 'two']);
    expect(w.server.count('conversation.get')).toBe(1);
    expect(c.conversations.list()[0]).toMatchObject({ id: direct, unread: 2, peer: 'bob' });
  });

  it('keeps the order when more comes while a new conversation is read', async () => {
    const { seqs } = await online();
    w.server.intercept = (op, p, s) => {
      if (op !== 'message.list') return undefined;
      w.server.intercept = () => undefined;
      const page = structuredClone(w.server.run(op, p, s));
      w.server.send('bob', bob, 'later');
      return new Promise((done) => setTimeout(() => done(page), 20));
    };
    w.server.send('bob', bob, 'one');
    w.server.send('bob', bob, 'two');
    await w.pass(1000);
    expect(seqs()).toEqual([1, 2, 3]);
  });

  it('applies the event that named a conversation, though the answer is older', async () => {
    w.server.create('g_1', 'group', ['bob']);
    w.server.send('bob', { conversation: 'g_1' }, 'history');
    await w.pass(1000);
    const { texts } = await online();
    w.server.lose = (method) => method === 'conversation';
    w.server.changeMembers('g_1', ['me'], true);
    const old = structuredClone(w.server.view(w.server.chat('g_1'), 'me'));
    w.server.intercept = (op) => (op === 'conversation.get' ? old : undefined);
    w.server.send('bob', { conversation: 'g_1' }, 'one');
    w.server.send('bob', { conversation: 'g_1' }, 'two');
    await w.pass(1000);
    expect(texts()).toEqual(['one', 'two']);
  });

  it('does not tell the history of a group that one is added to', async () => {
    w.server.create('g_1', 'group', ['bob', 'carol']);
    for (let i = 0; i < 5; i++) w.server.send('bob', { conversation: 'g_1' }, `before ${i}`);
    const { texts } = await online();
    for (let i = 0; i < 5; i++) w.server.send('bob', { conversation: 'g_1' }, `later ${i}`);
    w.server.changeMembers('g_1', ['me'], true);
    await w.pass(1000);
    w.server.send('bob', { conversation: 'g_1' }, 'welcome');
    await w.pass();
    expect(texts()).toEqual(['welcome']);
  });

  it('tells my messages from my other devices, and not those of this client', async () => {
    const { c, texts } = await online();
    c.sendMessage({ to: 'bob', content: 'from here' });
    await w.pass();
    w.server.send('me', { user: 'bob' }, 'from my phone');
    await w.pass();
    w.server.cut();
    w.server.send('me', { user: 'bob' }, 'from my phone again');
    await w.pass(1000);
    expect(texts()).toEqual(['from my phone', 'from my phone again']);
    expect(c.conversations.list()[0]?.unread).toBe(0);
  });

  it('starts over when the server has another history', async () => {
    for (let i = 0; i < 5; i++) w.server.send('bob', bob, 'lost');
    w.server.send('dora', bob, 'lost too');
    const { c, texts } = await online();
    w.server.cut();
    w.server.epoch = 'e2';
    w.server.chats.clear();
    w.server.send('bob', bob, 'from the backup');
    await w.pass(1000);
    expect(c.conversations.list()).toMatchObject([{ peer: 'bob', seq: 1, rev: 1 }]);
    w.server.send('bob', bob, 'new');
    await w.pass();
    expect(texts().at(-1)).toBe('new');
  });

  it('forgets what a snapshot does not name', async () => {
    w.server.send('bob', bob, '1');
    w.server.send('carol', bob, '1');
    const { c, texts } = await online();
    w.server.intercept = (op) => {
      const conversations = [w.server.view(w.server.chat(direct), 'me')];
      return op === 'sync' ? { conversations, cursor: 'e1:9', more: false, reset: true } : undefined;
    };
    w.server.cut();
    await w.pass(1000);
    expect(c.conversations.list().map((x) => x.peer)).toEqual(['bob']);
    expect(texts()).toEqual([]);
  });

  it('asks nothing for conversations that nobody looks at', async () => {
    w.server.send('bob', bob, '1');
    const c = w.client();
    void c.init();
    await w.pass();
    w.server.cut();
    w.server.send('bob', bob, '2');
    await w.pass(1000);
    w.server.lose = (method) => method === 'message';
    w.server.send('bob', bob, '3');
    w.server.lose = () => false;
    w.server.send('bob', bob, '4');
    await w.pass(1000);
    expect(w.server.count('message.changes') + w.server.count('message.list')).toBe(0);
    expect(c.conversations.list()[0]).toMatchObject({ seq: 4, unread: 4 });
  });

  it('lets a listener that throws harm no other', async () => {
    const { c, texts } = await online();
    const second = heard(c);
    c.onMessage(() => {
      throw new Error('mine');
    });
    const third = heard(c);
    w.server.send('bob', bob, 'x');
    await w.pass();
    expect([texts(), second.texts(), third.texts()]).toEqual([['x'], ['x'], ['x']]);
  });

  it('ends at once, also for a listener that another one ends', async () => {
    const { c } = await online();
    const got: string[] = [];
    c.onMessage(() => off());
    const off = c.onMessage(() => got.push('ended'));
    w.server.send('bob', bob, 'x');
    await w.pass();
    expect(got).toEqual([]);
  });

  it('tells of a gap before the newest 100 of a new conversation', async () => {
    const { c, seqs } = await online();
    const gaps: Gap[] = [];
    c.on('gap', (g) => gaps.push(g));
    w.server.cut();
    for (let i = 1; i <= 130; i++) w.server.send('bob', bob, `${i}`);
    w.server.create('g_1', 'group', ['bob']);
    for (let i = 1; i <= 60; i++) w.server.send('bob', { conversation: 'g_1' }, 'history');
    w.server.changeMembers('g_1', ['me'], true);
    for (let i = 1; i <= 120; i++) w.server.send('bob', { conversation: 'g_1' }, 'news');
    await w.pass(1000);
    expect(gaps).toEqual(
      expect.arrayContaining([
        { conversation: direct, from: 1, to: 30 },
        { conversation: 'g_1', from: 61, to: 80 },
      ]),
    );
    expect(gaps.length).toBe(2);
    expect(seqs().length).toBe(200);
  });

  it('calls nothing changed that has not', async () => {
    w.server.create('g_1', 'group', ['bob']);
    w.server.send('bob', { conversation: 'g_1' }, 'history');
    w.server.edit('g_1', 1, 'edited long ago');
    await w.pass(1000);
    const { c, texts } = await online();
    const edits: unknown[] = [];
    c.on('messageChanged', (m) => edits.push(text(m)));
    w.server.cut();
    w.server.changeMembers('g_1', ['me'], true);
    w.server.send('bob', { conversation: 'g_1' }, 'welcome');
    await w.pass(1000);
    expect([texts(), edits]).toEqual([['welcome'], []]);
    w.server.edit('g_1', 1, 'edited now');
    await w.pass();
    expect(edits).toEqual(['edited now']);
  });

  it('takes answers and events of one frame in their order: who was removed stays removed', async () => {
    w.server.create('g_1', 'group', ['bob', 'me']);
    const { c } = await online();
    const [session] = w.server.sessions;
    w.server.intercept = (op, p, s) => {
      if (op !== 'conversation.get') return undefined;
      const result = structuredClone(w.server.run(op, p, s));
      w.server.lose = () => true;
      w.server.changeMembers('g_1', ['me'], false);
      const left = {
        jsonrpc: '2.0',
        method: 'conversation',
        params: { id: 'g_1', kind: 'group', left: true },
      };
      const answer = { jsonrpc: '2.0', id: w.server.lastId, result };
      session?.socket.deliver(JSON.stringify([answer, left]));
      return 'hang';
    };
    const got = c.conversations.get('g_1');
    await w.pass();
    expect((await got).id).toBe('g_1');
    expect(c.conversations.list()).toEqual([]);
  });

  it('ends with off and with the signal', async () => {
    const { c } = await online();
    const got: string[] = [];
    const off = c.onMessage(() => got.push('a'));
    const stop = new AbortController();
    c.on('message', () => got.push('b'), { signal: stop.signal });
    off();
    stop.abort();
    c.on('message', () => got.push('c'), { signal: stop.signal });
    w.server.send('bob', bob, 'x');
    await w.pass();
    expect(got).toEqual([]);
  });
});

describe('a sync', () => {
  it('that a gap asked for is tried again when the server cannot answer now', async () => {
    w.server.send('bob', bob, '1');
    const { texts } = await online();
    let times = 2;
    w.server.intercept = (op) => {
      if (op === 'sync' && times-- > 0) throw new Refusal('unavailable', { retryAfterMs: 500 });
    };
    w.server.lose = (method) => method === 'message';
    w.server.send('bob', bob, '2');
    for (const s of w.server.sessions) s.notify('gap', {});
    await w.pass(5000);
    expect(texts()).toEqual(['2']);
  });

  it('reads its pages to their end', async () => {
    w.server.syncPage = 3;
    for (let i = 0; i < 10; i++) w.server.send(`user${i}`, bob, 'hi');
    const { c } = await online();
    expect(c.conversations.list().length).toBe(10);
    expect(w.server.count('sync')).toBe(4);
  });
});

describe('a repair', () => {
  it('is tried again when the server cannot answer now', async () => {
    w.server.send('bob', bob, '1');
    const { seqs } = await online();
    let times = 3;
    w.server.intercept = (op) => {
      if (op === 'message.changes' && times-- > 0) throw new Refusal('unavailable', { retryAfterMs: 500 });
    };
    w.server.lose = (method) => method === 'message';
    w.server.send('bob', bob, '2');
    w.server.lose = () => false;
    w.server.send('bob', bob, '3');
    await w.pass(5000);
    expect(seqs()).toEqual([2, 3]);
  });

  it('goes on after the connection was lost in the middle', async () => {
    w.server.send('bob', bob, '1');
    const { seqs } = await online();
    w.server.intercept = (op) => (op === 'message.changes' ? 'hang' : undefined);
    w.server.lose = (method) => method === 'message';
    w.server.send('bob', bob, '2');
    w.server.lose = () => false;
    w.server.send('bob', bob, '3');
    await w.pass(500);
    w.server.intercept = () => undefined;
    w.server.cut();
    w.server.send('bob', bob, '4');
    await w.pass(5000);
    expect(seqs()).toEqual([2, 3, 4]);
  });

  it('survives close and init', async () => {
    w.server.send('bob', bob, '1');
    const { c, seqs } = await online();
    w.server.intercept = (op) => (op === 'message.changes' ? 'hang' : undefined);
    w.server.lose = (method) => method === 'message';
    w.server.send('bob', bob, '2');
    w.server.lose = () => false;
    w.server.send('bob', bob, '3');
    await w.pass(500);
    await c.close();
    w.server.intercept = () => undefined;
    w.server.send('bob', bob, '4');
    await w.pass(1000);
    void c.init();
    await w.pass(1000);
    expect(seqs()).toEqual([2, 3, 4]);
  });
});
