// The chat application, as its users meet it.

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

test('two users side by side in one browser write to each other and do not disturb each other', async () => {
  const a = await ChatPage.open(browser, server, 'alice');
  await a.rows.nth(4).waitFor();
  assert.equal(await a.page.locator('.conversations li').count(), 5, 'nothing is left of the wait');
  const b = await ChatPage.in(a.context, server, 'bob');
  await a.enter('Bob');
  await b.row('Alice').waitFor();
  await a.say('From Alice');
  await a.message('From Alice').locator('.state.sent, .state.delivered').waitFor();

  // Bob is elsewhere: it is unread, and told in the title.
  await b.row('Alice').filter({ hasText: 'From Alice' }).waitFor();
  const unread = Number(await b.row('Alice').locator('.badge [aria-hidden]').textContent());
  assert.ok(unread >= 1);
  assert.match(await b.page.title(), /^\(\d+\) Chat$/);
  await a.message('From Alice').locator('.state.delivered').waitFor();

  await b.enter('Alice');
  await a.message('From Alice').locator('.state.read').waitFor();
  await b.row('Alice').locator('.badge').waitFor({ state: 'detached' });
  await b.say('From Bob');
  await a.message('From Bob').waitFor();
  for (const p of [a, b]) assert.deepEqual((await p.texts()).slice(-2), ['From Alice', 'From Bob']);

  // Nothing of a token is where the tabs share.
  const stored = await a.page.evaluate(() => JSON.stringify({ ...localStorage }) + document.cookie);
  assert.deepEqual(await a.context.cookies(), [], 'a cookie would be of one user for both tabs');
  assert.doesNotMatch(stored, /token|eyJ|\.[\w-]{40}/i);
  await a.page.reload();
  await b.page.reload();
  assert.equal(await a.page.locator('.list-pane .about').textContent(), '@alice');
  assert.equal(await b.page.locator('.list-pane .about').textContent(), '@bob');
  await a.message('From Bob').waitFor();
  a.watched.assertNone();
  await b.close();
});

