import { describe, expect, it, vi } from 'vitest';
import { Refusal } from './server.js';
import { world } from './setup.js';

const w = world();
const hourMs = 3_600_000;

async function online() {
  const c = w.client();
  void c.init();
  await w.pass();
  return c;
}

/** Somebody corrects the clock of the machine. */
const setBack = () => vi.setSystemTime(Date.now() - hourMs);

describe('a clock that is set back', () => {
  it('delays no reconnection', async () => {
    const c = await online();
    w.server.down = true;
    w.server.cut();
    await w.pass(5);
    setBack();
    w.server.down = false;
    await w.pass(10_000);
    expect(c.state).toBe('online');
  });

  it('delays no ping: a dead connection is noticed all the same', async () => {
    const c = await online();
    setBack();
    w.server.mute = true;
    await w.pass(35_100);
    w.server.mute = false;
    await w.pass(1000);
    expect([c.state, w.server.connections]).toEqual(['online', 2]);
  });

  it('delays no send that was refused for a while', async () => {
    const c = await online();
    let refuse = true;
    w.server.intercept = (op) => {
      if (op === 'message.send' && refuse) throw new Refusal('rate_limited', { retryAfterMs: 1000 });
    };
    const handle = c.sendMessage({ to: 'bob', content: 'x' });
    await w.pass();
    refuse = false;
    setBack();
    await w.pass(2000);
    expect(handle.status).toBe('sent');
  });

  it('makes a profile no fresher', async () => {
    const c = await online();
    await Promise.all([c.contacts.profiles(['bob']), w.pass()]);
    setBack();
    await w.pass(6 * 60_000);
    await Promise.all([c.contacts.profiles(['bob']), w.pass()]);
    expect(w.server.count('user.get')).toBe(2);
  });
});

describe('a time that no timer can wait for', () => {
  it('is a very long one: Infinity as timeoutMs', async () => {
    const c = w.client();
    const handle = c.sendMessage({ to: 'bob', content: 'x', timeoutMs: Infinity });
    const call = c.call('ping', {}, { timeoutMs: Infinity });
    await w.pass(hourMs);
    expect(handle.status).toBe('queued');
    void c.init();
    await w.pass();
    expect((await handle).seq).toBe(1);
    expect((await call).serverTime).toBeGreaterThan(0);
  });

  it('as retryAfterMs makes no storm', async () => {
    w.server.intercept = (op) => {
      if (op === 'session.open') throw new Refusal('unavailable', { retryAfterMs: 1e12 });
    };
    void w.client().init();
    await w.pass(60_000);
    expect(w.server.connections).toBe(1);
  });
});
