import { describe, expect, it } from 'vitest';
import type { IMClient, Timeline, TimelineItem } from './sdk.js';
import { Refusal } from './server.js';
import { text, world } from './setup.js';

const w = world();
const direct = 'd_bob_me';

/** What a page would show, as one line. */
function line(t: Timeline): string {
  const item = (i: TimelineItem) => {
    if (i.type === 'gap') return `[${i.from}-${i.to}]`;
    if (i.type === 'message') return `${text(i.message)}`;
    return `${(i.outgoing.params.content as { text: string }).text}?${i.outgoing.status}`;
  };
  return t.items.map(item).join(' ');
}

function fill(n: number, from = 1): void {
  for (let i = from; i < from + n; i++) w.server.send('bob', { user: 'me' }, `${i}`);
}

async function open(n: number): Promise<{ c: IMClient; t: Timeline }> {
  fill(n);
  const c = w.client();
  void c.init();
  await w.pass();
  const t = c.messages.timeline(direct);
  await w.pass();
  return { c, t };
}

const seqs = (t: Timeline) => t.items.flatMap((i) => (i.type === 'message' ? i.message.seq : []));
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe('a timeline', () => {
  it('begins with the newest page and pages back to the first message', async () => {
    const { t } = await open(120);
    expect(t.loaded).toBe(true);
    expect(seqs(t)).toEqual(range(71, 120));
    expect(t.hasOlder).toBe(true);
    const twice = [t.loadOlder(), t.loadOlder()];
    expect(t.loading).toBe(true);
    await w.pass();
    await Promise.all(twice);
    expect(seqs(t)).toEqual(range(21, 120));
    await Promise.all([t.loadOlder(), w.pass()]);
    expect(seqs(t)).toEqual(range(1, 120));
    expect([t.hasOlder, t.loading]).toEqual([false, false]);
    await t.loadOlder();
    expect(w.server.count('message.list')).toBe(3);
  });

  it('tells its listeners once for all changes of a moment, with a new array', async () => {
    const { t } = await open(2);
    const told: number[] = [];
    const before = t.items;
    expect(t.items).toBe(before);
    const off = t.subscribe((items) => told.push(items.length));
    w.server.latencyMs = 0;
    fill(1, 3);
    await w.pass();
    expect(told).toEqual([3]);
    expect(t.items).not.toBe(before);
    off();
    fill(1, 4);
    await w.pass();
    expect(told.length).toBe(1);
  });

  it('shows an empty conversation, and its first message', async () => {
    w.server.create('g_1', 'group', ['me', 'bob']);
    const c = w.client();
    void c.init();
    await w.pass();
    const t = c.messages.timeline('g_1');
    await w.pass();
    expect([t.loaded, t.items.length, t.hasOlder]).toEqual([true, 0, false]);
    w.server.send('bob', { conversation: 'g_1' }, 'first');
    await w.pass();
    expect(line(t)).toBe('first');
    expect(t.hasOlder).toBe(false);
  });

  it('shows edits, wherever they are', async () => {
    const { t } = await open(3);
    w.server.edit(direct, 1, 'one');
    const old = w.server.chat(direct).messages[2];
    w.server.edit(direct, 3, 'three');
    await w.pass();
    expect(line(t)).toBe('one 2 three');
    for (const s of w.server.sessions) s.notify('message', old);
    await w.pass();
    expect(line(t)).toBe('one 2 three');
  });

  it('keeps the newer state when a page and an event cross', async () => {
    fill(3);
    const c = w.client();
    void c.init();
    await w.pass();
    w.server.intercept = (op, p, s) => {
      if (op !== 'message.list') return undefined;
      w.server.intercept = () => undefined;
      const page = structuredClone(w.server.run(op, p, s));
      w.server.edit(direct, 2, 'edited');
      fill(1, 4);
      return new Promise((done) => setTimeout(() => done(page), 20));
    };
    const t = c.messages.timeline(direct);
    await w.pass(100);
    expect(line(t)).toBe('1 edited 3 4');
  });

  it('shows what is being sent, with its status, and keeps the key of the item', async () => {
    const { c, t } = await open(1);
    let answer = (_: unknown) => {};
    w.server.intercept = (op, p, s) =>
      op === 'message.send'
        ? new Promise((done) => (answer = () => done(w.server.run(op, p, s))))
        : undefined;
    const handle = c.sendMessage({ to: { conversation: direct }, content: 'mine' });
    expect(line(t)).toBe('1 mine?queued');
    await w.pass();
    expect(line(t)).toBe('1 mine?sending');
    const { key } = t.items[1] as TimelineItem;
    expect(key).toBe(handle.clientId);
    fill(1, 2);
    await w.pass();
    expect(line(t)).toBe('1 2 mine?sending');
    answer(0);
    await w.pass();
    expect(line(t)).toBe('1 2 mine');
    expect(t.items[2]?.key).toBe(key);
  });

  it('shows what is sent to the person of a direct conversation', async () => {
    const { c, t } = await open(1);
    w.server.mute = true;
    c.sendMessage({ to: 'bob', content: 'a' });
    c.sendMessage({ to: 'carol', content: 'b' });
    expect(line(t)).toBe('1 a?queued');
  });

  it('never loses sight of a message between its acknowledgement and its place', async () => {
    const { c, t } = await open(1);
    w.server.lose = () => true;
    fill(1, 2);
    const seen: string[] = [];
    t.subscribe(() => seen.push(line(t)));
    c.sendMessage({ to: 'bob', content: 'mine' });
    await w.pass(1000);
    expect(seen.every((s) => s.includes('mine'))).toBe(true);
    expect(line(t)).toBe('1 2 mine');
  });

  it('shows a message that failed, until it is discarded or sent again', async () => {
    const { c, t } = await open(1);
    let refuse = true;
    w.server.intercept = (op) => {
      if (op === 'message.send' && refuse) throw new Refusal('permission_denied');
    };
    const a = c.sendMessage({ to: 'bob', content: 'a' });
    const b = c.sendMessage({ to: 'bob', content: 'b' });
    for (const h of [a, b]) h.then(null, () => {});
    await w.pass();
    expect(line(t)).toBe('1 a?failed b?failed');
    c.messages.resend(a.clientId).then(null, () => {});
    await w.pass();
    expect(line(t)).toBe('1 b?failed a?failed');
    c.messages.discard(a.clientId);
    expect(line(t)).toBe('1 b?failed');
    refuse = false;
    c.messages.resend(b.clientId);
    await w.pass();
    expect(line(t)).toBe('1 b');
  });

  it('does not show a message twice that arrives before it is acknowledged', async () => {
    const { c, t } = await open(1);
    w.server.intercept = (op, p, s) => {
      if (op !== 'message.send') return undefined;
      if (w.server.count('message.send') === 1) {
        w.server.run(op, p, s);
        w.server.cut();
      }
      return 'hang';
    };
    c.sendMessage({ to: 'bob', content: 'mine' });
    await w.pass(1000);
    expect(line(t)).toBe('1 mine');
  });

  it('does not show what was sent long ago at its end', async () => {
    const { c } = await open(1);
    c.sendMessage({ to: 'bob', content: 'mine' });
    await w.pass();
    fill(60, 3);
    await w.pass();
    const t = c.messages.timeline(direct);
    await w.pass();
    expect(seqs(t)).toEqual(range(13, 62));
    expect(t.items.length).toBe(50);
  });

  it('is whole again after a lost connection', async () => {
    const { t } = await open(3);
    w.server.cut();
    fill(2, 4);
    w.server.edit(direct, 1, 'one');
    await w.pass(1000);
    expect(line(t)).toBe('one 2 3 4 5');
  });

  it('marks what it left out as a gap, fills it on demand, and misses no edit of what it holds', async () => {
    const { t } = await open(3);
    w.server.cut();
    fill(700, 4);
    w.server.edit(direct, 2, 'two');
    await w.pass(1000);
    expect(line(t).startsWith('1 two 3 [4-603] 604 605')).toBe(true);
    expect(w.server.requests.find((r) => r.op === 'message.changes')?.params.within).toEqual([[1, 3]]);
    const gap = t.items.find((i) => i.type === 'gap');
    await Promise.all([t.fill(gap as { to: number }), w.pass()]);
    expect(line(t).startsWith('1 two 3 [4-553] 554')).toBe(true);
    for (let i = 0; i < 11; i++)
      await Promise.all([t.fill(t.items.find((x) => x.type === 'gap') as { to: number }), w.pass()]);
    expect(seqs(t)).toEqual(range(1, 703));
    expect(t.items.some((i) => i.type === 'gap')).toBe(false);
  });

  it('takes what is absent in a page for gone', async () => {
    fill(5);
    const chat = w.server.chat(direct);
    chat.messages.splice(1, 2);
    const c = w.client();
    void c.init();
    await w.pass();
    const t = c.messages.timeline(direct);
    await w.pass();
    expect(line(t)).toBe('1 4 5');
  });

  it('forgets what the server no longer keeps, gaps included, when it learns of it', async () => {
    const { c, t } = await open(120);
    w.server.cut();
    fill(700, 121);
    await w.pass(1000);
    expect(t.items.some((i) => i.type === 'gap')).toBe(true);
    w.server.cut();
    w.server.prune(direct, 815);
    fill(1, 821);
    await w.pass(1000);
    expect(line(t)).toBe('816 817 818 819 820 821');
    expect(t.hasOlder).toBe(false);
    expect(c.conversations.list()[0]?.unread).toBe(6);
    w.server.prune(direct, 821);
    const chat = w.server.chat(direct);
    w.server.emit(chat, 'conversation', w.server.view(chat, 'me'));
    await w.pass(1000);
    expect([line(t), t.hasOlder]).toEqual(['', false]);
    const [row] = c.conversations.list();
    expect([row?.lastMessage, row?.unread]).toEqual([undefined, 0]);
    fill(1, 822);
    await w.pass(1000);
    expect(line(t)).toBe('822');
  });

  it('learns of it from an older page', async () => {
    const { t } = await open(120);
    w.server.prune(direct, 100);
    await Promise.all([t.loadOlder(), w.pass()]);
    expect(seqs(t)).toEqual(range(101, 120));
    expect(t.hasOlder).toBe(false);
  });

  it('begins anew when the server answers reset', async () => {
    const { t } = await open(3);
    w.server.intercept = (op) =>
      op === 'message.changes' ? { messages: [], rev: 4, more: false, reset: true } : undefined;
    w.server.cut();
    fill(1, 4);
    await w.pass(2000);
    expect(seqs(t)).toEqual([1, 2, 3, 4]);
  });

  it('tells that the newest page could not be loaded, and tries again when the client comes online', async () => {
    fill(2);
    const c = w.client();
    const t = c.messages.timeline(direct);
    await w.pass(16_000);
    expect([t.loaded, t.error?.reason]).toEqual([false, 'offline']);
    void c.init();
    await w.pass();
    expect([line(t), t.error]).toEqual(['1 2', null]);
  });

  it('rejects loadOlder when that fails, and works again afterwards', async () => {
    const { t } = await open(60);
    w.server.intercept = (op) => {
      if (op === 'message.list') throw new Refusal('unavailable');
    };
    const failed = expect(t.loadOlder()).rejects.toMatchObject({ reason: 'unavailable' });
    await w.pass();
    await failed;
    w.server.intercept = () => undefined;
    await Promise.all([t.loadOlder(), w.pass()]);
    expect(seqs(t)).toEqual(range(1, 60));
  });

  it('is alive when its newest page came with the repair of a conversation far behind', async () => {
    fill(3);
    const c = w.client();
    c.onMessage(() => {});
    void c.init();
    await w.pass();
    w.server.intercept = (op, p) => {
      if (op === 'message.list' && p.limit === undefined) throw new Refusal('unavailable');
    };
    const t = c.messages.timeline(direct);
    await w.pass();
    expect([t.loaded, t.error?.reason]).toEqual([false, 'unavailable']);
    w.server.lose = () => true;
    fill(600, 4);
    w.server.lose = () => false;
    for (const s of w.server.sessions) s.notify('gap', { conversation: direct, rev: 603 });
    await w.pass();
    fill(1, 604);
    await w.pass(1000);
    expect([t.loaded, t.error, seqs(t).at(-1)]).toEqual([true, null, 604]);
  });

  it('lets each caller wait for a shared load as long as he likes', async () => {
    const { t } = await open(60);
    const stop = new AbortController();
    const [first, second] = [t.loadOlder({ signal: stop.signal }), t.loadOlder()];
    stop.abort();
    await expect(first).rejects.toMatchObject({ reason: 'aborted' });
    await w.pass();
    await second;
    expect(seqs(t)).toEqual(range(1, 60));
  });

  it('raises nothing when a load fails for which nobody waits any more', async () => {
    const { t } = await open(60);
    w.server.intercept = (op) => {
      if (op === 'message.list') throw new Refusal('unavailable');
    };
    const given = t.loadOlder({ signal: AbortSignal.abort() });
    await expect(given).rejects.toMatchObject({ reason: 'aborted' });
    await w.pass();
    expect(t.loading).toBe(false);
  });

  it('takes no page that was asked for before it was emptied', async () => {
    w.server.create('g_1', 'group', ['bob', 'me']);
    w.server.send('bob', { conversation: 'g_1' }, 'secret');
    const c = w.client();
    void c.init();
    await w.pass();
    w.server.intercept = (op, p, s) => {
      if (op !== 'message.list') return undefined;
      w.server.intercept = () => undefined;
      const page = structuredClone(w.server.run(op, p, s));
      w.server.changeMembers('g_1', ['me'], false);
      return new Promise((done) => setTimeout(() => done(page), 20));
    };
    const t = c.messages.timeline('g_1');
    await w.pass(100);
    expect([t.items.length, t.loaded]).toEqual([0, false]);
  });

  it('is empty when the user is no longer a member', async () => {
    w.server.create('g_1', 'group', ['bob', 'me']);
    w.server.send('bob', { conversation: 'g_1' }, 'secret');
    const c = w.client();
    void c.init();
    await w.pass();
    const t = c.messages.timeline('g_1');
    await w.pass();
    expect(t.items.length).toBe(1);
    w.server.changeMembers('g_1', ['me'], false);
    await w.pass();
    expect(t.items.length).toBe(0);
    expect(w.server.count('message.list')).toBe(1);
  });

  it('may be asked for more by a listener that hears of a page', async () => {
    const { t } = await open(170);
    t.subscribe(() => {
      if (t.hasOlder && !t.loading) void t.loadOlder();
    });
    void t.loadOlder();
    await w.pass(2000);
    expect(seqs(t)).toEqual(range(1, 170));
  });

  it('loads again when a conversation that was lost is mine again', async () => {
    const id = 'g_1';
    w.server.create(id, 'group', ['bob', 'me']);
    const c = w.client();
    void c.init();
    await w.pass();
    w.server.changeMembers(id, ['me'], false);
    await w.pass();
    const t = c.messages.timeline(id);
    await w.pass();
    expect([t.loaded, t.error?.reason]).toEqual([false, 'not_found']);
    w.server.changeMembers(id, ['me'], true);
    w.server.send('bob', { conversation: id }, 'welcome back');
    await w.pass(1000);
    expect(line(t)).toBe('welcome back');
  });

  it('ends with close', async () => {
    const { t } = await open(1);
    let told = 0;
    t.subscribe(() => told++);
    t.close();
    fill(1, 2);
    await w.pass();
    expect(told).toBe(0);
  });
});