test('a group is made, grows and shrinks, and who is removed sees nothing more of it', async () => {
  const owner = await ChatPage.open(browser, server, 'olive');
  const guest = await ChatPage.open(browser, server, 'gus');
  const { page } = owner;
  await page.getByRole('button', { name: 'New conversation' }).first().click();
  const dialog = page.getByRole('dialog', { name: 'New conversation' });
  await dialog.getByRole('radio', { name: 'Group' }).check();
  const create = dialog.getByRole('button', { name: 'Create group' });
  assert.ok(await create.isDisabled(), 'a group without a name');
  await dialog.getByLabel('Group name').fill('Garden');
  await dialog.getByLabel('People').fill('hana');
  await dialog.getByLabel('People').press('Enter');
  await dialog.locator('.chip', { hasText: 'hana' }).waitFor();
  await create.click();
  await owner.page.locator('.thread-pane .name', { hasText: 'Garden' }).waitFor();
  await owner.say('before gus');
  await owner.message('before gus').locator('.state.sent').waitFor();

  await page.getByRole('button', { name: 'Group details' }).click();
  const panel = page.getByRole('complementary', { name: 'Group details' });
  await panel.getByLabel('Add somebody').fill('Not A Name');
  await panel.getByRole('button', { name: 'Add', exact: true }).click();
  await panel.getByText('There is no user “Not A Name”.').waitFor();
  await panel.getByLabel('Add somebody').fill('gus');
  await panel.getByRole('button', { name: 'Add', exact: true }).click();
  await panel.locator('.person', { hasText: '@gus' }).waitFor();
  assert.ok(await panel.getByRole('button', { name: 'Leave group' }).isDisabled(), 'the only owner stays');

  await guest.enter('Garden');
  await guest.message('before gus').waitFor();
  await guest.page.getByRole('button', { name: 'Group details' }).click();
  const seen = guest.page.getByRole('complementary', { name: 'Group details' });
  await seen.locator('.person', { hasText: '@olive' }).getByText('Owner').waitFor();
  assert.equal(await seen.getByRole('button', { name: /^Remove/ }).count(), 0, 'a member may not remove');

  await panel.getByRole('button', { name: 'Remove Gus' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  await panel.locator('.person', { hasText: '@gus' }).waitFor({ state: 'detached' });
  await owner.say('after gus');
  await owner.message('after gus').locator('.state.sent').waitFor();
  await guest.page.getByRole('heading', { name: 'This conversation is not here' }).waitFor();
  await guest.row('Garden').waitFor({ state: 'detached' });
  assert.doesNotMatch(await guest.page.locator('body').textContent(), /gus\b.*after|before gus|after gus/);
  await guest.page.reload();
  await guest.page.getByRole('heading', { name: 'This conversation is not here' }).waitFor();

  // Back in, and out by himself.
  await panel.getByLabel('Add somebody').fill('gus');
  await panel.getByRole('button', { name: 'Add', exact: true }).click();
  await guest.message('after gus').waitFor();
  await seen.getByRole('button', { name: 'Leave group' }).click();
  await guest.page.getByRole('dialog').getByRole('button', { name: 'Leave group' }).click();
  await guest.row('Garden').waitFor({ state: 'detached' });
  await panel.locator('.person', { hasText: '@gus' }).waitFor({ state: 'detached' });
  await owner.close();
  await guest.close();
});

test('the timeline pages back through 200 messages without a jump, and keeps its place', async () => {
  for (let i = 1; i <= 200; i++) await server.send('pam', 'quinn', `message ${i}\nwith a second line`);
  await server.send('ray', 'quinn', 'another conversation');
  await server.call('quinn', 'conversation.mark', { conversation: (await find('quinn', 'pam')).id, read: 200 });
  const q = await ChatPage.open(browser, server, 'quinn');
  await q.enter('Pam');
  const log = q.page.getByRole('log');
  await q.message('message 200\nwith a second line').waitFor();
  assert.ok(await log.evaluate((e) => e.scrollHeight - e.scrollTop - e.clientHeight < 2), 'it opens at the end');

  // What is on the screen does not move while older messages come in above it.
  const jumps = await log.evaluate(async (e) => {
    const frame = () => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)));
    const jumps = [];
    for (let i = 0; i < 400 && !e.textContent.includes('This is where the conversation begins'); i++) {
      e.scrollTop = Math.max(0, e.scrollTop - 160);
      const top = e.getBoundingClientRect().top;
      const shown = [...e.querySelectorAll('.message')].find((m) => m.getBoundingClientRect().bottom > top + 40);
      const was = shown.getBoundingClientRect().top;
      const count = e.querySelectorAll('.message').length;
      for (let n = 0; n < 6; n++) await frame();
      if (e.querySelectorAll('.message').length > count) jumps.push(Math.abs(shown.getBoundingClientRect().top - was));
    }
    return jumps;
  });
  assert.ok(jumps.length >= 1, 'pages came in');
  assert.ok(Math.max(...jumps) <= 1, `it jumped by ${jumps}`);
  const all = (await q.texts()).map((t) => Number(t.match(/\d+/)[0]));
  assert.deepEqual(
    all,
    Array.from({ length: 200 }, (_, i) => i + 1),
  );

  await log.evaluate((e) => (e.scrollTop = 3000));
  await drawn(q.page);
  const place = () =>
    log.evaluate((e) => {
      const top = e.getBoundingClientRect().top;
      const shown = [...e.querySelectorAll('.message')].find((m) => m.getBoundingClientRect().bottom > top);
      return `${shown.querySelector('.text').textContent} at ${Math.round(shown.getBoundingClientRect().top - top)}`;
    });
  const before = await place();
  await q.enter('Ray');
  await q.enter('Pam');
  await q.message('message 200\nwith a second line').waitFor({ state: 'attached' });
  assert.equal(await place(), before);

  // What comes meanwhile is counted, and one press away.
  await server.send('pam', 'quinn', 'fresh 1');
  await server.send('pam', 'quinn', 'fresh 2');
  const pill = q.page.getByRole('button', { name: '2 new messages' });
  await pill.waitFor();
  assert.equal(await place(), before);
  await pill.click();
  await q.message('fresh 2').waitFor();
  await q.row('Pam').locator('.badge').waitFor({ state: 'detached' });
  await pill.waitFor({ state: 'hidden' });
  await q.close();
});

async function find(user, peer) {
  return (await server.call(user, 'sync', { limit: 100 })).conversations.find((c) => c.peer === peer);
}

