// The page behind proxies that block WebSocket, and behind ones that also hold
// streams back: the same chat by other ways, nothing lost and nothing doubled.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { build, ChatPage, launch, lostServer, Server } from './harness.js';
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

const blocked = /WebSocket connection to|403|Failed to load resource/;

/** Writes in both directions while the connection breaks again and again. */
async function chats(user, peer, box) {
  const p = await ChatPage.open(browser, box, user);
  await server.send(peer, user, 'are you there?');
  await p.row(peer[0].toUpperCase() + peer.slice(1)).waitFor({ timeout: 30_000 });
  await p.enter(peer[0].toUpperCase() + peer.slice(1));
  const want = ['are you there?'];
  for (let i = 0; i < 6; i++) {
    if (i % 2) box.cut();
    await p.say(`mine ${i}`);
    want.push(`mine ${i}`);
    await p.message(`mine ${i}`).waitFor();
    await server.send(peer, user, `theirs ${i}`);
    await p.message(`theirs ${i}`).waitFor({ timeout: 20_000 });
    want.push(`theirs ${i}`);
  }
  await p.page.waitForFunction(() => !document.querySelector('.state.sending')); // what is shown may be on its way yet
  const { conversations } = await server.call(user, 'sync', {});
  const list = await server.call(user, 'message.list', { conversation: conversations[0].id, limit: 100 });
  const stored = list.messages.map((m) => m.content.text);
  assert.deepEqual([...stored].sort(), [...want].sort(), 'each once');
  assert.deepEqual(await p.texts(), stored, 'the page shows them in the order of the server');
  p.watched.forgive(lostServer);
  p.watched.forgive(blocked);
  p.watched.forgive(/ERR_(EMPTY_RESPONSE|INCOMPLETE_CHUNKED_ENCODING|CONNECTION)/);
  return p;
}

for (const upgrades of ['refuse', 'hang']) {
  test(`a proxy that lets upgrades ${upgrades}: an event stream`, { timeout: 120_000 }, async (t) => {
    const box = await new Middlebox(server).start(t);
    box.upgrades = upgrades;
    const p = await chats(`kim${upgrades}`, 'lea', box);
    assert.ok(box.seen['/im/events'] >= 1, JSON.stringify(box.seen));
    assert.equal(box.seen['/im/poll'], undefined, JSON.stringify(box.seen));
    const before = box.seen['/im/ws'];
    await p.page.reload();
    await p.row('Lea').waitFor();
    await server.send('lea', `kim${upgrades}`, 'after the reload');
    await p.page.getByText('after the reload').first().waitFor();
    assert.equal(box.seen['/im/ws'], before, 'what works is remembered over a reload');
    p.watched.forgive(blocked);
    await p.close();
  });
}

test('a proxy that keeps streams back as well: long polls', { timeout: 120_000 }, async (t) => {
  const box = await new Middlebox(server).start(t);
  box.upgrades = 'refuse';
  box.buffers = true;
  const p = await chats('mia', 'noa', box);
  assert.ok(box.seen['/im/poll'] >= 1, JSON.stringify(box.seen));
  await p.close();
});

test('diagnose names what is blocked and what is not', async (t) => {
  const box = await new Middlebox(server).start(t);
  box.upgrades = 'refuse';
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`${box.url}/login`).catch(() => {});
  const token = await server.token('ora');
  const found = await page.evaluate(async ([base, userToken]) => {
    const { IMClient } = await import(`${base}/im/sdk/index.js`);
    const client = new IMClient({ appId: 'demo', endpoint: `${base}/im`, userToken, logger: { warn() {}, error() {} } });
    await client.init();
    const d = await client.diagnose();
    const { transport } = client;
    await client.logout();
    return JSON.parse(JSON.stringify({ ...d, transport }));
  }, [box.url, token]);
  assert.equal(found.transport, 'sse');
  assert.equal(found.transports.websocket.ok, false);
  assert.equal(found.transports.websocket.reason, 'blocked');
  assert.equal(found.transports.sse.ok, true);
  assert.equal(found.transports.poll.ok, true);
  assert.ok(found.transports.sse.rttMs >= 0);
  assert.ok(found.limits.frameBytes > 0);
  await context.close();
});
