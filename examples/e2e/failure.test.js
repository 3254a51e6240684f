// What the page says when something does not work, and that one can go on.

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

async function open(user) {
  const network = new Network();
  const p = await ChatPage.open(browser, server, user, { prepare: network.prepare });
  return { p, network, banner: p.page.locator('.banner') };
}

test('messages that cannot be loaded: why, and again', async () => {
  await server.send('abe', 'bo', 'hello bo');
  const { p, network } = await open('bo');
  await p.row('Abe').waitFor();
  network.refuse('message.list', 503, 'unavailable');
  await p.enter('Abe');
  await p.page.getByRole('heading', { name: 'The messages could not be loaded' }).waitFor();
  await p.page.locator('.timeline').getByText('The server cannot do this now.').waitFor();
  network.allow('message.list');
  await p.page.locator('.timeline').getByRole('button', { name: 'Try again' }).click();
  await p.message('hello bo').waitFor();
  await p.page.getByText('This is where the conversation begins').waitFor();
  assert.equal(await p.page.getByText('could not be loaded').count(), 0, 'the error is over');
  p.watched.forgive(/unavailable/);
  await p.close();
});

test('older messages that cannot be loaded: said above, and again', async () => {
  for (let i = 1; i <= 120; i++) await server.send('cal', 'dee', `message ${i}`);
  const { conversations } = await server.call('dee', 'sync', {});
  await server.call('dee', 'conversation.mark', { conversation: conversations[0].id, read: 120 });
  const { p, network } = await open('dee');
  await p.enter('Cal');
  await p.message('message 120').waitFor();
  network.refuse('message.list', 503, 'unavailable');
  const log = p.page.getByRole('log');
  await log.evaluate((e) => (e.scrollTop = 0));
  const older = p.page.locator('.older');
  await older.getByText('Older messages could not be loaded.').waitFor();
  network.allow('message.list');
  const count = await p.page.locator('.message').count();
  await older.getByRole('button', { name: 'Try again' }).click();
  await p.page.locator('.message').nth(count).waitFor({ state: 'attached' });
  await drawn(p.page);
  assert.equal(await p.page.getByText('could not be loaded').count(), 0, 'the error is over');
  p.watched.forgive(/unavailable/);
  await p.close();
});

test('members that cannot be loaded, and a group that cannot be made', async () => {
  await server.call('eli', 'conversation.create', { kind: 'group', title: 'Errors', members: ['flo'], clientId: 'e' });
  const { p, network } = await open('flo');
  await p.enter('Errors');
  network.refuse('member.list', 429, 'rate_limited');
  await p.page.getByRole('button', { name: 'Group details' }).click();
  await p.page.getByRole('alert').getByText('The members could not be loaded. Too fast. Wait a moment.').waitFor();
  await p.page.getByRole('button', { name: 'Close' }).click();

  network.refuse('conversation.create', 429, 'rate_limited');
  await p.page.getByRole('button', { name: 'New conversation' }).click();
  const dialog = p.page.getByRole('dialog', { name: 'New conversation' });
  await dialog.getByRole('radio', { name: 'Group' }).check();
  await dialog.getByLabel('Group name').fill('Second');
  await dialog.getByRole('button', { name: 'Create group' }).click();
  await dialog.getByRole('alert').getByText('Too fast. Wait a moment.').waitFor();
  network.allow('conversation.create');
  await dialog.getByRole('button', { name: 'Create group' }).click();
  await p.page.locator('.thread-pane .name', { hasText: 'Second' }).waitFor();
  p.watched.forgive(/rate_limited/);
  await p.close();
});

test('"Try now" ends a long wait', async () => {
  const { p, network, banner } = await open('gus');
  await p.page.getByRole('heading', { name: 'No conversations yet' }).waitFor();
  await p.page.evaluate(() => (Math.random = () => 400)); // the wait is that times 300 ms
  await network.close();
  await banner.getByText(/Next try in 1\d\d s/).waitFor();
  network.open();
  await banner.getByRole('button', { name: 'Try now' }).click();
  await banner.waitFor({ state: 'hidden' });
  p.watched.forgive(lostServer);
  await p.close();
});

test('a session that the server ends says so, and begins again when one wants', async () => {
  await server.send('hal', 'ina', 'hello ina');
  const { p, network, banner } = await open('ina');
  await p.row('Hal').waitFor();
  network.notify('kicked', { reason: 'permission_denied' });
  await banner.getByText('The server has ended this session.').waitFor();
  await p.row('Hal').waitFor(); // what is there stays readable
  await banner.getByRole('button', { name: 'Connect again' }).click();
  await banner.waitFor({ state: 'hidden' });
  await p.row('Hal').waitFor();
  p.watched.forgive(/permission_denied/);
  await p.close();
});

test('a sign-in that is refused says so, instead of trying for ever', async () => {
  const context = await browser.newContext({ locale: 'en-GB' });
  let tries = 0;
  await context.route('**/login', (route) => {
    tries++;
    return route.fulfill({ status: 403, json: { error: { code: 403, message: 'no', data: { reason: 'permission_denied' } } } });
  });
  const p = await ChatPage.in(context, server, 'jan');
  await p.page.locator('.banner').getByText('Your sign-in has ended.').waitFor();
  await p.page.locator('.list').getByText('You may not do this.').waitFor();
  assert.equal(tries, 1);
  await context.unroute('**/login');
  await p.page.getByRole('button', { name: 'Sign in again' }).click();
  await p.page.getByRole('heading', { name: 'No conversations yet' }).waitFor();
  p.watched.forgive(/403|permission_denied/);
  await p.close();
});

test('a name in the address that is no name is told of', async () => {
  const p = await ChatPage.open(browser, server, '', { path: '/?user=Not%20Valid' });
  await p.page.getByRole('alert').getByText('Up to 32 lower-case letters').waitFor();
  assert.equal(await p.page.getByLabel('Or come under a name of your own').inputValue(), 'Not Valid');
  await p.close();
});

test('switching the user works without a connection', async () => {
  const { p } = await open('kim');
  await p.page.getByRole('heading', { name: 'No conversations yet' }).waitFor();
  await server.stop();
  await p.page.getByRole('button', { name: 'Settings' }).click();
  const went = p.page.waitForRequest(`${server.url}/`);
  await p.page.getByRole('button', { name: 'Switch user' }).click();
  await went;
  await server.start();
  p.watched.forgive(lostServer);
  await p.close();
});
