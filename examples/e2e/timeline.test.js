// What a timeline shows, and where: the first unread message, the end after
// one's own message, long and foreign texts, and lists that are long.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { build, ChatPage, drawn, launch, lostServer, Network, Server } from './harness.js';

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

const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

const box = (locator) => locator.evaluate((e) => e.getBoundingClientRect().toJSON());
const badge = (p, title) => p.row(title).locator('.badge [aria-hidden]').textContent();

/** Sends many messages, in order. */
async function fill(from, to, n, text = (i) => `message ${i}`) {
  for (let i = 1; i <= n; i++) await server.send(from, to, text(i));
}

test('what was never read opens at its first message', async () => {
  await fill('ana', 'bea', 70);
  const p = await ChatPage.open(browser, server, 'bea');
  await p.enter('Ana');
  await p.page.locator('.divider + .message .text', { hasText: /^message 1$/ }).waitFor();
  const { top } = await box(p.message('message 1'));
  assert.ok(top > 64 && top < 500, `the first message is at ${top}`);
  assert.ok(Number(await badge(p, 'Ana')) > 30, 'what is below the screen is unread still');
  await p.close();
});

test('of more unread messages than are worth loading, nothing is read that was not seen', async () => {
  await fill('cid', 'dov', 520);
  const p = await ChatPage.open(browser, server, 'dov');
  await p.enter('Cid');
  await p.page.locator('.message').nth(300).waitFor({ state: 'attached' });
  await drawn(p.page);
  assert.equal(await badge(p, 'Cid'), '99+');
  assert.ok((await p.page.locator('.message').count()) < 520, 'it does not run off to the beginning');
  await p.page.getByRole('button', { name: /new messages/ }).click();
  await p.message('message 520').waitFor();
  await p.row('Cid').locator('.badge').waitFor({ state: 'detached' });
  await p.close();
});

test('a slow server is asked once for each thing', async () => {
  await fill('una', 'wyn', 120);
  const network = new Network();
  const p = await ChatPage.open(browser, server, 'wyn', { prepare: network.prepare });
  await p.row('Una').waitFor();
  network.ignore('conversation.mark');
  await p.enter('Una');
  const read = () => network.asked.filter((r) => r.method === 'conversation.mark' && r.params.read).map((r) => r.params.read);
  const pages = () => network.asked.filter((r) => r.method === 'message.list').map((r) => r.params.before);
  await p.page.getByRole('button', { name: /new messages/ }).click();
  await p.page.waitForFunction(() => document.querySelector('.newest').hidden);
  const log = p.page.getByRole('log');
  for (let i = 1; i <= 10; i++) await log.evaluate((e, i) => (e.scrollTop -= i % 2 ? 10 : -10), i);
  await server.send('una', 'wyn', 'one more');
  await p.message('one more').waitFor();
  await drawn(p.page);
  assert.deepEqual(read(), [...new Set(read())]);
  assert.equal(read().at(-1), 121);
  assert.deepEqual(pages(), [...new Set(pages())]);
  await p.close();
});

test('a short conversation needs no scrolling, and its beginning is on the screen', async () => {
  await server.send('edo', 'fin', 'hello');
  const p = await ChatPage.open(browser, server, 'fin');
  await p.enter('Edo');
  await p.message('hello').waitFor();
  await drawn(p.page);
  const log = p.page.getByRole('log');
  assert.equal(await log.evaluate((e) => e.scrollHeight - e.clientHeight), 0);
  const begin = p.page.getByText('This is where the conversation begins');
  assert.ok((await box(begin)).top >= (await box(log)).top, 'it is not above the screen');
  await p.close();
});

test("one's own message scrolls to the end, wherever one was", async () => {
  await fill('gem', 'hue', 60);
  const { id } = await server.call('hue', 'conversation.create', { kind: 'direct', members: ['gem'] });
  await server.call('hue', 'conversation.mark', { conversation: id, read: 60 });
  const p = await ChatPage.open(browser, server, 'hue');
  await p.enter('Gem');
  const log = p.page.getByRole('log');
  await p.message('message 60').waitFor();
  await log.evaluate((e) => (e.scrollTop = e.scrollHeight / 2));
  await p.page.getByRole('button', { name: 'Jump to the newest message' }).waitFor();
  await p.say('mine');
  await p.message('mine').locator('.state.sent').waitFor();
  await p.page.waitForFunction(() => {
    const e = document.querySelector('.log');
    return e.scrollHeight - e.scrollTop - e.clientHeight < 2;
  });
  await p.close();
});

test('a conversation that is written to rises to the top at once, also without a connection', async () => {
  await server.send('ike', 'kay', 'first');
  await server.send('jon', 'kay', 'second');
  const p = await ChatPage.open(browser, server, 'kay');
  await p.enter('Ike');
  const titles = () => p.page.locator('.conversation .title').allTextContents();
  assert.deepEqual(await titles(), ['Jon', 'Ike']);
  await server.stop();
  await p.say('on its way');
  await p.row('Ike').filter({ hasText: 'You: on its way' }).waitFor();
  assert.deepEqual(await titles(), ['Ike', 'Jon']);
  await server.start();
  await p.message('on its way').locator('.state.sent').waitFor({ timeout: 30_000 });
  assert.deepEqual(await titles(), ['Ike', 'Jon']);
  p.watched.forgive(lostServer);
  await p.close();
});

