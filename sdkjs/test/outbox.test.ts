import { describe, expect, it, vi } from 'vitest';
import { IMError, type Message, type Outgoing } from './sdk.js';
import { Refusal } from './server.js';
import { text, world } from './setup.js';

const w = world();
const uuid7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const direct = 'd_bob_me';

async function online() {
  const c = w.client();
  void c.init();
  await w.pass();
  return c;
}

describe('a send', () => {
  it('resolves with the stored message', async () => {
    const c = await online();
    const statuses: string[] = [];
    c.on('outgoing', (o) => statuses.push(o.status));
    const handle = c.sendMessage({
      to: { user: 'bob' },
      content: 'hi',
      replyTo: { seq: 7 },
      mentions: ['bob'],
      ext: { a: 1 },
    });
    expect(handle.clientId).toMatch(uuid7);
    expect(handle.status).toBe('queued');
    await w.pass();
    expect(await handle).toMatchObject({
      ...{ conversation: direct, seq: 1, rev: 1, clientId: handle.clientId, from: 'me', type: 'text' },
      ...{ content: { text: 'hi' }, replyTo: 7, mentions: ['bob'], ext: { a: 1 } },
    });
    expect(handle.status).toBe('sent');
    expect(statuses).toEqual(['queued', 'sending', 'sent']);
    expect(w.server.requests.at(-2)?.params ?? w.server.requests.at(-1)?.params).toBeDefined();
  });

  it('takes a bare string for a user', async () => {
    const c = await online();
    c.sendMessage({ to: 'bob', content: 'x' });
    await w.pass();
    expect(w.server.requests.find((r) => r.op === 'message.send')?.params.to).toEqual({ user: 'bob' });
  });

  it('gives the message as the server rewrote it', async () => {
    const c = await online();
    w.server.intercept = (op, p) =>
      op === 'message.send'
        ? {
            ...receipt,
            message: { ...receipt, clientId: p.clientId, from: 'me', type: 'text', content: { text: '***' } },
          }
        : undefined;
    const receipt = { conversation: direct, seq: 1, rev: 1, count: 1, id: 'x', time: 1 };
    const handle = c.sendMessage({ to: 'bob', content: 'bad word' });
    await w.pass();
    expect(text(await handle)).toBe('***');
  });

  it('waits for the connection, in order', async () => {
    const c = w.client();
    for (let i = 0; i < 5; i++) c.sendMessage({ to: 'bob', content: `${i}` });
    await w.pass(1000);
    void c.init();
    await w.pass();
    expect(w.server.chat(direct).messages.map(text)).toEqual(['0', '1', '2', '3', '4']);
  });

  it('is not doubled when its receipt was lost with the connection', async () => {
    const c = await online();
    const heard: Message[] = [];
    c.onMessage((m) => heard.push(m));
    w.server.intercept = (op, p, s) => {
      if (op !== 'message.send') return undefined;
      w.server.intercept = () => undefined;
      w.server.run(op, p, s);
      w.server.cut();
      return 'hang';
    };
    const handle = c.sendMessage({ to: 'bob', content: 'once' });
    await w.pass(1000);
    expect((await handle).seq).toBe(1);
    expect(w.server.chat(direct).messages.length).toBe(1);
    expect(w.server.count('message.send')).toBe(2);
    expect(heard).toEqual([]);
  });

  it('keeps its order over lost connections', async () => {
    const c = await online();
    const handles = Array.from({ length: 60 }, (_, i) => c.sendMessage({ to: 'bob', content: `${i}` }));
    for (let i = 0; i < 6; i++) {
      await w.pass(3);
      w.server.cut();
      await w.pass(500 * 2 ** i);
    }
    await w.pass(60_000);
    const seqs = (await Promise.all(handles)).map((m) => m.seq);
    expect(seqs).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
  });

  it('has at most 16 beside it under way, none of them to the same conversation', async () => {
    const c = await online();
    w.server.intercept = (op) => (op === 'message.send' ? 'hang' : undefined);
    for (let i = 0; i < 40; i++) c.sendMessage({ to: `user${i % 20}`, content: 'x' });
    await w.pass();
    const sends = w.server.requests.filter((r) => r.op === 'message.send');
    expect(new Set(sends.map((r) => r.params.to.user)).size).toBe(16);
    expect(sends.length).toBe(16);
  });

  it('goes again after retryAfterMs, before what follows in its conversation', async () => {
    const c = await online();
    let refuse = 2;
    w.server.intercept = (op, p) => {
      if (op === 'message.send' && p.content.text === 'first' && refuse-- > 0)
        throw new Refusal('rate_limited', { retryAfterMs: 3000 });
    };
    const first = c.sendMessage({ to: 'bob', content: 'first' });
    await w.pass();
    const second = c.sendMessage({ to: 'bob', content: 'second' });
    const other = c.sendMessage({ to: 'carol', content: 'other' });
    await w.pass(100);
    expect([first.status, second.status, other.status]).toEqual(['queued', 'queued', 'sent']);
    await w.pass(2500);
    expect(w.server.count('message.send')).toBe(2);
    await w.pass(4000);
    expect(w.server.chat(direct).messages.map(text)).toEqual(['first', 'second']);
  });

  it('goes again when the server is not available or does not answer', async () => {
    const c = await online();
    const fates = [new Refusal('unavailable'), 'hang', undefined];
    w.server.intercept = (op) => {
      if (op !== 'message.send') return undefined;
      const fate = fates.shift();
      if (fate instanceof Refusal) throw fate;
      return fate;
    };
    const handle = c.sendMessage({ to: 'bob', content: 'x' });
    await w.pass(20_000);
    expect(handle.status).toBe('sent');
    expect(
      new Set(w.server.requests.filter((r) => r.op === 'message.send').map((r) => r.params.clientId)).size,
    ).toBe(1);
  });

  it('fails at once when the server refuses it for good', async () => {
    const c = await online();
    w.server.intercept = (op) => {
      if (op === 'message.send') throw new Refusal('permission_denied');
    };
    const failed = expect(c.sendMessage({ to: 'bob', content: 'x' })).rejects.toMatchObject({
      reason: 'permission_denied',
    });
    await w.pass();
    await failed;
    expect(w.server.count('message.send')).toBe(1);
  });

  it('overtakes none that was refused for a while, though they were sent in one breath', async () => {
    const c = await online();
    let refuse = true;
    w.server.intercept = (op, p) => {
      if (op !== 'message.send' || p.content.text !== '2' || !refuse) return undefined;
      refuse = false;
      throw new Refusal('unavailable');
    };
    const handles = ['1', '2', '3', '4'].map((content) => c.sendMessage({ to: 'bob', content }));
    await w.pass(1000);
    await Promise.all(handles);
    expect(w.server.chat(direct).messages.map(text)).toEqual(['1', '2', '3', '4']);
  });

  it('fails at once, with the reason, when the server has time for it only after its deadline', async () => {
    const c = await online();
    w.server.intercept = (op) => {
      if (op === 'message.send')
        throw new Refusal('rate_limited', { retryAfterMs: 3_600_000, field: 'to', max: 60 });
    };
    const failed = expect(c.sendMessage({ to: 'bob', content: 'x' })).rejects.toMatchObject({
      ...{ reason: 'rate_limited', retryable: true, retryAfterMs: 3_600_000 },
    });
    await w.pass();
    await failed;
  });

  it.each([[undefined], [null], [{}], [5]])('to %j fails and holds up nothing', async (to) => {
    const c = await online();
    w.server.intercept = (op, p) => {
      if (op === 'message.send' && typeof p.to?.user !== 'string') throw new Refusal('invalid_argument');
    };
    const failed = expect(c.sendMessage({ to: to as never, content: 'x' })).rejects.toMatchObject({
      reason: 'invalid_argument',
    });
    const good = c.sendMessage({ to: 'bob', content: 'good' });
    await w.pass();
    await failed;
    expect((await good).seq).toBe(1);
  });

  it('that is no JSON rejects', async () => {
    const c = await online();
    const handle = c.sendMessage({ to: 'bob', content: 'x', ext: { big: 1n as never } });
    expect(handle.status).toBe('failed');
    await expect(handle).rejects.toMatchObject({ reason: 'invalid_argument' });
    await expect(c.call('message.report' as never, { big: 1n } as never)).rejects.toBeInstanceOf(IMError);
  });

  it('carries any text', async () => {
    const c = await online();
    for (const content of ['👩‍👩‍👧‍👦', '\u0000\u2028"\\', '', 'שלום', '{}[],:"']) {
      const handle = c.sendMessage({ to: 'bob', content });
      await w.pass();
      expect(text(await handle)).toBe(content);
      expect(text(w.server.chat(direct).messages.at(-1) as Message)).toBe(content);
    }
  });

  it('has a clientId of its own where there is no source of randomness', async () => {
    vi.restoreAllMocks(); // Math.random is random
    vi.stubGlobal('crypto', undefined);
    const c = w.client();
    const ids = Array.from({ length: 1000 }, () => c.sendMessage({ to: 'bob', content: 'x' }).clientId);
    vi.unstubAllGlobals();
    expect(new Set(ids).size).toBe(1000);
    for (const id of ids) expect(id).toMatch(uuid7);
  });

  it('settles at its deadline, and without one waits for days', async () => {
    const c = w.client();
    const short = c.sendMessage({ to: 'bob', content: 'x', timeoutMs: 500 });
    const long = c.sendMessage({ to: 'bob', content: 'y' });
    const end = expect(short).rejects.toMatchObject({ reason: 'offline', retryable: true });
    await w.pass(500);
    expect([short.status, long.status]).toEqual(['failed', 'queued']);
    await end;
    await w.pass(3 * 24 * 3_600_000);
    expect(long.status).toBe('queued');
    void c.init();
    await w.pass();
    w.server.mute = true;
    const slow = expect(c.sendMessage({ to: 'bob', content: 'z', timeoutMs: 5000 })).rejects.toMatchObject({
      reason: 'timeout',
    });
    await w.pass(5000);
    await slow;
    expect(text(await long)).toBe('y');
  });

  it('can be cancelled while it waits, by its handle and by a signal', async () => {
    const c = w.client();
    const a = c.sendMessage({ to: 'bob', content: 'a' });
    const stop = new AbortController();
    const b = c.sendMessage({ to: 'bob', content: 'b', signal: stop.signal });
    const d = c.sendMessage({ to: 'bob', content: 'd', signal: AbortSignal.abort() });
    const ends = [a, b, d].map((h) => expect(h).rejects.toMatchObject({ reason: 'aborted' }));
    a.cancel();
    stop.abort();
    await Promise.all(ends);
    expect([a.status, b.status, d.status]).toEqual(['cancelled', 'cancelled', 'cancelled']);
    void c.init();
    await w.pass();
    expect(w.server.count('message.send')).toBe(0);
  });

  it('settles when the client is closed', async () => {
    const c = await online();
    w.server.mute = true;
    const handle = expect(c.sendMessage({ to: 'bob', content: 'x' })).rejects.toMatchObject({
      reason: 'aborted',
    });
    await w.pass();
    await c.close();
    await handle;
    await expect(c.sendMessage({ to: 'bob', content: 'x' })).rejects.toMatchObject({ reason: 'aborted' });
  });

  it('that nobody awaits is told by the error event and is no unhandled rejection', async () => {
    const c = await online();
    const errors: IMError[] = [];
    c.on('error', (e) => errors.push(e));
    w.server.intercept = (op) => {
      if (op === 'message.send') throw new Refusal('permission_denied');
    };
    c.sendMessage({ to: 'bob', content: 'x' });
    await w.pass();
    expect(errors.map((e) => e.reason)).toEqual(['permission_denied']);
    expect(errors[0]).toBeInstanceOf(IMError);
  });
});