test('what is unread stands below a divider, and is read when it is seen', async () => {
  for (let i = 1; i <= 60; i++) await server.send('sam', 'tia', `old ${i}`);
  await server.call('tia', 'conversation.mark', { conversation: (await find('tia', 'sam')).id, read: 60 });
  for (let i = 1; i <= 70; i++) await server.send('sam', 'tia', `unread ${i}`);
  const p = await ChatPage.open(browser, server, 'tia');
  assert.equal(await p.row('Sam').locator('.badge [aria-hidden]').textContent(), '70');
  await p.enter('Sam');
  await p.page.locator('.divider', { hasText: 'New messages' }).waitFor();
  assert.equal(await p.page.locator('.divider + .message .text').textContent(), 'unread 1');
  assert.ok(
    await p.page
      .locator('.divider')
      .evaluate((e) => e.getBoundingClientRect().top > 64 && e.getBoundingClientRect().top < 500),
  );
  const left = () => p.row('Sam').locator('.badge [aria-hidden]').textContent();
  assert.ok(Number(await left()) > 30, 'what is below the screen is unread still');
  await p.page.getByRole('button', { name: /new messages/ }).click();
  await p.row('Sam').locator('.badge').waitFor({ state: 'detached' });
  await p.close();
});

test('what is written while the server is away is sent when it is back, once', async () => {
  const u = await ChatPage.open(browser, server, 'uma');
  const v = await ChatPage.open(browser, server, 'vic');
  await server.send('uma', 'vic', 'hello');
  await u.enter('Vic');
  await v.enter('Uma');
  await server.stop();
  await u.page.locator('.banner', { hasText: 'No connection' }).waitFor();
  await u.say('while away 1');
  await u.say('while away 2');
  await u.message('while away 2').locator('.state.sending').waitFor();
  await u.page.locator('.banner', { hasText: /Next try in \d+ s/ }).waitFor({ timeout: 20_000 });
  await server.start();
  await u.message('while away 2').locator('.state.read').waitFor({ timeout: 30_000 });
  await v.message('while away 2').waitFor({ timeout: 30_000 });
  await u.page.locator('.banner').waitFor({ state: 'hidden' });
  for (const p of [u, v]) {
    assert.deepEqual((await p.texts()).slice(-3), ['hello', 'while away 1', 'while away 2']);
    p.watched.forgive(lostServer);
    await p.close();
  }
});

test('a message that is refused says why, and can be sent again or discarded', async () => {
  const { id } = await server.call('wes', 'conversation.create', {
    kind: 'group',
    title: 'Refused',
    members: ['xena'],
    clientId: 'refused',
  });
  const network = new Network();
  const x = await ChatPage.open(browser, server, 'xena', { prepare: network.prepare });
  await x.enter('Refused');
  await x.say('x'.repeat(70_000));
  const long = x.page.locator('.message.failed');
  await long.getByText('Not sent. It is too long.').waitFor();
  assert.equal(await long.getByRole('button', { name: 'Try again' }).count(), 0, 'the same text fails again');
  await x.field.fill('and more');
  await long.getByRole('button', { name: 'Edit' }).click();
  await long.waitFor({ state: 'detached' });
  assert.equal(await x.field.inputValue(), `${'x'.repeat(70_000)}\nand more`);
  assert.ok(await x.field.evaluate((e) => e === document.activeElement));
  await x.field.press('Enter');
  await x.row('Refused').locator('.not-sent').waitFor();
  await long.getByRole('button', { name: 'Discard' }).click();
  await long.waitFor({ state: 'detached' });

  // Out of the group while offline: refused. In again: the same message goes.
  await network.cut();
  await x.page.locator('.banner', { hasText: 'You are offline' }).waitFor({ timeout: 15_000 });
  await x.say('mine');
  await server.call('wes', 'member.remove', { conversation: id, users: ['xena'] });
  await network.mend();
  await x.page.getByRole('heading', { name: 'This conversation is not here' }).waitFor({ timeout: 20_000 });
  // Not before the message was refused.
  const sent = () => network.asked.some((r) => r.method === 'message.send' && JSON.stringify(r.params).includes('"mine"'));
  for (let i = 0; i < 100 && !sent(); i++) await x.page.waitForTimeout(50);
  await x.page.waitForTimeout(200);
  await server.call('wes', 'member.add', { conversation: id, users: ['xena'] });
  await x
    .message('mine')
    .getByText(/^Not sent. It is not there/)
    .waitFor();
  await x.message('mine').getByRole('button', { name: 'Try again' }).click();
  await x.message('mine').locator('.state.sent').waitFor();
  const page = await server.call('wes', 'message.list', { conversation: id });
  assert.deepEqual(
    page.messages.map((m) => m.content.text),
    ['mine'],
  );
  x.watched.forgive(lostServer);
  x.watched.forgive(/not_found|too_large/);
  await x.close();
});

