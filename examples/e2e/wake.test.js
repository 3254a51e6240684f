// Tabs that sleep and networks that fall silent: what came meanwhile is there
// soon after the page is looked at again.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { asBrowsersDo, build, ChatPage, launch, lostServer, Server } from './harness.js';
import { Middlebox } from './middlebox.js';

let server;
let browser;
before(async () => {
  server = await new Server(build()).start();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

async function open(t, user, peer) {
  const box = await new Middlebox(server).start(t);
  const p = await ChatPage.open(browser, box, user, { prepare: asBrowsersDo });
  await server.send(peer, user, 'hello');
  await p.enter(peer[0].toUpperCase() + peer.slice(1));
  await p.message('hello').waitFor();
  return { p, box };
}

const awake = (page) => page.evaluate(() => dispatchEvent(new Event('focus')));

test('a frozen page, whose connection was cut meanwhile, shows what came as soon as it thaws', async (t) => {
  const { p, box } = await open(t, 'pia', 'quin');
  const cdp = await p.context.newCDPSession(p.page);
  await p.page.evaluate(() => {
    globalThis.ticks = 0;
    setInterval(() => globalThis.ticks++, 10);
  });
  await cdp.send('Page.setWebLifecycleState', { state: 'frozen' });
  const ticks = await p.page.evaluate(() => globalThis.ticks);
  box.cut();
  for (let i = 1; i <= 5; i++) await server.send('quin', 'pia', `while you slept ${i}`);
  assert.ok((await p.page.evaluate(() => globalThis.ticks)) <= ticks + 1, 'it is not frozen');
  await cdp.send('Page.setWebLifecycleState', { state: 'active' });
  await p.message('while you slept 5').waitFor({ timeout: 4_000 });
  assert.deepEqual(await p.texts(), ['hello', ...[1, 2, 3, 4, 5].map((i) => `while you slept ${i}`)]);
  p.watched.forgive(lostServer);
  await p.close();
});

test('a connection that fell silent is replaced two seconds after the page is looked at', async (t) => {
  const { p, box } = await open(t, 'rea', 'sam');
  box.stall();
  await server.send('sam', 'rea', 'into the void');
  const before = box.seen['/im/ws'];
  await awake(p.page);
  await p.message('into the void').waitFor({ timeout: 5_000 });
  assert.equal(box.seen['/im/ws'], before + 1, 'one more connection');
  p.watched.forgive(lostServer);
  await p.close();
});

test('one that still speaks is kept', async (t) => {
  const { p, box } = await open(t, 'tom', 'una');
  const before = box.seen['/im/ws'];
  for (let i = 0; i < 5; i++) await awake(p.page);
  await server.send('una', 'tom', 'still here');
  await p.message('still here').waitFor();
  await p.page.waitForTimeout(2_500);
  assert.equal(box.seen['/im/ws'], before);
  await p.close();
});
