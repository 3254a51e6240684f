import { existsSync, readFileSync } from 'node:fs';
import vm from 'node:vm';
import { Worker } from 'node:worker_threads';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { memoryStorage, type StorageAdapter } from './sdk.js';
import { Server } from './server.js';

const read = (name: string) => readFileSync(new URL(`../dist/${name}`, import.meta.url), 'utf8');

/** A page as far as the script needs one. */
function page(server: Server, src: string) {
  const { WebSocket, fetch } = server.platform();
  const logged: unknown[][] = [];
  const globals: Record<string, unknown> = {
    ...{
      WebSocket,
      fetch,
      URL,
      TextEncoder,
      AbortController,
      AbortSignal,
      crypto,
      setTimeout,
      clearTimeout,
      queueMicrotask,
    },
    console: { log: (...a: unknown[]) => logged.push(a), warn: () => {}, error: () => {} },
    document: { currentScript: { src }, visibilityState: 'visible', addEventListener: () => {} },
    location: { href: 'https://page.test/deep/index.html' },
    imageFile: new Blob(['x']),
  };
  const context = vm.createContext(globals);
  const { USE_MAIN_CONTEXT_DEFAULT_LOADER: importModuleDynamically } = vm.constants;
  const script = (name: string) =>
    vm.runInContext(read(name), context, { filename: name, importModuleDynamically });
  return { globals, logged, script, run: (code: string) => vm.runInContext(code, context) };
}

describe('the script', () => {
  it('defines the global IMClient and nothing else, and runs the first snippet', async () => {
    const server = new Server();
    const p = page(server, 'https://chat.test/im/sdk/h5-im-sdk.js');
    const before = Object.keys(p.globals);
    p.script('h5-im-sdk.js');
    expect(Object.keys(p.globals).filter((k) => !before.includes(k))).toEqual(['IMClient']);
    (p.globals.document as { currentScript: unknown }).currentScript = null;
    p.run(`
const imClient = new IMClient({ appId: 'YOUR_APP_ID', userToken: 'USER_TOKEN' });
imClient.init();
imClient.sendMessage({ to: 'user123', content: 'Hello, World!' });
imClient.onMessage((message) => { console.log('New Message:', message); });
imClient.sendImage({ to: 'user123', file: imageFile });
imClient.startVideoCall({ to: 'user123' });
globalThis.client = imClient;`);
    await expect.poll(() => server.chats.get('d_me_user123')?.messages.length).toBe(1);
    expect(server.requests[0]?.session.socket.url).toBe('wss://chat.test/im/ws?app=YOUR_APP_ID');
    server.send('user123', { user: 'me' }, 'Hello, you!');
    await expect.poll(() => p.logged.length).toBe(1);
    expect(p.logged[0]).toMatchObject(['New Message:', { content: { text: 'Hello, you!' } }]);
    await (p.globals.client as { close(): Promise<void> }).close();
  });

  it('touches no global before init: it loads and constructs where there is none', () => {
    const empty = vm.createContext({});
    vm.runInContext(read('h5-im-sdk.js'), empty);
    expect(vm.runInContext("new IMClient({ appId: 'a', userToken: 't' }).state", empty)).toBe('idle');
  });

  it.each(['sse', 'poll'] as const)(
    'loads what it needs for %s from where it came from',
    async (transport) => {
      const server = new Server();
      server.blocked.add('websocket').add(transport === 'sse' ? 'poll' : 'sse');
      // It is loaded into this context, whose fetch is another.
      const p = page(server, new URL('../dist/h5-im-sdk.js', import.meta.url).href);
      p.script('h5-im-sdk.js');
      p.run(`
globalThis.client = new IMClient({ appId: 'YOUR_APP_ID', userToken: 'USER_TOKEN', endpoint: 'https://chat.test/im', platform: { fetch } });
client.init();
client.sendMessage({ to: 'user123', content: 'Hello, World!' });`);
      await expect.poll(() => server.chats.get('d_me_user123')?.messages.length).toBe(1);
      expect(p.run('client.transport')).toBe(transport);
      await p.run('client.close()');
    },
  );

  it('carries IMError and version with the class', () => {
    const p = page(new Server(), 'https://chat.test/im/sdk/h5-im-sdk.js');
    p.script('h5-im-sdk.js');
    const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
    expect(p.run('IMClient.version')).toBe(version);
    expect(p.run("new IMClient.IMError('offline', 'x') instanceof Error")).toBe(true);
    expect(p.run('try { new IMClient({}) } catch (e) { e instanceof IMClient.IMError && e.reason }')).toBe(
      'invalid_argument',
    );
  });
});

