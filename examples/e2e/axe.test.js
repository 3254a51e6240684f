// No finding of axe-core, in either language, theme and size.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { build, ChatPage, launch, Server } from './harness.js';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

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

async function clean(page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() =>
    axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }),
  );
  const found = violations.map(
    (v) =>
      `${v.id}: ${v.help}\n  ${v.nodes.map((n) => `${n.html.slice(0, 160)} ${n.any[0]?.message ?? ''}`).join('\n  ')}`,
  );
  assert.deepEqual(found, [], what);
}

const sizes = {
  desktop: { viewport: { width: 1280, height: 800 } },
  phone: { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
};

for (const [size, options] of Object.entries(sizes)) {
  for (const colorScheme of ['light', 'dark']) {
    for (const locale of ['en-GB', 'zh-CN']) {
      test(`axe finds nothing: ${size}, ${colorScheme}, ${locale}`, async () => {
        const p = await ChatPage.open(browser, server, 'alice', { ...options, colorScheme, locale });
        const { page } = p;
        const back = async () => size === 'phone' && page.goBack();
        await p.rows.nth(4).waitFor();
        await clean(page, 'list');
        await page.locator('.list-pane .bar .icon-button').last().click();
        await clean(page, 'menu');
        await page.keyboard.press('Escape');
        await page.locator('.list-pane .bar .icon-button').first().click();
        await page.locator('.dialog .choices label').last().click();
        await page.locator('.dialog .person').nth(1).click();
        await clean(page, 'new group');
        await page.keyboard.press('Escape');
        await p.enter('Bob');
        await p.say('x'.repeat(70_000));
        await page.locator('.message.failed').waitFor();
        await clean(page, 'direct conversation with a failed message');
        await page.locator('.message.failed .link-button').last().click();
        await back();
        await p.enter('Spring');
        await clean(page, 'group');
        await page.locator('.thread-pane .bar .icon-button').last().click();
        await page.locator('.panel .person').nth(4).waitFor();
        await clean(page, 'group details');
        await page.locator('.panel .person .icon-button').first().click();
        await page.getByRole('dialog').waitFor();
        await clean(page, 'question');
        p.watched.forgive(/too_large/);
        await p.close();

        const newcomer = await ChatPage.open(browser, server, 'newcomer', { ...options, colorScheme, locale });
        await newcomer.page.locator('.list .empty h2').waitFor();
        await clean(newcomer.page, 'nothing yet');
        await newcomer.page.goto(`${server.url}/`);
        await newcomer.page.locator('.welcome h1').waitFor();
        await clean(newcomer.page, 'welcome');
        await newcomer.close();
      });
    }
  }
}
