// What the tests share: the built chat, a browser, and pages that tell of every
// error that nobody expected.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const here = dirname(fileURLToPath(import.meta.url));
export const temporary = mkdtempSync(join(tmpdir(), 'h5im-e2e-'));
process.on('exit', () => rmSync(temporary, { recursive: true, force: true }));

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Builds an example. */
export function build(example = 'chat') {
  const binary = join(temporary, example);
  execFileSync('go', ['build', '-o', binary, '.'], { cwd: join(here, '..', example), stdio: 'inherit' });
  return binary;
}

export function launch(...more) {
  const args = [...flags, ...more];
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args });
}

export async function freePort() {
  const server = createServer();
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  const { port } = server.address();
  await new Promise((closed) => server.close(closed));
  return port;
}

/** Runs a program in a directory of its own until it has said what is waited for. */
export class Program {
  #process;
  #cwd = mkdtempSync(join(temporary, 'cwd-'));
  said = '';

  constructor(binary, ...args) {
    this.binary = binary;
    this.args = args;
  }

  async start(until) {
    const child = spawn(this.binary, this.args, { cwd: this.#cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#process = child;
    this.said = '';
    await new Promise((ready, failed) => {
      const hear = (b) => {
        this.said += b;
        if (until.test(this.said)) ready();
      };
      child.stdout.on('data', hear);
      child.stderr.on('data', hear);
      child.once('exit', (code) => failed(new Error(`${this.binary} ended with ${code}: ${this.said}`)));
    });
    child.removeAllListeners('exit');
    return this;
  }

  /** Stops as Ctrl+C does, and returns the exit code. */
  async stop() {
    const child = this.#process;
    if (!child || child.exitCode !== null) return child?.exitCode;
    const ended = new Promise((done) => child.once('exit', done));
    child.kill('SIGINT');
    return ended;
  }
}

/** A chat server that can be stopped and started again on the same port and data. */
export class Server {
  #process;
  #data = mkdtempSync(join(temporary, 'data-'));

  constructor(binary) {
    this.binary = binary;
  }

  async start() {
    this.port ??= await freePort();
    this.url = `http://127.0.0.1:${this.port}`;
    const child = spawn(this.binary, ['-addr', `127.0.0.1:${this.port}`, '-data', this.#data, '-unlimited'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#process = child;
    let said = '';
    child.stderr.on('data', (b) => (said += b));
    await new Promise((ready, failed) => {
      child.stdout.on('data', (b) => String(b).includes('Chat is ready') && ready());
      child.once('exit', (code) => failed(new Error(`chat ended with ${code}: ${said}`)));
    });
    child.removeAllListeners('exit');
    return this;
  }

  /** Stops as Ctrl+C does. */
  async stop(signal = 'SIGINT') {
    const child = this.#process;
    if (!child || child.exitCode !== null) return;
    const ended = new Promise((done) => child.once('exit', done));
    child.kill(signal);
    const code = await ended;
    if (signal === 'SIGINT') assert.equal(code, 0, 'chat did not stop in order');
  }

  async restart(signal) {
    await this.stop(signal);
    await this.start();
  }

  async token(user) {
    const response = await fetch(`${this.url}/login`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ user }),
    });
    return (await response.json()).token;
  }

  /** Calls an operation as a user, beside every page. */
  async call(user, method, params) {
    this.tokens ??= new Map();
    if (!this.tokens.has(user)) this.tokens.set(user, await this.token(user));
    const response = await fetch(`${this.url}/im/rpc?app=demo`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${this.tokens.get(user)}` },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    });
    const { result, error } = await response.json();
    if (error) throw Object.assign(new Error(`${method}: ${error.message}`), { reason: error.data?.reason });
    return result;
  }

  send(user, to, content, clientId = crypto.randomUUID()) {
    return this.call(user, 'message.send', { to, content, clientId });
  }
}

/** Notes whatever goes wrong in a page. What a test provokes it takes out with forgive. */
export function watch(page) {
  const problems = [];
  page.on('pageerror', (e) => problems.push(`error: ${e.message}`));
  page.on('console', (m) => {
    if (m.type() === 'error' || m.text().includes('IMClient')) problems.push(`${m.type()}: ${m.text()}`);
  });
  page.on('request', (r) => {
    const { origin } = new URL(r.url());
    if (origin !== page.chatOrigin && !r.url().startsWith('data:')) problems.push(`foreign request: ${r.url()}`);
  });
  return {
    problems,
    forgive(pattern) {
      for (let i = problems.length - 1; i >= 0; i--) if (pattern.test(problems[i])) problems.splice(i, 1);
    },
    assertNone() {
      assert.deepEqual(problems, []);
    },
  };
}

/** What a lost server leaves on the console. */
export const lostServer =
  /ERR_CONNECTION_REFUSED|ERR_INTERNET_DISCONNECTED|ERR_CONNECTION_RESET|WebSocket connection to|unavailable: getToken|503|415|offline:/;

/**
 * The network of one page. Chromium's own offline mode leaves WebSockets alone.
 * Give prepare to ChatPage.open.
 */
export class Network {
  #cut = false;
  #sockets = new Set();
  #refused = new Map();
  #swallowed = new Set();
  /** Every request of the page: {method, params}. */
  asked = [];

  prepare = async (page) => {
    this.page = page;
    // Or the client would go around: by an event stream.
    await page.route(/\/im\/(events|poll|rpc)\b/, (route) => (this.#cut ? route.abort('connectionrefused') : route.fallback()));
    await page.routeWebSocket('**/im/ws**', (socket) => {
      if (this.#cut) return socket.close({ code: 1001 });
      this.#sockets.add(socket);
      const server = socket.connectToServer();
      const silent = new Set();
      server.onMessage((frame) => {
        const passed = [JSON.parse(frame)].flat().filter((answer) => !silent.has(answer.id));
        if (passed.length > 0) socket.send(JSON.stringify(passed.length > 1 ? passed : passed[0]));
      });
      socket.onMessage((frame) => {
        const passed = [];
        for (const request of [JSON.parse(frame)].flat()) {
          this.asked.push(request);
          const error = this.#refused.get(request.method);
          if (error === null) continue;
          if (this.#swallowed.has(request.method)) silent.add(request.id);
          if (error) socket.send(JSON.stringify({ jsonrpc: '2.0', id: request.id, error }));
          else passed.push(request);
        }
        if (passed.length > 0) server.send(JSON.stringify(passed.length > 1 ? passed : passed[0]));
      });
    });
  };

  /** Answers an operation with an error, as the server would. */
  refuse(method, code, reason) {
    this.#refused.set(method, { code, message: `refused by the test: ${reason}`, data: { reason } });
  }

  /** Leaves an operation without an answer. */
  ignore(method) {
    this.#refused.set(method, null);
  }

  /** Lets an operation happen, and its answer be lost. */
  swallow(method) {
    this.#swallowed.add(method);
  }

  allow(method) {
    this.#refused.delete(method);
    this.#swallowed.delete(method);
  }

  /** Says something as the server. */
  notify(method, params) {
    for (const socket of this.#sockets) socket.send(JSON.stringify({ jsonrpc: '2.0', method, params }));
  }

  /** Ends the connections, and lets none begin. */
  async close() {
    this.#cut = true;
    for (const socket of this.#sockets) await socket.close({ code: 1001 });
    this.#sockets.clear();
  }

  open() {
    this.#cut = false;
  }

  async cut() {
    this.#cut = true;
    await this.page.context().setOffline(true);
    await this.close();
  }

  async mend() {
    this.open();
    await this.page.context().setOffline(false);
  }
}

/** Keeps what the pages of a context load, for the time when the server is down: what a service worker would do. */
export async function keepAssets(context) {
  const kept = new Map();
  await context.route(/^[^?#]*\/(\?.*|im\/sdk\/.*|[^?#]*\.(js|css|svg))?$/, async (route) => {
    const url = route.request().url();
    try {
      const response = await route.fetch();
      const body = await response.body();
      kept.set(url, { status: response.status(), headers: response.headers(), body });
    } catch {
      if (!kept.has(url)) return route.abort();
    }
    return route.fulfill(kept.get(url));
  });
}

/** Lets a page be hidden and frozen: Playwright pretends that every page has the focus, and then Chromium freezes none. */
export async function asBrowsersDo(page) {
  const { delegate } = page._connection.toImpl(page);
  await delegate._mainFrameSession._client.send('Emulation.setFocusEmulationEnabled', { enabled: false });
}

/** Ends a tab as a crash does. */
export async function crash(page) {
  const crashed = new Promise((done) => page.once('crash', done));
  const session = await page.context().newCDPSession(page);
  session.send('Page.crash').catch(() => {});
  await crashed;
  await page.close();
}

/** Waits in the page until what changed is drawn. */
export const drawn = (page) =>
  page.evaluate(() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(r)))));

/** The chat page of a user. */
export class ChatPage {
  static async open(browser, server, user, options = {}) {
    const { path = `/?user=${user}`, prepare, ...context } = options;
    const own = await browser.newContext({
      viewport: { width: 1280, height: 800 },
      locale: 'en-GB',
      reducedMotion: 'reduce',
      ...context,
    });
    return ChatPage.in(own, server, user, path, prepare);
  }

  /** In a tab of a context that is there. */
  static async in(context, server, user, path = `/?user=${user}`, prepare) {
    const page = await context.newPage();
    await prepare?.(page);
    page.chatOrigin = server.url;
    page.setDefaultTimeout(10_000);
    const watched = watch(page);
    await page.goto(server.url + path);
    const chat = new ChatPage();
    return Object.assign(chat, { context, page, watched, user });
  }

  get rows() {
    return this.page.locator('.conversation');
  }

  row(title) {
    return this.rows.filter({ has: this.page.locator('.title', { hasText: title }) });
  }

  get field() {
    return this.page.locator('.composer textarea');
  }

  message(text) {
    return this.page.locator('.message', { has: this.page.getByText(text, { exact: true }) });
  }

  async enter(title) {
    await this.row(title).click();
    await this.page.locator('.thread-pane .bar .name', { hasText: title }).first().waitFor();
    await this.page.locator('.log .rows > *, .timeline > .empty:not([hidden]) h2').first().waitFor();
  }

  async say(text) {
    await this.field.fill(text);
    await this.field.press('Enter');
  }

  /** Texts of the timeline, in order. */
  texts() {
    return this.page.locator('.bubble .text').allTextContents();
  }

  async close() {
    this.watched.assertNone();
    await this.context.close();
  }
}