it('the script is at most 16 kB gzipped', () => {
  expect(gzipSync(read('h5-im-sdk.js'), { level: 9 }).length).toBeLessThanOrEqual(16_000);
});

describe('what is stored', () => {
  it('has the same names in every build', async () => {
    const server = new Server();
    server.send('bob', { user: 'me' }, 'hi');
    const p = page(server, 'https://chat.test/im/sdk/h5-im-sdk.js');
    p.globals.storage = memoryStorage();
    for (const name of ['h5-im-sdk.js', 'h5-im-timeline.js']) p.script(name);
    server.intercept = (op) => (op === 'message.send' ? 'hang' : undefined);
    p.run(`
const client = new IMClient({ appId: 'YOUR_APP_ID', userToken: 'USER_TOKEN', storage });
client.init();
const timeline = client.messages.timeline('d_bob_me');
client.sendMessage({ to: 'bob', content: 'x', timeoutMs: 60_000 });
globalThis.client = client;`);
    const stored = () => (p.globals.storage as StorageAdapter).list('');
    await expect.poll(async () => (await stored()).length, { timeout: 2500 }).toBe(4);
    const named = (await stored()).map(([key, value]) => {
      const kind = key.replace(/^.*\](cache\/[a-z]+|out).*$/, '$1');
      const at = kind === 'out' ? value : JSON.parse(`${value}`);
      return [kind, Object.keys(at).sort().join(' '), Object.keys(at.conversations?.[0] ?? {}).join(' ')];
    });
    expect(named).toEqual([
      ['cache/heads', 'conversations cursor epoch profiles v', 'view rev'],
      ['cache/page', 'epoch firstSeq from messages rev to', ''],
      ['cache/used', '', ''],
      ['out', 'client clientId order params time until v wired', ''],
    ]);
    await p.run('client.close()');
  });
});

describe('the script of timelines', () => {
  it('adds messages.timeline to the script', async () => {
    const server = new Server();
    const p = page(server, 'https://chat.test/im/sdk/h5-im-sdk.js');
    p.script('h5-im-sdk.js');
    p.run(
      "globalThis.client = new IMClient({ appId: 'YOUR_APP_ID', userToken: 'USER_TOKEN' }); client.init();",
    );
    expect(() => p.run("client.messages.timeline('d_bob_me')")).toThrow('h5-im-timeline.js');
    p.script('h5-im-timeline.js');
    server.send('bob', { user: 'me' }, 'hi');
    p.run("globalThis.timeline = client.messages.timeline('d_bob_me');");
    await expect.poll(() => p.run('timeline.items[0]?.message.content.text')).toBe('hi');
    expect(p.run('timeline instanceof IMClient.Timeline')).toBe(true);
    const given = p.run('timeline.fill({ to: 1 }, { signal: AbortSignal.abort() })');
    expect(await given.catch((e: unknown) => e instanceof (p.run('IMClient.IMError') as never))).toBe(true);
    await p.run('client.close()');
  });
});

