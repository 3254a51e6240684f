import { describe, expect, it } from 'vitest';
import type { Conversation, IMClient } from './sdk.js';
import { world } from './setup.js';

const w = world();
const direct = 'd_bob_me';

async function online(): Promise<IMClient> {
  const c = w.client();
  void c.init();
  await w.pass();
  return c;
}

async function done<T>(promise: PromiseLike<T>): Promise<T> {
  const [value] = await Promise.all([promise, w.pass()]);
  return value;
}

describe('conversations', () => {
  it('are listed with the newest first, and watched', async () => {
    w.server.send('bob', { user: 'me' }, 'a');
    await w.pass(10);
    w.server.send('carol', { user: 'me' }, 'b');
    const c = await online();
    const lists: string[][] = [];
    const off = c.conversations.watch((list) => lists.push(list.map((x) => x.peer ?? '')));
    await w.pass(10);
    w.server.send('bob', { user: 'me' }, 'c');
    await w.pass();
    off();
    w.server.send('carol', { user: 'me' }, 'd');
    await w.pass();
    expect(lists).toEqual([
      ['carol', 'bob'],
      ['bob', 'carol'],
    ]);
  });

  it('count as unread what the head counts and the user has not seen', async () => {
    w.server.send('bob', { user: 'me' }, '1');
    const c = await online();
    w.server.send('bob', { user: 'me' }, '2');
    await w.pass();
    expect([c.conversations.peek(direct)?.unread, c.conversations.unread]).toEqual([2, 2]);
    await done(c.conversations.markRead(direct, 1));
    expect(c.conversations.peek(direct)).toMatchObject({ unread: 1, readSeq: 1, seen: 1 });
    await done(c.conversations.markRead(direct));
    expect(c.conversations.peek(direct)).toMatchObject({ unread: 0, readSeq: 2 });
    const marks = w.server.count('conversation.mark');
    await done(c.conversations.markRead(direct));
    expect(w.server.count('conversation.mark')).toBe(marks);
  });

  it('follow my other devices: what I read or send there is read here', async () => {
    w.server.send('bob', { user: 'me' }, '1');
    const c = await online();
    w.server.mark(direct, 'me', 1);
    await w.pass();
    expect(c.conversations.peek(direct)).toMatchObject({ unread: 0, readSeq: 1 });
    w.server.send('bob', { user: 'me' }, '2');
    w.server.send('me', { user: 'bob' }, '3');
    await w.pass();
    expect(c.conversations.peek(direct)).toMatchObject({ unread: 0, seq: 3 });
  });

  describe('count mentions by the formula of the server', () => {
    const id = 'g_1';
    const to = { conversation: id };
    const shown = (c: IMClient) => {
      const { unread, mentionsUnread, seen, readSeq } = c.conversations.peek(id) as Conversation;
      return { unread, mentionsUnread, seen, readSeq };
    };
    const formula = () => {
      const { unread, mentionsUnread, seen, readSeq } = w.server.view(w.server.chat(id), 'me');
      return { unread, mentionsUnread, seen, readSeq };
    };

    it('those of all where they count, from events, until they are read', async () => {
      w.server.create(id, 'group', ['bob', 'me']);
      w.server.send('bob', to, '@all', { mentions: 'all' });
      const c = await online();
      expect(shown(c)).toMatchObject({ unread: 1, mentionsUnread: 1 });
      w.server.send('bob', to, '@me', { mentions: ['me'] });
      w.server.send('bob', to, '@all', { mentions: 'all' });
      w.server.send('bob', to, '@all, a tip', { mentions: 'all', flags: ['noUnread'] });
      await w.pass();
      expect(shown(c)).toMatchObject({ unread: 3, mentionsUnread: 2 });
      expect(shown(c)).toEqual(formula());
      await done(c.conversations.markRead(id));
      expect(shown(c)).toEqual(formula());
    });

    it('after a marker in the middle, here or on another device', async () => {
      w.server.create(id, 'group', ['bob', 'me']);
      const c = await online();
      for (let i = 0; i < 6; i++) w.server.send('bob', to, '@all', { mentions: 'all' });
      await w.pass();
      await done(c.conversations.markRead(id, 2));
      await w.pass();
      expect(shown(c)).toMatchObject({ unread: 4, mentionsUnread: 4 });
      w.server.send('bob', to, 'nothing');
      w.server.mark(id, 'me', 4);
      await w.pass();
      expect(shown(c)).toMatchObject({ unread: 3, mentionsUnread: 2 });
      expect(shown(c)).toEqual(formula());
    });

    it('after a marker between mentions of all and other messages', async () => {
      w.server.create(id, 'group', ['bob', 'me']);
      const c = await online();
      for (let i = 0; i < 3; i++) {
        w.server.send('bob', to, '@all', { mentions: 'all' });
        w.server.send('bob', to, 'nothing');
      }
      await w.pass();
      await done(c.conversations.markRead(id, 2));
      await w.pass();
      expect(shown(c)).toEqual({ unread: 4, mentionsUnread: 2, seen: 2, readSeq: 2 });
      expect(shown(c)).toEqual(formula());
    });

    it('after a message of mine: who had read all before it has read it, and nobody else', async () => {
      w.server.create(id, 'group', ['bob', 'me']);
      const c = await online();
      for (const text of ['1', '2']) {
        w.server.send('bob', to, '@all', { mentions: 'all' });
        await w.pass();
        if (text === '1') await done(c.conversations.markRead(id));
        await done(c.sendMessage({ to, content: text }));
        expect(shown(c)).toEqual(formula());
      }
      expect(shown(c)).toEqual({ unread: 0, mentionsUnread: 0, seen: 4, readSeq: 2 });
    });

    it('though an answer is older than an event', async () => {
      w.server.create(id, 'group', ['bob', 'me']);
      const c = await online();
      w.server.intercept = (op, p, s) => {
        if (op !== 'conversation.own') return undefined;
        const old = w.server.run(op, p, s);
        w.server.send('bob', to, '@all', { mentions: 'all' });
        return new Promise((answer) => setTimeout(() => answer(old), 20));
      };
      await done(c.conversations.own(id));
      expect(shown(c)).toEqual(formula());
      expect(shown(c).mentionsUnread).toBe(1);
    });

    it('though an event was lost and nobody looks at the messages', async () => {
      w.server.create(id, 'group', ['bob', 'me']);
      const c = await online();
      w.server.lose = () => true;
      w.server.send('bob', to, '@all', { mentions: 'all' });
      w.server.lose = () => false;
      w.server.send('bob', to, 'x');
      await w.pass(1000);
      expect(shown(c)).toEqual({ unread: 2, mentionsUnread: 1, seen: 0, readSeq: 0 });
    });

    it('though events were left out and only a gap tells of it', async () => {
      w.server.create(id, 'group', ['bob', 'me']);
      const c = await online();
      w.server.lose = (method) => method === 'message';
      w.server.send('bob', to, '@all', { mentions: 'all' });
      for (const s of w.server.sessions) s.notify('gap', { conversation: id, rev: 1 });
      await w.pass(1000);
      expect(shown(c)).toEqual(formula());
      expect(w.server.count('message.changes')).toBe(0);
    });
  });

  it('never go back for an answer that is older than an event', async () => {
    w.server.send('bob', { user: 'me' }, '1');
    const c = await online();
    const old = structuredClone(w.server.view(w.server.chat(direct), 'me'));
    w.server.mark(direct, 'me', 1);
    w.server.send('bob', { user: 'me' }, '2');
    await w.pass();
    for (const s of w.server.sessions) s.notify('conversation', old);
    await w.pass(1000);
    expect(c.conversations.peek(direct)).toMatchObject({ seq: 2, rev: 2, readSeq: 1, unread: 1, own: 1 });
  });

  it('tell how far the others have read', async () => {
    const c = await online();
    const receipts: number[] = [];
    c.on('receipt', (r) => receipts.push(r.read));
    c.sendMessage({ to: 'bob', content: 'x' });
    await w.pass();
    w.server.mark(direct, 'bob', 1);
    await w.pass();
    expect(receipts).toEqual([1]);
    expect(c.conversations.peek(direct)?.markers).toEqual([{ user: 'bob', read: 1, delivered: 1 }]);
    expect((await done(c.conversations.markers(direct))).map((m) => m.user)).toEqual(['me', 'bob']);
    expect((await done(c.conversations.own(direct))).seen).toBe(1);
  });

  it('are opened for a person, and found again', async () => {
    const c = await online();
    const made = await done(c.conversations.open('bob'));
    expect(made).toMatchObject({ id: direct, kind: 'direct', peer: 'bob' });
    expect((await done(c.conversations.open({ user: 'bob' }))).id).toBe(direct);
    expect(w.server.count('conversation.create')).toBe(1);
    expect((await done(c.conversations.open({ conversation: direct }))).id).toBe(direct);
    expect((await done(c.conversations.get(direct))).id).toBe(direct);
  });

  it('tell what changed and what is gone', async () => {
    w.server.create('g_1', 'group', ['bob', 'me'], 'Team');
    const c = await online();
    const changes: Array<{ changed: Conversation[]; removed: string[] }> = [];
    c.on('conversations', (e) => changes.push(e));
    w.server.changeMembers('g_1', ['me'], false);
    await w.pass();
    expect(changes).toEqual([{ changed: [], removed: ['g_1'] }]);
    w.server.changeMembers('g_1', ['me'], true);
    await w.pass();
    expect(c.conversations.list().map((x) => x.title)).toEqual(['Team']);
    w.server.cut();
    w.server.changeMembers('g_1', ['me'], false);
    await w.pass(1000);
    expect(c.conversations.list()).toEqual([]);
  });
});

