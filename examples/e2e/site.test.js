// The two small examples: a mount that is all there is, and a site that had
// users and sessions before it had a chat.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { build, freePort, launch, lostServer, Program, watch } from './harness.js';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

async function open(context, url) {
  const page = await context.newPage();
  page.chatOrigin = new URL(url).origin;
  page.setDefaultTimeout(10_000);
  page.watched = watch(page);
  await page.goto(url);
  return page;
}

/** Waits until the page of hello says just this. */
const says = (page, ...lines) =>
  page.waitForFunction((text) => document.querySelector('#log').textContent === text, lines.map((l) => `${l}\n`).join(''), {
    timeout: 30_000,
  });

async function clean(page) {
  const { violations } = await page.evaluate(`${axe}; axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa'] })`);
  assert.deepEqual(
    violations.map((v) => `${v.id}: ${v.help}`),
    [],
  );
}

/** Waits until the page's client is in a state; the page may only be on its way to have one. */
const reached = (page, state) => page.waitForFunction((s) => typeof imClient !== 'undefined' && imClient.state === s, state);

test('hello: two pages greet each other, also after a restart', async (t) => {
  const origin = `http://127.0.0.1:${await freePort()}`;
  const hello = new Program(build('hello'), '-addr', new URL(origin).host);
  t.after(() => hello.stop());
  await hello.start(/user=alice/);
  const context = await browser.newContext();
  const alice = await open(context, `${origin}/?user=alice`);
  await reached(alice, 'online');
  const bob = await open(context, `${origin}/?user=user123`);
  await says(alice, 'user123: Hello, World!');
  await alice.reload();
  await says(bob, 'alice: Hello, World!');
  await clean(bob);

  const second = new Program(hello.binary, ...hello.args);
  await assert.rejects(second.start(/user=alice/), /ended with 1: .*address already in use/s);
  assert.equal(await hello.stop(), 0);
  await hello.start(/user=alice/);
  await alice.evaluate(() => imClient.sendMessage({ to: 'user123', content: 'again' }));
  await says(bob, 'alice: Hello, World!', 'alice: again');
  for (const page of [alice, bob]) {
    page.watched.forgive(lostServer);
    page.watched.assertNone();
  }
  await context.close();
  assert.equal(await hello.stop(), 0);
});

/** The site with its chat, and a page of another origin that loads the SDK from there. */
async function startSite(t) {
  let html = '';
  const other = createServer((_, response) => {
    response.writeHead(200, { 'Content-Type': 'text/html' });
    response.end(html);
  });
  await new Promise((ready) => other.listen(0, '127.0.0.1', ready));
  const partner = `http://127.0.0.1:${other.address().port}`;
  const origin = `http://127.0.0.1:${await freePort()}`;
  const program = new Program(build('existing'), '-addr', new URL(origin).host, '-partner', partner);
  await program.start(/ http:/);
  t.after(async () => {
    other.close();
    other.closeAllConnections();
    assert.equal(await program.stop(), 0);
  });
  return {
    origin,
    partner,
    async signIn(user) {
      const context = await browser.newContext();
      const page = await open(context, origin);
      await page.getByLabel('User').fill(user);
      await page.getByLabel('Password').fill(program.said.match(new RegExp(`${user} signs in with the password (\\S+)`))[1]);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByText('Hello,').waitFor();
      await reached(page, 'online');
      page.say = async (to, text) => {
        await page.getByLabel('To').fill(to);
        await page.getByLabel('Message', { exact: true }).fill(text);
        await page.getByRole('button', { name: 'Send' }).click();
      };
      page.line = (text) => page.getByRole('list', { name: 'Messages' }).getByText(text, { exact: true });
      return page;
    },
    /** A page of the other origin, in a browser that may be signed in to the site. */
    async foreign(context, options) {
      html = `<!doctype html><title>partner</title><script src="${origin}/im/sdk/h5-im-sdk.js"></script>
        <script>const imClient = new IMClient(${JSON.stringify({ appId: 'site', ...options })});
        imClient.init(); window.got = []; imClient.onMessage((m) => got.push(m.from + ': ' + m.content.text));</script>`;
      const page = await context.newPage();
      page.setDefaultTimeout(10_000);
      page.said = [];
      page.on('console', (m) => page.said.push(m.text()));
      return page;
    },
  };
}