describe('a message that failed', () => {
  it('is sent again under the same clientId', async () => {
    const c = await online();
    let refuse = true;
    w.server.intercept = (op) => {
      if (op === 'message.send' && refuse) throw new Refusal('internal');
    };
    const handle = c.sendMessage({ to: 'bob', content: 'x' });
    handle.then(null, () => {});
    await w.pass();
    expect(handle.status).toBe('failed');
    refuse = false;
    const again = c.messages.resend(handle.clientId);
    await w.pass();
    expect(await again).toMatchObject({ clientId: handle.clientId, seq: 1 });
    expect(() => c.messages.resend(handle.clientId)).toThrow(
      expect.objectContaining({ reason: 'not_found' }),
    );
  });

  it('is sent after all when it turns up in its conversation', async () => {
    w.server.send('bob', { user: 'me' }, '1');
    const c = await online();
    const t = c.messages.timeline(direct);
    const statuses: string[] = [];
    c.on('outgoing', (o) => statuses.push(o.status));
    w.server.intercept = (op, p, s) => {
      if (op !== 'message.send') return undefined;
      w.server.run(op, p, s); // stored, and the answer is lost
      return 'hang';
    };
    const handle = c.sendMessage({ to: 'bob', content: 'x', timeoutMs: 1000 });
    handle.then(null, () => {});
    await w.pass(1100);
    expect(handle.status).toBe('failed');
    w.server.cut();
    await w.pass(1000);
    expect(handle.status).toBe('sent');
    expect(statuses).toEqual(['queued', 'sending', 'failed', 'sent']);
    expect(t.items.map((i) => i.type)).toEqual(['message', 'message']);
  });

  it('can be discarded', async () => {
    const c = w.client();
    const seen: Outgoing[] = [];
    c.on('outgoing', (o) => seen.push(o));
    const handle = c.sendMessage({ to: 'bob', content: 'x', timeoutMs: 10 });
    handle.then(null, () => {});
    await w.pass(20);
    c.messages.discard(handle.clientId);
    expect(seen.map((o) => o.status)).toEqual(['queued', 'failed', 'cancelled']);
    expect(seen[1]?.error).toMatchObject({ reason: 'offline' });
    expect(() => c.messages.resend(handle.clientId)).toThrow();
  });
});

