// Tabs of one person share one connection: in a real browser, with its locks,
// its channels, and its way to freeze a page.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { asBrowsersDo, build, ChatPage, crash, launch, Server } from './harness.js';

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

const title = (user) => user[0].toUpperCase() + user.slice(1);

/** Counts the WebSockets of a page: {made, open}. */
async function counting(page) {
  const cdp = await page.context().newCDPSession(page);
  const count = { made: 0, open: 0, cdp };
  await cdp.send('Network.enable');
  cdp.on('Network.webSocketCreated', ({ url }) => {
    if (!url.includes('/im/ws')) return;
    count.made++;
    count.open++;
  });
  cdp.on('Network.webSocketClosed', () => count.open--);
  return count;
}

/** A tab with the conversation open; page.sockets counts. */
async function tab(context, user, peer) {
  let sockets;
  const prepare = async (page) => {
    await asBrowsersDo(page);
    sockets = await counting(page);
  };
  const p = await ChatPage.in(context, server, user, `/?user=${user}`, prepare);
  await p.enter(title(peer));
  return Object.assign(p, { sockets, freeze: (state) => sockets.cdp.send('Page.setWebLifecycleState', { state }) });
}

async function two(user, peer) {
  await server.send(peer, user, `hello ${user}`);
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-GB' });
  const a = await tab(context, user, peer);
  await a.message(`hello ${user}`).waitFor();
  const b = await tab(context, user, peer);
  await b.message(`hello ${user}`).waitFor();
  return { a, b, context };
}

const sockets = (...tabs) => tabs.reduce((n, t) => n + t.sockets.open, 0);

async function until(what, wanted, ms = 10_000) {
  for (const end = Date.now() + ms; ; ) {
    const got = await what();
    try {
      return assert.deepEqual(got, wanted);
    } catch (e) {
      if (Date.now() > end) throw e;
      await new Promise((r) => setTimeout(r, 20));
    }
  }
}

/** What the server has of a conversation. */
async function stored(user, peer) {
  const { conversations } = await server.call(user, 'sync', {});
  const { id } = conversations.find((c) => c.peer === peer);
  const { messages } = await server.call(user, 'message.list', { conversation: id, limit: 100 });
  return messages.map((m) => m.content.text);
}

test('two tabs have one socket, and each shows what comes and what the other sends', async () => {
  const { a, b, context } = await two('ann', 'ben');
  assert.deepEqual([a.sockets.made, b.sockets.made], [1, 0]);
  await server.send('ben', 'ann', 'to both');
  await a.say('from a');
  await b.message('from a').waitFor();
  await b.say('from b');
  await a.message('from b').waitFor();
  const all = ['hello ann', 'to both', 'from a', 'from b'];
  await until(() => stored('ann', 'ben'), all);
  await until(() => a.texts(), all);
  await until(() => b.texts(), all);
  assert.deepEqual([a.sockets.made, b.sockets.made], [1, 0]);
  a.watched.assertNone();
  b.watched.assertNone();
  await context.close();
});

for (const [how, end] of [
  ['is closed', (p) => p.page.close()],
  ['crashes', (p) => crash(p.page)],
]) {
  test(`the tab with the socket ${how}, with messages on their way: none is lost, none comes twice`, async () => {
    const [user, peer] = how === 'crashes' ? ['cat', 'dan'] : ['eve', 'fay'];
    const { a, b, context } = await two(user, peer);
    const sent = Array.from({ length: 20 }, (_, i) => `m${i}`);
    let ended;
    for (const [i, text] of sent.entries()) {
      await b.say(text);
      if (i === 10) ended = end(a);
    }
    await ended;
    const closed = Date.now();
    await until(() => b.sockets.open, 1);
    assert.ok(Date.now() - closed < 2_000);
    await until(() => stored(user, peer), [`hello ${user}`, ...sent]);
    await server.send(peer, user, 'still there?');
    await b.message('still there?').waitFor();
    await until(() => b.texts(), [`hello ${user}`, ...sent, 'still there?']);
    b.watched.assertNone();
    await context.close();
  });
}

for (const [how, user, peer] of [
  ['is frozen', 'gus', 'hal'],
  ['is frozen without a word', 'ned', 'oda'],
])
  test(`the tab with the socket ${how}: the one in sight takes over in under 2 s; thawed, the other follows`, async () => {
    const { a, b, context } = await two(user, peer);
    if (how !== 'is frozen') {
      await a.page.evaluate(() => {
        const say = BroadcastChannel.prototype.postMessage;
        BroadcastChannel.prototype.postMessage = function (m) {
          if (m.kind !== 'freeze') say.call(this, m);
        };
      });
    }
    await b.page.bringToFront();
    const isHidden = () => a.page.evaluate(() => document.visibilityState);
    await until(isHidden, 'hidden');
    const ticks = () => a.page.evaluate(() => globalThis.ticks);
    await a.page.evaluate(() => {
      globalThis.ticks = 0;
      setInterval(() => globalThis.ticks++, 100);
    });
    await a.freeze('frozen');
    const before = await ticks();
    const frozen = Date.now();
    await server.send(peer, user, 'anybody?');
    await b.message('anybody?').waitFor();
    const took = Date.now() - frozen;
    console.log(`taken over after ${took} ms`);
    assert.ok(took < 2_000, `${took} ms`);
    await b.say('me');
    await until(() => stored(user, peer), [`hello ${user}`, 'anybody?', 'me']);
    assert.equal(await ticks(), before, 'it was not frozen');
    await a.freeze('active');
    await a.message('me').waitFor();
    await until(() => [a.sockets.open, b.sockets.open], [0, 1]);
    a.watched.forgive(/WebSocket connection to .* failed: Page entered Back-Forward Cache/); // how Chromium ends it
    await server.send(peer, user, 'good');
    for (const p of [a, b]) {
      await p.message('good').waitFor();
      await until(() => p.texts(), [`hello ${user}`, 'anybody?', 'me', 'good']);
      p.watched.assertNone();
    }
    assert.equal(a.sockets.made, 1);
    await context.close();
  });

test('signing out in one tab signs out in the other', async () => {
  const { a, b, context } = await two('ida', 'jim');
  await b.page.getByRole('button', { name: 'Settings' }).click();
  await b.page.getByRole('button', { name: 'Switch user' }).click();
  await b.page.getByRole('heading', { name: 'Good to see you.' }).waitFor();
  await until(() => sockets(a, b), 0);
  const state = await a.page.evaluate(async () => {
    const { indexedDBStorage } = await import('/im/sdk/index.js');
    return JSON.stringify([await indexedDBStorage().list(''), { ...localStorage }, { ...sessionStorage }]);
  });
  assert.ok(!state.includes('hello ida'), state);
  a.watched.forgive(/unauthenticated: signed out in another tab/);
  a.watched.assertNone();
  b.watched.assertNone();
  await context.close();
});

test('people in one browser do not share', async () => {
  const { a, context } = await two('kim', 'leo');
  await server.send('kim', 'mia', 'hello mia');
  const other = await tab(context, 'mia', 'kim');
  await other.message('hello mia').waitFor();
  assert.deepEqual([a.sockets.open, other.sockets.open], [1, 1]);
  await context.close();
});