test('existing: who is signed in to the site chats with its cookie, and nothing of it is in the reach of a script', async (t) => {
  const site = await startSite(t);
  const ines = await site.signIn('ines');
  const joon = await site.signIn('joon');
  const payload = '<img src=x onerror="window.pwned=1">';
  await ines.say('joon', payload);
  await joon.line(`ines: ${payload}`).waitFor();
  await ines.line(`you to joon: ${payload}`).waitFor();
  await joon.say('ines', '안녕하세요');
  await ines.line('joon: 안녕하세요').waitFor();
  await clean(joon);
  assert.equal(await joon.evaluate(() => window.pwned), undefined);
  assert.equal(await ines.evaluate(() => document.cookie), '');
  const [{ value }] = await ines.context().cookies();
  const stored = await ines.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
  assert.ok(value && !stored.includes(value) && !/token/i.test(stored), stored);

  await ines.say('nobody', 'is there anybody?');
  await ines.getByText(/^not sent: /).waitFor();
  ines.watched.forgive(/not_found/);

  const olga = await site.signIn('olga');
  await ines.say('olga', 'hello olga');
  await olga.line('ines: hello olga').waitFor();
  await olga.say('ines', 'I may not');
  await olga.getByText('not sent: your account is suspended: you may read').waitFor();
  olga.watched.forgive(/permission_denied/);

  // Who signs out is out.
  await joon.getByRole('button', { name: 'Sign out' }).click();
  await joon.getByRole('button', { name: 'Sign in' }).waitFor();
  await clean(joon);
  assert.deepEqual(await joon.context().cookies(), []);
  const status = await joon.evaluate(async () => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'sync', params: {} });
    const headers = { 'Content-Type': 'application/json' };
    return (await fetch('/im/rpc', { method: 'POST', headers, body })).status;
  });
  assert.equal(status, 401);
  joon.watched.forgive(/401/);
  for (const page of [ines, joon, olga]) {
    page.watched.assertNone();
    await page.context().close();
  }
});

test('existing: a page of another origin chats with a token, and never with the cookie', async (t) => {
  const site = await startSite(t);
  const ines = await site.signIn('ines');
  const joon = await site.signIn('joon');
  const userToken = await ines.evaluate(async () => (await (await fetch('/chat-token', { method: 'POST' })).json()).token);

  const elsewhere = await browser.newContext();
  const partner = await site.foreign(elsewhere, { userToken });
  await partner.goto(site.partner);
  await reached(partner, 'online');
  await partner.evaluate(() => imClient.sendMessage({ to: 'joon', content: 'from elsewhere' }));
  await joon.line('ines: from elsewhere').waitFor();
  await joon.say('ines', 'I see you');
  await partner.waitForFunction(() => got.includes('joon: I see you'));
  assert.ok(!(await partner.evaluate(() => JSON.stringify({ ...localStorage }))).includes(userToken));
  assert.deepEqual(await elsewhere.cookies(), []);

  // A cookie is of a host, whatever the port: this page's requests carry it. It does not count.
  const listed = await site.foreign(ines.context(), {});
  await listed.goto(site.partner);
  await reached(listed, 'unauthorized');

  // An origin that is not listed does not even connect, with a good token.
  const unlisted = await site.foreign(elsewhere, { userToken });
  const refused = unlisted.waitForEvent('console', (m) => /WebSocket.*403/.test(m.text()));
  await unlisted.goto(site.partner.replace('127.0.0.1', 'localhost'));
  await refused;
  assert.notEqual(await unlisted.evaluate(() => imClient.state), 'online');

  joon.watched.assertNone();
  for (const context of [ines.context(), joon.context(), elsewhere]) await context.close();
});