describe('groups', () => {
  it('are made, filled and left', async () => {
    const c = await online();
    const g = await done(c.groups.create({ title: 'Team', members: ['bob'] }));
    expect(g).toMatchObject({ kind: 'group', title: 'Team', role: 'owner', members: 2 });
    expect(c.conversations.list().map((x) => x.id)).toEqual([g.id]);
    const members: string[] = [];
    c.on('member', (e) => members.push(e.conversation));
    expect(await done(c.groups.addMembers(g.id, ['carol']))).toEqual([{ user: 'carol', changed: true }]);
    expect(c.conversations.peek(g.id)?.members).toBe(3);
    const list = await done(c.groups.members(g.id));
    expect(list.map((m) => [m.user, m.profile?.name])).toEqual([
      ['me', 'ME'],
      ['bob', 'BOB'],
      ['carol', 'CAROL'],
    ]);
    expect(c.contacts.peek('bob')?.name).toBe('BOB');
    await done(c.groups.removeMembers(g.id, ['bob']));
    expect(members.length).toBe(2);
    await done(c.groups.removeMembers(g.id, ['me']));
    expect(c.conversations.list()).toEqual([]);
  });

  it('read the list of members to its end', async () => {
    const c = await online();
    w.server.intercept = (op, p) => {
      if (op !== 'member.list') return undefined;
      const n = Number(p.cursor ?? 0);
      const member = { user: `u${n}`, role: 'member', joinedAt: 0, rev: 1 };
      return { members: [member], memberRev: 1, ...(n < 2 ? { cursor: `${n + 1}` } : {}) };
    };
    expect((await done(c.groups.members('g'))).map((m) => m.user)).toEqual(['u0', 'u1', 'u2']);
  });
});