test('nothing is wider than its place: long words, addresses, names, titles', async () => {
  const wide = 'W'.repeat(400);
  const name = 'a'.repeat(32);
  const { id } = await server.call('lea', 'conversation.create', {
    kind: 'group',
    title: `A title ${'that is long '.repeat(8)}${'x'.repeat(60)}`,
    members: [name, 'max'],
    clientId: 'wide',
  });
  await server.send(name, { conversation: id }, wide);
  await server.send('max', { conversation: id }, `https://example.com/${'path/'.repeat(80)}`);
  await server.send('max', { conversation: id }, '敏捷的棕色狐狸'.repeat(60));
  for (const size of [{}, phone]) {
    const p = await ChatPage.open(browser, server, 'max', size);
    await p.rows.first().click();
    await p.message(wide).waitFor();
    await p.page.getByRole('button', { name: 'Group details' }).click();
    await p.page.locator('.panel .person').nth(2).waitFor();
    const wider = await p.page.evaluate(() =>
      [document.documentElement, ...document.querySelectorAll('.log, .bubble, .panel, .conversation, .bar')]
        .filter((e) => e.scrollWidth > e.clientWidth)
        .map((e) => e.className || e.tagName),
    );
    assert.deepEqual(wider, []);
    await p.close();
  }
});

test('a very long message is shown in part, until the rest is asked for', async () => {
  const text = `begin ${'word '.repeat(3000)}end`;
  await server.send('ned', 'oda', text);
  const p = await ChatPage.open(browser, server, 'oda');
  await p.enter('Ned');
  const more = p.page.locator('.message').getByRole('button', { name: 'Show all' });
  await more.waitFor();
  const shown = () => p.page.locator('.bubble .text').textContent();
  assert.ok((await shown()).length < 3000);
  await more.press('Enter');
  assert.equal(await shown(), text);
  assert.equal(await more.count(), 0);
  assert.ok(
    await p.page.locator('.message').evaluate((e) => e === document.activeElement),
    'the focus stays with the message',
  );
  await p.close();
});

test('a text stands on the side where its language begins', async () => {
  const arabic = 'مرحبا بالعالم';
  await server.send('pia', 'ron', `${arabic}\nand a line from left to right, which is longer than the other one`);
  const p = await ChatPage.open(browser, server, 'ron');
  await p.enter('Pia');
  const gaps = await p.page.locator('.bubble').evaluate((bubble) => {
    const range = document.createRange();
    const text = bubble.querySelector('.text').firstChild;
    range.setStart(text, 0);
    range.setEnd(text, text.data.indexOf('\n'));
    const line = range.getBoundingClientRect();
    const outer = bubble.getBoundingClientRect();
    return [line.left - outer.left, outer.right - line.right];
  });
  assert.ok(gaps[1] < gaps[0], `${gaps} px are free left and right of the Arabic line`);
  await p.close();
});

test('the composer grows with what is written, up to a limit, and shrinks again', async () => {
  await server.send('sol', 'tom', 'hi');
  const p = await ChatPage.open(browser, server, 'tom');
  await p.enter('Sol');
  const height = async () => Math.round((await box(p.field)).height);
  const one = await height();
  await p.field.fill('1\n2\n3');
  assert.equal(await height(), one + 2 * 22);
  await p.field.fill('line\n'.repeat(50));
  assert.ok((await height()) <= 220);
  await p.message('hi').waitFor();
  const log = p.page.getByRole('log');
  assert.ok(await log.evaluate((e) => e.scrollHeight - e.scrollTop - e.clientHeight < 2), 'the end stays on the screen');
  await p.field.press('Enter');
  assert.equal(await height(), one);
  await p.close();
});

test('the filter finds, says when it does not, and is cleared by a button', async () => {
  await server.send('uli', 'vera', 'about the boat');
  await server.send('wim', 'vera', 'about the train');
  const p = await ChatPage.open(browser, server, 'vera');
  await p.rows.nth(1).waitFor();
  const field = p.page.getByRole('searchbox', { name: 'Search' });
  const clear = p.page.getByRole('button', { name: 'Clear search' });
  assert.ok(await clear.isHidden());
  await field.fill('boat');
  assert.equal(await p.rows.count(), 1);
  await field.fill('nobody and nothing');
  await p.page.getByRole('heading', { name: 'Nothing found' }).waitFor();
  await clear.click();
  assert.equal(await field.inputValue(), '');
  assert.equal(await p.rows.count(), 2);
  assert.ok(await field.evaluate((e) => e === document.activeElement));
  await p.close();
});

test('300 conversations are a list', async () => {
  await Promise.all(Array.from({ length: 300 }, (_, i) => server.send(`peer-${i}`, 'xia', `I am ${i}`)));
  const p = await ChatPage.open(browser, server, 'xia');
  await p.rows.nth(299).waitFor({ state: 'attached' });
  await p.row('Peer 123').waitFor({ state: 'attached' });
  assert.match(await p.page.title(), /^\(99\+\) /);
  const times = await p.page.locator('.conversation .preview').allTextContents();
  assert.equal(new Set(times).size, 300);
  await p.rows.first().focus();
  await p.page.keyboard.press('End');
  assert.ok(await p.rows.nth(299).evaluate((e) => e === document.activeElement));
  assert.equal(await p.page.locator('.conversation[tabindex="0"]').count(), 1);
  await p.close();
});