test('the keyboard alone is enough', async () => {
  await server.send('yara', 'zed', 'first');
  await server.send('yuri', 'zed', 'second');
  const p = await ChatPage.open(browser, server, 'zed');
  await p.rows.nth(1).waitFor();
  const { keyboard } = p.page;
  const focused = (selector) => p.page.locator(selector).evaluate((e) => e === document.activeElement);
  await keyboard.press('Control+k');
  assert.ok(await focused('.search input'));
  await keyboard.press('ArrowDown');
  await keyboard.press('ArrowDown');
  await keyboard.press('Enter');
  await p.page.locator('.thread-pane .name', { hasText: 'Yara' }).waitFor();
  assert.ok(await focused('.composer textarea'));
  await keyboard.type('one');
  await keyboard.press('Shift+Enter');
  await keyboard.type('two');
  await keyboard.press('Enter');
  await p.message('one\ntwo').locator('.state.sent').waitFor();
  assert.ok(await focused('.composer textarea'));

  // Into the messages, and back.
  await keyboard.press('Shift+Tab');
  assert.ok(await focused('.log'));
  await keyboard.press('ArrowUp');
  await keyboard.press('ArrowUp');
  assert.ok(await focused('.message >> nth=0'));
  await keyboard.press('Escape');
  assert.ok(await focused('.composer textarea'));
  await keyboard.press('Escape');
  assert.ok(await focused('.conversation[aria-current]'));

  // A new conversation, from the first key to the last.
  await keyboard.press('ArrowUp');
  assert.ok(await focused('.search input'));
  await keyboard.press('Shift+Tab');
  await keyboard.press('Shift+Tab');
  await keyboard.press('Enter');
  await p.page.getByRole('dialog').waitFor();
  await keyboard.type('alice');
  await keyboard.press('Enter');
  await keyboard.press('Enter');
  await p.page.locator('.thread-pane .name', { hasText: 'Alice Moreau' }).waitFor();
  assert.ok(await focused('.composer textarea'));

  // Esc closes what is open, and the focus goes back to where it was.
  await keyboard.press('Control+k');
  await keyboard.type('yuri');
  await keyboard.press('Enter');
  await p.page.locator('.thread-pane .name', { hasText: 'Yuri' }).waitFor();
  await p.page.getByRole('button', { name: 'Settings' }).press('Enter');
  assert.ok(await focused('.menu input:checked >> nth=0'));
  await keyboard.press('Escape');
  assert.ok(await focused('.list-pane [aria-label=Settings]'));
  await p.close();
});

test('Enter that chooses a word of an input method sends nothing', async () => {
  await server.send('ada', 'ben', 'hi');
  const p = await ChatPage.open(browser, server, 'ben');
  await p.enter('Ada');
  await p.field.fill('你好');
  for (const init of [{ isComposing: true }, { keyCode: 229 }]) {
    await p.field.evaluate(
      (e, init) =>
        e.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true, ...init })),
      init,
    );
  }
  assert.equal(await p.field.inputValue(), '你好');
  await p.field.press('Enter');
  await p.message('你好').locator('.state').waitFor();
  assert.equal(await p.field.inputValue(), '');
  await p.close();
});

