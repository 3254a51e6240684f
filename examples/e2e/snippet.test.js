// The first snippet of the SDK, as it stands in its README, on a page of the
// server: two users, both directions, the server restarted in between.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { build, launch, Server } from './harness.js';

const snippet = readFileSync(new URL('snippet.js', import.meta.url), 'utf8');

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

/** A page with the snippet and what a page supplies: the file, the app id, the token, the peer. */
async function open(user, peer) {
  const context = await browser.newContext();
  const page = await context.newPage();
  const got = [];
  const problems = [];
  page.on('console', async (m) => {
    if (!m.text().startsWith('New Message:')) return;
    const place = got.push(null) - 1;
    got[place] = await m.args()[1].jsonValue();
  });
  page.on('pageerror', (e) => problems.push(e.message)); // unhandled rejections too
  await page.addInitScript(() => {
    window.unhandled = [];
    addEventListener('unhandledrejection', (e) => window.unhandled.push(String(e.reason)));
  });
  // A page of the server's origin that is not the chat's, whose policy forbids inline scripts.
  await page.goto(`${server.url}/im/openrpc.json`);
  const code = snippet
    .replace('YOUR_APP_ID', 'demo')
    .replace('USER_TOKEN', await server.token(user))
    .replaceAll('user123', peer);
  await page.setContent(`<!doctype html><title>page</title>
    <script>const imageFile = new File(['image'], 'image.png', { type: 'image/png' });</script>
    <script src="/im/sdk/h5-im-sdk.js"></script>
    <script>${code}</script>`);
  return { page, got, problems, texts: () => got.map((m) => m?.content.text) };
}

async function until(what, condition) {
  for (let i = 0; i < 200; i++) {
    if (await condition()) return;
    await new Promise((r) => setTimeout(r, 100));
  }
  assert.fail(`in 20 s not: ${what}`);
}

test('the snippet works in both directions across restarts, and nothing is lost or doubled', async () => {
  const b = await open('user123', 'alice123');
  await until('he is online', () => b.page.evaluate(() => imClient.state === 'online'));
  const a = await open('alice123', 'user123'); // the snippet to the letter
  const say = (from, to, n) =>
    from.page.evaluate(
      ([to, n]) => {
        for (let i = 0; i < 5; i++) imClient.sendMessage({ to, content: `${n}.${i}` });
      },
      [to, n],
    );
  const round = (n) => [0, 1, 2, 3, 4].map((i) => `${n}.${i}`);

  await until('she said hello', () => b.got.length === 1);
  const expected = [];
  for (const [n, end] of [
    [1, 'SIGINT'],
    [2, 'SIGKILL'],
  ]) {
    await say(a, 'user123', `${n} online`);
    await say(b, 'alice123', `${n} online`);
    await server.stop(end);
    await say(a, 'user123', `${n} offline`);
    await say(b, 'alice123', `${n} offline`);
    await server.start();
    expected.push(...round(`${n} online`), ...round(`${n} offline`));
    await until(
      `everything of round ${n} arrived`,
      () => a.got.length >= expected.length && b.got.length > expected.length,
    );
  }
  // Whatever came twice is here before the last word, which is sent when all is.
  await a.page.evaluate((to) => imClient.sendMessage({ to, content: 'last' }), 'user123');
  await b.page.evaluate((to) => imClient.sendMessage({ to, content: 'last' }), 'alice123');
  expected.push('last');
  await until('the last words', () => a.texts().includes('last') && b.texts().includes('last'));
  assert.deepEqual(a.texts(), expected); // his hello was history when she came
  assert.deepEqual(b.texts(), ['Hello, World!', ...expected]);

  const list = await server.call('alice123', 'sync', { limit: 100 });
  const { id } = list.conversations.find((c) => c.peer === 'user123');
  const page = await server.call('user123', 'message.list', { conversation: id, after: 0, limit: 100 });
  assert.deepEqual(
    page.messages.map((m) => m.seq),
    page.messages.map((_, i) => i + 1),
  );
  for (const user of ['alice123', 'user123']) {
    assert.deepEqual(
      page.messages.filter((m) => m.from === user).map((m) => m.content.text),
      ['Hello, World!', ...expected],
    );
  }
  for (const side of [a, b]) {
    assert.deepEqual(await side.page.evaluate(() => window.unhandled), []);
    assert.deepEqual(side.problems, []);
  }
});

test('what is not supported yet rejects with "unsupported", and with nobody waiting is told as an error event', async () => {
  const { page, problems } = await open('u1', 'u2');
  const reasons = await page.evaluate(async () => {
    const reason = (p) =>
      p.then(
        () => 'it worked',
        (e) => e.reason,
      );
    const to = 'u2';
    return [await reason(imClient.sendImage({ to, file: imageFile })), await reason(imClient.startVideoCall({ to }))];
  });
  assert.deepEqual(reasons, ['unsupported', 'unsupported']);
  await page.evaluate(() => {
    window.told = [];
    imClient.on('error', (e) => told.push(e.reason));
    imClient.sendImage({ to: 'u2', file: imageFile });
    imClient.startVideoCall({ to: 'u2' });
  });
  await until('both are told', () => page.evaluate(() => told.length === 2));
  // A message that makes its way there and back: time enough for a third.
  await page.evaluate(() => imClient.sendMessage({ to: 'u2', content: 'after' }));
  assert.deepEqual(await page.evaluate(() => told), ['unsupported', 'unsupported']);
  assert.deepEqual(await page.evaluate(() => window.unhandled), []);
  assert.deepEqual(problems, []);
});
