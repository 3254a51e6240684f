// What outlives a page: messages that are still to be sent, and what is shown
// without the server. In a real browser, with its IndexedDB.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { build, ChatPage, crash, keepAssets, launch, lostServer, Network, Server } from './harness.js';

let server;
let browser;
before(async () => {
  server = await new Server(build()).start();
  browser = await launch('--disable-features=LocalNetworkAccessChecks'); // for pages that keepAssets gives
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** A page whose connection can be cut. */
async function open(user, peer) {
  await server.send(peer, user, `hello ${user}`);
  const network = new Network();
  const p = await ChatPage.open(browser, server, user, { prepare: network.prepare });
  await p.enter(title(peer));
  await p.message(`hello ${user}`).waitFor();
  return { p, network };
}

/** Another tab of the same person. */
async function another(p) {
  const network = new Network();
  const next = await ChatPage.in(p.context, server, p.user, new URL(p.page.url()).pathname + location(p), network.prepare);
  return { p: next, network };
}
const location = ({ page }) => new URL(page.url()).search + new URL(page.url()).hash;
const title = (user) => user[0].toUpperCase() + user.slice(1);

/** What the server has of a conversation. */
async function stored(user, peer) {
  const { conversations } = await server.call(user, 'sync', {});
  const { id } = conversations.find((c) => c.peer === peer);
  const { messages } = await server.call(user, 'message.list', { conversation: id, limit: 100 });
  return messages.map((m) => m.content.text);
}

async function until(what, wanted) {
  for (let i = 0; ; i++) {
    const got = await what();
    try {
      return assert.deepEqual(got, wanted);
    } catch (e) {
      if (i === 100) throw e;
      await new Promise((r) => setTimeout(r, 100));
    }
  }
}

/** What is stored in the page's browser, by the end of the key. */
const kept = (page, kind) =>
  page.evaluate(async (k) => {
    const { indexedDBStorage } = await import('/im/sdk/index.js');
    return (await indexedDBStorage().list('')).filter(([key]) => key.includes(`]${k}`)).map(([, value]) => value);
  }, kind);

const pending = (p) => p.page.locator('.message', { has: p.page.locator('.state.sending') }).locator('.text').allTextContents();

test('IndexedDB keeps what every storage must', async () => {
  const p = await ChatPage.open(browser, server, '', { path: '/' });
  const rules = await readFile(new URL('../../sdkjs/test/storagetest.js', import.meta.url), 'utf8');
  await p.context.route('**/storagetest.js', (route) => route.fulfill({ contentType: 'text/javascript', body: rules }));
  const results = await p.page.evaluate(async () => {
    const { cases } = await import('/storagetest.js');
    const { indexedDBStorage } = await import('/im/sdk/index.js');
    const failed = [];
    let n = 0;
    for (const [rule, check] of Object.entries(cases)) {
      const again = () => indexedDBStorage(`rule ${n}`);
      n++;
      await check(again(), again).catch((e) => failed.push(`${rule}: ${e.message}`));
    }
    return { n, failed };
  });
  assert.deepEqual(results, { n: 7, failed: [] });
  await p.close();
});

test('sent offline, reloaded, sent more, reloaded, online: once and in order', async () => {
  const { p, network } = await open('ada', 'ben');
  await network.close();
  await p.say('one');
  await p.say('two');
  await until(async () => (await kept(p.page, 'out/')).length, 2);
  await until(async () => (await kept(p.page, 'cache/')).length, 3); // reloading alone may come too late for it
  await p.page.reload();
  await until(() => pending(p), ['one', 'two']);
  assert.equal(await p.row('Ben').locator('.preview').textContent(), 'You: two', 'the list shows it too');
  await p.say('three');
  await until(async () => (await kept(p.page, 'out/')).length, 3);
  await p.page.reload();
  await until(() => pending(p), ['one', 'two', 'three']);
  assert.deepEqual(await stored('ben', 'ada'), ['hello ada']);
  network.open();
  await p.page.evaluate(() => dispatchEvent(new Event('online')));
  await until(() => stored('ben', 'ada'), ['hello ada', 'one', 'two', 'three']);
  await until(() => p.texts(), ['hello ada', 'one', 'two', 'three']);
  await until(() => kept(p.page, 'out/'), []);
  p.watched.forgive(lostServer);
  await p.close();
});

test('the list and the messages are there while the server is down, and what one writes then', async () => {
  for (let i = 1; i <= 30; i++) await server.send('cleo', 'dan', `message ${i}`);
  await server.send('eve', 'dan', 'hello from eve');
  const p = await ChatPage.open(browser, server, 'dan');
  await keepAssets(p.context);
  await p.page.reload();
  await p.enter('Cleo');
  await p.message('message 30').waitFor();
  await until(async () => (await kept(p.page, 'cache/')).length, 3);
  await server.stop();
  await p.page.reload();
  await p.message('message 30').waitFor();
  assert.equal((await p.texts()).length, 30);
  assert.deepEqual(await p.rows.locator('.title').allTextContents(), ['Eve', 'Cleo']);
  await p.say('written without a server');
  await until(() => pending(p), ['written without a server']);
  await p.page.locator('.banner').waitFor();
  await p.page.reload();
  await until(() => pending(p), ['written without a server']);
  await server.start();
  await server.send('cleo', 'dan', 'message 31');
  await p.page.evaluate(() => dispatchEvent(new Event('online')));
  await p.message('message 31').waitFor();
  await until(async () => (await stored('cleo', 'dan')).filter((t) => !/^message/.test(t)), ['written without a server']);
  await until(() => pending(p), []);
  p.watched.forgive(lostServer);
  p.watched.forgive(/ERR_FAILED|Failed to load resource/);
  await p.close();
});

test('a tab that is killed between storing and sending loses nothing', async () => {
  const { p, network } = await open('fay', 'gil');
  network.ignore('message.send');
  await p.say('one');
  await p.say('two');
  await until(async () => (await kept(p.page, 'out/')).length, 2);
  assert.deepEqual(await stored('gil', 'fay'), ['hello fay']);
  const old = { context: p.context, page: p.page, user: p.user };
  const next = await another(old);
  await crash(p.page);
  await until(() => stored('gil', 'fay'), ['hello fay', 'one', 'two']);
  await until(() => kept(next.p.page, 'out/'), []);
  await until(() => next.p.texts(), ['hello fay', 'one', 'two']);
  await next.p.close();
});

test('a tab that is killed between sending and the answer doubles nothing', async () => {
  const { p, network } = await open('hal', 'ivy');
  network.swallow('message.send');
  await p.say('one');
  await p.say('two');
  await until(() => stored('ivy', 'hal'), ['hello hal', 'one']);
  await until(async () => (await kept(p.page, 'out/')).length, 2); // what is not stored yet may be lost
  await crash(p.page);
  const next = await another({ context: p.context, page: p.page, user: p.user });
  await until(() => stored('ivy', 'hal'), ['hello hal', 'one', 'two']);
  await until(() => kept(next.p.page, 'out/'), []);
  await until(() => next.p.texts(), ['hello hal', 'one', 'two']);
  await next.p.close();
});

test('two tabs: each sends what is its own, once, and neither disturbs the other', async () => {
  const { p, network } = await open('jon', 'kay');
  const b = await another(p);
  await b.p.message('hello jon').waitFor();
  await Promise.all([network.close(), b.network.close()]);
  for (const n of ['1', '2', '3']) {
    await p.say(`a${n}`);
    await b.p.say(`b${n}`);
  }
  await until(async () => (await kept(p.page, 'out/')).length, 6);
  // They share a connection, whichever has it: the order of one says nothing of the other.
  b.network.open();
  network.open();
  await b.p.page.evaluate(() => dispatchEvent(new Event('online')));
  const of = (tab) => async () => (await stored('kay', 'jon')).filter((t) => t.startsWith(tab));
  await until(of('b'), ['b1', 'b2', 'b3']);
  await until(of('a'), ['a1', 'a2', 'a3']);
  assert.equal((await stored('kay', 'jon')).length, 7);
  await until(() => kept(p.page, 'out/'), []);
  const sends = [...network.asked, ...b.network.asked].filter((r) => r.method === 'message.send');
  assert.equal(sends.length, 6);
  p.watched.forgive(lostServer);
  b.p.watched.forgive(lostServer);
  b.p.watched.assertNone();
  await p.close();
});

test('nothing is left after signing out, and another user sends nothing of it', async () => {
  const { p, network } = await open('lea', 'max');
  await network.close();
  await p.say('never sent');
  await until(async () => (await kept(p.page, 'out/')).length, 1);
  const other = await ChatPage.in(p.context, server, 'ned');
  await other.page.getByRole('heading', { name: 'No conversations yet' }).waitFor();
  assert.deepEqual(await stored('max', 'lea'), ['hello lea']);
  assert.equal((await kept(other.page, 'out/')).length, 1);
  await p.page.getByRole('button', { name: 'Settings' }).click();
  await p.page.getByRole('button', { name: 'Switch user' }).click();
  await p.page.getByRole('heading', { name: 'Good to see you.' }).waitFor();
  assert.deepEqual(await kept(other.page, 'out/'), []);
  const everything = await other.page.evaluate(async () => {
    const { indexedDBStorage } = await import('/im/sdk/index.js');
    return JSON.stringify([await indexedDBStorage().list(''), { ...localStorage }, { ...sessionStorage }]);
  });
  assert.ok(!everything.includes('hello lea') && !everything.includes('never sent'), everything);
  const token = await server.token('ned');
  assert.ok(!everything.includes(token.slice(0, 12)), 'a token is stored');
  p.watched.forgive(lostServer);
  other.watched.assertNone();
  await p.close();
});

test('a browser without room, or whose database is deleted, sends all the same', async () => {
  const { p, network } = await open('oda', 'pia');
  await p.page.evaluate(
    () =>
      new Promise((done, failed) => {
        const r = indexedDB.deleteDatabase('h5im');
        r.onsuccess = done;
        r.onblocked = r.onerror = failed;
      }),
  );
  await network.close();
  await p.say('one');
  await until(async () => (await kept(p.page, 'out/')).length, 1);
  const session = await p.context.newCDPSession(p.page);
  await session.send('Storage.overrideQuotaForOrigin', { origin: server.url, quotaSize: 1 });
  await p.say('two');
  network.open();
  await p.page.evaluate(() => dispatchEvent(new Event('online')));
  await until(() => stored('pia', 'oda'), ['hello oda', 'one', 'two']);
  await until(() => pending(p), []);
  p.watched.forgive(lostServer);
  p.watched.forgive(/IMClient: storage: not everything is kept/);
  await p.close();
});