describe('the module', () => {
  it('loads the other transports when it needs them', async () => {
    const { IMClient } = await import(new URL('../dist/index.js', import.meta.url).href);
    const server = new Server();
    server.blocked.add('websocket');
    const { fallbacks: _, ...platform } = server.platform();
    const client = new IMClient({
      ...{ appId: 'YOUR_APP_ID', userToken: 'USER_TOKEN', endpoint: 'http://chat.test/im', platform },
    });
    await client.init();
    expect(client.transport).toBe('sse');
    await client.close();
  });

  it.each(['fallbacks', 'testing'])('has %s beside it, with declarations', async (name) => {
    const exported = await import(new URL(`../dist/${name}.js`, import.meta.url).href);
    expect(Object.keys(exported).length).toBeGreaterThan(0);
    const [, types] = /^export \* from '(.*)\.js';\n$/.exec(read(`${name}.d.ts`)) ?? [];
    expect(existsSync(new URL(`../dist/${types}.d.ts`, import.meta.url))).toBe(true);
    const { exports } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
    expect(exports[`./${name}`]).toEqual({ types: `./dist/${name}.d.ts`, default: `./dist/${name}.js` });
  });

  const inWorker = async (code: string): Promise<unknown> => {
    const dist = new URL('../dist', import.meta.url).href;
    const names = ['index', 'testing', 'fallbacks'].map((n) => `import('${dist}/${n}.js')`);
    const begin = `const { parentPort } = require('node:worker_threads');
      const tell = parentPort.postMessage.bind(parentPort);`;
    const worker = new Worker(`${begin} ${code.replace('ALL', `Promise.all([${names}])`)}`, { eval: true });
    const told = await new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject));
    await worker.terminate();
    return told;
  };

  it('loads and constructs where there is no global but those of the language, as on a server', async () => {
    // The timers and queueMicrotask are gone, too: nothing may start by being imported.
    const language = new Set(Reflect.ownKeys(vm.runInNewContext('globalThis')));
    expect(language.has('setTimeout')).toBe(false);
    const state = await inWorker(`
      const language = new Set(${JSON.stringify([...language].filter((k) => typeof k === 'string'))});
      for (const name of Object.getOwnPropertyNames(globalThis)) if (!language.has(name)) delete globalThis[name];
      ALL.then(([{ IMClient }, { TestServer }, { fallbacks }]) => {
        const server = new TestServer();
        const client = new IMClient({ appId: 'a', platform: server.platform(), logger: {} });
        tell([client.state, client.transport, typeof fallbacks.sse, typeof setTimeout]);
      });`);
    expect(state).toEqual(['idle', null, 'function', 'undefined']);
  });

  it.each(['websocket', 'sse', 'poll'])('chats in a worker over %s', async (transport) => {
    const told = await inWorker(`ALL.then(async ([{ IMClient }, { TestServer }]) => {
      const server = new TestServer();
      const o = { appId: server.appId, userToken: 'USER_TOKEN', endpoint: 'http://chat.test/im' };
      const client = new IMClient({ ...o, transport: '${transport}', platform: server.platform() });
      const heard = new Promise((resolve) => client.onMessage(resolve));
      await client.init();
      const sent = await client.sendMessage({ to: 'bob', content: 'Hello!' });
      server.send('bob', { user: 'me' }, 'Hello, you!');
      const { content } = await heard;
      await client.close();
      tell([sent.seq, content.text]);
    });`);
    expect(told).toEqual([1, 'Hello, you!']);
  });

  it('has declarations beside it, without any', () => {
    expect(read('index.d.ts')).toBe("export * from './types/index.js';\n");
    const declared = read('types/index.d.ts');
    const files = [...declared.matchAll(/from '\.\/(\w+)\.js'/g)].map((m) => m[1]);
    expect(files.length).toBeGreaterThan(10);
    for (const f of files) {
      expect(existsSync(new URL(`../dist/types/${f}.d.ts`, import.meta.url))).toBe(true);
      expect(read(`types/${f}.d.ts`)).not.toMatch(/[:<|,] *any\b/);
    }
  });
});