describe('profiles', () => {
  it('are asked once, together, at most 100 at a time, and kept', async () => {
    const c = await online();
    const ids = Array.from({ length: 150 }, (_, i) => `u${i}`);
    const [a, b] = await done(Promise.all([c.contacts.profiles(ids), c.contacts.profiles(['u1', 'ghost'])]));
    expect(a[149]).toEqual({ id: 'u149', name: 'U149' });
    expect(b).toEqual([{ id: 'u1', name: 'U1' }, { id: 'ghost' }]);
    expect(w.server.requests.filter((r) => r.op === 'user.get').map((r) => r.params.users.length)).toEqual([
      100, 51,
    ]);
    await done(c.contacts.profiles(['u7']));
    expect(w.server.count('user.get')).toBe(2);
    await w.pass(6 * 60_000);
    await done(c.contacts.profiles(['u7']));
    expect(w.server.count('user.get')).toBe(3);
    expect(c.contacts.peek('u8')?.name).toBe('U8');
  });

  it('are not kept without end', async () => {
    const c = await online();
    for (let i = 0; i < 11_000; i += 1000) {
      await done(c.contacts.profiles(Array.from({ length: 1000 }, (_, n) => `u${i + n}`)));
    }
    expect([c.contacts.peek('u0'), c.contacts.peek('u10999')?.id]).toEqual([undefined, 'u10999']);
  });

  it('that could not be had are asked again', async () => {
    const c = w.client();
    const failed = expect(c.contacts.profiles(['bob'])).rejects.toMatchObject({ reason: 'offline' });
    await w.pass(15_000);
    await failed;
    void c.init();
    await w.pass();
    expect(await done(c.contacts.profiles(['bob']))).toEqual([{ id: 'bob', name: 'BOB' }]);
  });
});

describe('what the server cannot do yet', () => {
  it('rejects with unsupported', async () => {
    const c = w.client();
    const image = c.sendImage({ to: 'bob', file: new Blob([]) });
    expect([image.status, image.clientId.length]).toEqual(['failed', 36]);
    await expect(image).rejects.toMatchObject({ reason: 'unsupported', retryable: false });
    await expect(c.startVideoCall({ to: 'bob' })).rejects.toMatchObject({ reason: 'unsupported' });
  });
});

describe('an event of an extension', () => {
  it('is passed on', async () => {
    const c = await online();
    const got: unknown[] = [];
    c.on('extension', (e) => got.push(e));
    for (const s of w.server.sessions) s.notify('call.ringing', { id: 1 });
    await w.pass();
    expect(got).toEqual([{ name: 'call.ringing', params: { id: 1 } }]);
  });
});

describe('the list', () => {
  it('is synchronised every 5 minutes or so, so that the last event before silence is found', async () => {
    w.server.send('bob', { user: 'me' }, '1');
    const c = await online();
    const got: number[] = [];
    c.onMessage((m) => got.push(m.seq));
    w.server.lose = () => true;
    w.server.send('bob', { user: 'me' }, '2');
    await w.pass(6.5 * 60_000);
    expect(got).toEqual([2]);
    expect(c.conversations.peek(direct)?.unread).toBe(2);
  });
});
