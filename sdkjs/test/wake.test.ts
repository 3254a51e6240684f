import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { IMClient } from './sdk.js';
import { world } from './setup.js';

const w = world();
const hour = 3_600_000;

/** What a page has of what tells that it wakes. */
class Page {
  readonly window = new EventTarget();
  readonly document = Object.assign(new EventTarget(), { visibilityState: 'visible' });

  fire(type: string, target: EventTarget = this.window): void {
    target.dispatchEvent(new Event(type));
  }
}

let page: Page;
beforeEach(() => {
  page = new Page();
  vi.stubGlobal('addEventListener', page.window.addEventListener.bind(page.window));
  vi.stubGlobal('document', page.document);
});
afterEach(() => vi.unstubAllGlobals());

async function online(): Promise<IMClient> {
  const c = w.client({}, { onWake: undefined as never });
  void c.init();
  await w.pass(1000);
  return c;
}

const asked = () => [w.server.count('ping'), w.server.count('sync')];

const wakes: Array<[string, () => void]> = [
  ['the page is seen again', () => page.fire('visibilitychange')],
  ['the network is back', () => page.fire('online')],
  ['it comes out of the back-forward cache', () => page.fire('pageshow')],
  ['it gets the focus', () => page.fire('focus')],
  ['it is resumed after a freeze', () => page.fire('resume', page.document)],
  ['the machine has slept', () => vi.setSystemTime(Date.now() + 8 * hour)],
  ['somebody set the clock back', () => vi.setSystemTime(Date.now() - hour)],
];

describe.each(wakes)('when %s, a client', (_, wake) => {
  it('asks for a sign of life and for what has changed', async () => {
    await online();
    expect(asked()).toEqual([0, 1]);
    wake();
    await w.pass(2_100);
    expect(asked()).toEqual([1, 2]);
  });

  it('makes a new connection where there is no sign of life in 2 s', async () => {
    const c = await online();
    w.server.stall();
    wake();
    await w.pass(4_200); // a jump is noticed within 2 s
    expect([c.state, w.server.connections]).toEqual(['online', 2]);
  });

  it('does not wait any longer for the next try', async () => {
    w.server.down = true;
    vi.spyOn(Math, 'random').mockReturnValue(0.999);
    const c = await online();
    await w.pass(120_000);
    expect(c.state).toBe('waiting');
    const attempts = w.server.connections;
    w.server.down = false;
    await w.pass(10);
    expect(w.server.connections).toBe(attempts);
    wake();
    await w.pass(2_100);
    expect(c.state).toBe('online');
  });

  it('is not woken while nobody sees the page', async () => {
    await online();
    page.document.visibilityState = 'hidden';
    wake();
    await w.pass(4_000);
    expect(asked()).toEqual([0, 1]);
  });

  it('is left alone after close', async () => {
    const c = await online();
    await c.close();
    wake();
    await w.pass(5_000);
    expect(w.server.connections).toBe(1);
  });
});

describe('waking up', () => {
  it('asks once where it is told in many ways at once', async () => {
    await online();
    for (const [, wake] of wakes.slice(0, 5)) wake();
    await w.pass();
    expect(asked()).toEqual([1, 2]);
    page.fire('focus');
    await w.pass();
    expect(asked()).toEqual([2, 3]);
  });

  it('tells what was missed', async () => {
    const c = await online();
    const seen: unknown[] = [];
    c.onMessage((m) => seen.push(m.content.text));
    w.server.lose = () => true;
    w.server.send('bob', { user: 'me' }, 'while you were out');
    await w.pass(1000);
    w.server.lose = () => false;
    expect(seen).toEqual([]);
    page.fire('visibilitychange');
    await w.pass(1000);
    expect(seen).toEqual(['while you were out']);
  });

  it('is no reason to try while there is no network', async () => {
    w.server.down = true;
    const c = w.client({}, { onWake: undefined as never, isOnline: () => false });
    void c.init();
    await w.pass(120_000);
    const attempts = w.server.connections;
    page.fire('offline');
    await w.pass(5);
    expect([c.state, w.server.connections]).toEqual(['offline', attempts]);
  });

  it('is not seen in a timer that is a little late', async () => {
    await online();
    for (let i = 0; i < 10; i++) {
      vi.setSystemTime(Date.now() + 3_000);
      await w.pass(2_000);
    }
    expect(w.server.count('ping')).toBe(0);
  });
});
