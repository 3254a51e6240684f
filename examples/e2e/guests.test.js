// A visitor without an account writes to the desk, and the desk answers.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { build, freePort, launch, Program, temporary, watch } from './harness.js';

let program;
let browser;
let url;
let staff;
before(async () => {
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  program = await new Program(build('guests'), '-addr', `127.0.0.1:${port}`).start(/the desk: (\S+)/);
  staff = /the desk: (\S+)/.exec(program.said)[1];
  browser = await launch();
});
after(async () => {
  await browser?.close();
  assert.equal(await program?.stop(), 0);
});

async function open(address, look = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-GB', ...look });
  const page = await context.newPage();
  page.chatOrigin = url;
  const watched = watch(page);
  await page.goto(address);
  const say = async (text) => {
    await page.getByLabel('Message').fill(text);
    await page.getByRole('button', { name: 'Send' }).click();
  };
  return { context, page, watched, say, texts: () => page.locator('#log p').allTextContents() };
}

test('guests: each talks with the desk alone, and is the same one after a reload', async () => {
  const [ada, bo, desk] = [
    await open(url, { viewport: { width: 390, height: 844 }, colorScheme: 'dark' }),
    await open(url),
    await open(staff),
  ];
  await ada.say('Where is my parcel?');
  await desk.page.getByText('Where is my parcel?').waitFor();
  await desk.say('It comes on Friday.');
  await ada.page.getByText('It comes on Friday.').waitFor();
  await bo.say('Do you have it in red?');
  await desk.page.getByText('Do you have it in red?').waitFor();
  await desk.say('We do.');
  await bo.page.getByText('We do.').waitFor();
  await ada.page.screenshot({ path: process.env.SHOTS ? `${process.env.SHOTS}/guest-phone-dark.png` : `${temporary}/guest.png` });
  await desk.page.screenshot({ path: process.env.SHOTS ? `${process.env.SHOTS}/guest-desk.png` : `${temporary}/desk.png` });
  await ada.page.reload();
  await ada.page.getByText('It comes on Friday.').waitFor();
  assert.deepEqual(await ada.texts(), ['Where is my parcel?', 'It comes on Friday.']);
  assert.deepEqual(await bo.texts(), ['Do you have it in red?', 'We do.']);
  for (const p of [ada, bo, desk]) {
    p.watched.assertNone();
    await p.context.close();
  }
});