test('markup in names, titles and messages is text', async () => {
  const payload = `<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>"'><svg onload=window.pwned=1>`;
  const { id } = await server.call('mal', 'conversation.create', {
    kind: 'group',
    title: payload,
    members: ['eve'],
    clientId: 'xss',
  });
  await server.send('mal', { conversation: id }, payload);
  await server.send(
    'mal',
    { conversation: id },
    'javascript:window.pwned=1 and https://example.com/"onmouseover="window.pwned=1',
  );
  await server.call('mal', 'message.send', {
    to: { conversation: id },
    clientId: 'custom',
    type: 'custom',
    content: { text: { toString: payload }, html: payload },
  });
  const p = await ChatPage.open(browser, server, 'eve');
  const { page } = p;
  await p.rows.first().click();
  await p.message(payload).waitFor();
  assert.equal(await page.locator('.thread-pane .name').first().textContent(), payload);
  await page.getByRole('button', { name: 'Group details' }).click();
  await page.locator('.panel h3').waitFor();
  await p.say(payload);
  await page.locator('.search input').fill(payload);
  await page.locator('.search input').fill('');
  assert.equal(await page.locator('img:not([src^="/avatar/"])').count(), 0);
  assert.equal(await page.locator('body script, .bubble svg[onload]').count(), 0);
  assert.deepEqual(await page.locator('.bubble a').evaluateAll((all) => all.map((a) => [a.protocol, a.rel])), [
    ['https:', 'noopener noreferrer nofollow'],
  ]);
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  for (const path of [`/?user=${encodeURIComponent(payload)}`, `/?user=eve#/c/${encodeURIComponent(payload)}`]) {
    await page.goto(server.url + path);
    await page.locator('h1').waitFor();
    assert.equal(await page.evaluate(() => window.pwned), undefined);
  }
  await p.close();
});

test('on a phone the list leads to the conversation, and back leads to the list', async () => {
  await server.send('fay', 'gil', 'hello gil');
  const p = await ChatPage.open(browser, server, 'gil', phone);
  await p.row('Fay').waitFor();
  assert.ok(await p.page.locator('.thread-pane').isHidden());
  await p.row('Fay').tap();
  await p.message('hello gil').waitFor();
  assert.ok(await p.page.locator('.list-pane').isHidden());
  assert.ok(!(await p.field.evaluate((e) => e === document.activeElement)), 'the keyboard stays away');
  await p.page.goBack();
  await p.row('Fay').waitFor();
  await p.row('Fay').tap();
  await p.page.getByRole('button', { name: 'Back to the conversations' }).tap();
  await p.row('Fay').waitFor();

  // From a link into a conversation, back leads to the list as well.
  await p.page.goto(`${server.url}/?user=gil#/c/${(await find('gil', 'fay')).id}`);
  await p.page.reload();
  await p.message('hello gil').waitFor();
  await p.page.getByRole('button', { name: 'Back to the conversations' }).tap();
  await p.row('Fay').waitFor();
  await p.close();
});

test('language and appearance follow the browser, and can be chosen', async () => {
  await server.send('hal', 'ivy', 'hello ivy');
  const p = await ChatPage.open(browser, server, 'ivy', { locale: 'zh-CN', colorScheme: 'dark' });
  const { page } = p;
  const root = page.locator('html');
  assert.equal(await root.getAttribute('lang'), 'zh-CN');
  assert.equal(await root.getAttribute('data-theme'), 'dark');
  await p.row('Hal').click();
  await p.field.fill('a draft that must not be lost');
  await page.getByRole('button', { name: '设置' }).click();
  await page.getByRole('radio', { name: '浅色' }).check();
  assert.equal(await root.getAttribute('data-theme'), 'light');
  await page.getByRole('radio', { name: 'English' }).click();
  await page.getByRole('button', { name: 'New conversation' }).first().waitFor();
  await page.waitForFunction(() => document.activeElement.getAttribute('aria-label') === 'Settings');
  assert.match(await root.getAttribute('lang'), /^en/);
  assert.equal(await p.field.inputValue(), 'a draft that must not be lost');
  await page.reload();
  assert.match(await root.getAttribute('lang'), /^en/);
  assert.equal(await root.getAttribute('data-theme'), 'light');
  await p.close();
});

test('without a user the page asks who one is', async () => {
  const p = await ChatPage.open(browser, server, '', { path: '/' });
  const { page } = p;
  await page.getByLabel('Or come under a name of your own').fill('Not Valid!');
  await page.getByRole('button', { name: 'Enter' }).click();
  await page.getByRole('alert').waitFor();
  await page.getByLabel('Or come under a name of your own').fill('jo');
  await page.getByRole('button', { name: 'Enter' }).click();
  await page.getByRole('heading', { name: 'No conversations yet' }).waitFor();
  assert.equal(await page.locator('.list-pane .about').textContent(), '@jo');
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('button', { name: 'Switch user' }).click();
  await page.getByRole('link', { name: /Alice Moreau/ }).waitFor();
  await p.close();
});