describe('a receipt', () => {
  it('is the event of its message: it makes no hole, and fills one', async () => {
    w.server.send('bob', { user: 'me' }, '1');
    const c = await online();
    const got: unknown[] = [];
    c.onMessage((m) => got.push(text(m)));
    c.sendMessage({ to: 'bob', content: '2' });
    await w.pass();
    w.server.send('bob', { user: 'me' }, '3');
    await w.pass(1000);
    expect(got).toEqual(['3']);
    expect(w.server.count('message.changes')).toBe(0);
    w.server.lose = () => true;
    w.server.send('bob', { user: 'me' }, '4');
    w.server.lose = () => false;
    const sent = c.sendMessage({ to: 'bob', content: '5' });
    await w.pass(100);
    expect((await sent).seq).toBe(5); // acknowledged at once, hole or not
    await w.pass(1000);
    expect(got).toEqual(['3', '4']);
  });

  it('that comes twice changes nothing', async () => {
    const c = await online();
    const a = c.sendMessage({ to: 'bob', content: '1' });
    await w.pass();
    const { clientId } = await a;
    const chat = w.server.chat(direct);
    w.server.edit(direct, 1, 'edited');
    await w.pass();
    for (const s of w.server.sessions)
      s.notify('message', { ...chat.messages[0], rev: 1, content: { text: '1' }, clientId });
    await w.pass(1000);
    expect(text(c.conversations.peek(direct)?.lastMessage as Message)).toBe('edited');
    expect(c.conversations.peek(direct)).toMatchObject({ seq: 1, rev: 2, count: 1, unread: 0 });
  });
});
