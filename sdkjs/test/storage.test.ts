import { IDBFactory, IDBKeyRange } from 'fake-indexeddb';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { IMClient, type IMError, indexedDBStorage, memoryStorage, type StorageAdapter } from './sdk.js';
import { Server } from './server.js';
import { text } from './setup.js';
import { cases } from './storagetest.js';

beforeEach(() => vi.stubGlobal('IDBKeyRange', IDBKeyRange));
afterEach(() => vi.unstubAllGlobals());

const openers: Record<string, () => () => StorageAdapter> = {
  'in memory': () => {
    const storage = memoryStorage();
    return () => storage;
  },
  'in IndexedDB': () => {
    const factory = new IDBFactory();
    return () => indexedDBStorage('x', factory);
  },
};

describe.each(Object.entries(openers))('the storage %s', (_, make) => {
  it.each(Object.entries(cases))('%s', async (_, check) => {
    const open = make();
    await check(open(), open);
  });
});

/** A client on a storage, on real time. */
function start(server: Server, o: { storage?: StorageAdapter | 'memory' | 'auto' } = {}) {
  const errors: IMError[] = [];
  const logged: string[] = [];
  const logger = { warn: (t: string) => logged.push(t), error: (t: string) => logged.push(`error ${t}`) };
  const client = new IMClient({
    ...{ appId: 'YOUR_APP_ID', userToken: 'USER_TOKEN', user: 'me', endpoint: 'http://chat.test/im', logger },
    ...{ platform: server.platform(), ...o },
  });
  client.on('error', (e) => errors.push(e));
  return { client, errors, logged };
}

const request = (result: Partial<IDBOpenDBRequest>, event?: string) => {
  const r = result as IDBOpenDBRequest;
  if (event) setTimeout(() => (r as unknown as Record<string, () => void>)[event]?.());
  return r;
};

describe('a storage that does not work', () => {
  const works = async (server: Server, o: { storage?: StorageAdapter } = {}) => {
    const s = start(server, o);
    const handle = s.client.sendMessage({ to: 'bob', content: 'hi' });
    await s.client.init();
    expect(text(await handle)).toBe('hi');
    expect((await s.client.messages.history({ conversation: 'd_bob_me' })).messages.length).toBe(1);
    await s.client.logout();
    return s;
  };
  const reasons = (s: { errors: IMError[] }) => s.errors.map((e) => e.reason);

  it('because there is none, is not missed', async () => {
    vi.stubGlobal('indexedDB', undefined);
    expect(reasons(await works(new Server()))).toEqual([]);
  });

  it('because asking for it throws, is told once', async () => {
    vi.stubGlobal('indexedDB', {
      open: () => {
        throw new DOMException('denied', 'SecurityError');
      },
    });
    const s = await works(new Server());
    expect(reasons(s)).toEqual(['storage']);
    expect(s.logged).toEqual(['IMClient: storage: not everything is kept: denied']);
  });

  it('because it refuses to open, is told once', async () => {
    vi.stubGlobal('indexedDB', {
      open: () => request({ error: new DOMException('private', 'InvalidStateError') }, 'onerror'),
    });
    expect(reasons(await works(new Server()))).toEqual(['storage']);
  });

  it('because it never opens, is given up after two seconds', async () => {
    vi.stubGlobal('indexedDB', { open: () => request({}) });
    const began = Date.now();
    expect(reasons(await works(new Server()))).toEqual(['storage']);
    expect(Date.now() - began).toBeLessThan(2_900);
  });

  it('because it is slow for a while, is told what is cancelled, and wiped', async () => {
    const inner = memoryStorage();
    let slow = false;
    const then: Array<() => void> = [];
    const later = <T>(work: () => Promise<T>) =>
      slow ? new Promise<T>((resolve) => then.push(() => void work().then(resolve))) : work();
    const storage: StorageAdapter = {
      get: (key) => later(() => inner.get(key)),
      list: (prefix) => later(() => inner.list(prefix)),
      write: (changes) => later(() => inner.write(changes)),
    };
    const server = new Server();
    const s = start(server, { storage });
    server.down = true;
    const ids = ['1', '2'].map((content) => {
      const handle = s.client.sendMessage({ to: 'bob', content });
      handle.then(null, () => {});
      return handle.clientId;
    });
    await expect.poll(async () => (await inner.list('')).length).toBe(2);
    slow = true;
    s.client.sendMessage({ to: 'bob', content: '3' }).then(null, () => {});
    await expect.poll(() => reasons(s), { timeout: 2500 }).toEqual(['storage']);
    expect(s.client.messages.cancel(ids[0] as string)).toBe('cancelled');
    await new Promise((done) => setTimeout(done));
    slow = false;
    for (const work of then.splice(0)) work();
    await expect
      .poll(async () =>
        (await inner.list('')).map(
          ([, v]) => (v as { params: { content: { text: string } } }).params.content.text,
        ),
      )
      .toEqual(['2', '3']);
    await s.client.logout();
    await expect.poll(async () => (await inner.list('')).length).toBe(0);
  }, 8_000);

  it('because it is of a newer version, is left alone', async () => {
    const factory = new IDBFactory();
    await new Promise((done) => {
      const r = factory.open('h5im', 7);
      r.onsuccess = () => done(r.result.close());
    });
    vi.stubGlobal('indexedDB', factory);
    expect(reasons(await works(new Server()))).toEqual(['storage']);
    expect((await factory.databases())[0]?.version).toBe(7);
  });

  it('because an adapter throws what is no promise, is told once', async () => {
    const broken = () => {
      throw new Error('broken');
    };
    expect(
      reasons(await works(new Server(), { storage: { get: broken, list: broken, write: broken } })),
    ).toEqual(['storage']);
  });

  it('because it is full, makes room by dropping the cache, and is told once', async () => {
    const inner = memoryStorage();
    let room = Infinity;
    const size = async () => JSON.stringify(await inner.list('')).length;
    const storage: StorageAdapter = {
      ...inner,
      write: async (changes) => {
        const more = JSON.stringify(changes.filter((c) => c.value !== undefined)).length;
        if (more > 2 && (await size()) + more > room) throw new DOMException('full', 'QuotaExceededError');
        await inner.write(changes);
      },
    };
    const server = new Server();
    server.create('g_big', 'group', ['bob', 'me'], 'x'.repeat(2000));
    const s = start(server, { storage });
    await s.client.init();
    await expect.poll(() => inner.list('')).toHaveLength(1); // the cache
    room = 1500;
    server.down = true;
    server.cut();
    s.client.sendMessage({ to: 'bob', content: 'hi' }).then(null, () => {});
    await expect.poll(async () => (await inner.list('')).map(([k]) => /out\//.test(k))).toEqual([true]);
    expect(reasons(s)).toEqual(['storage']);
    s.client.sendMessage({ to: 'bob', content: 'y'.repeat(2000) }).then(null, () => {}); // for which there is no room at all
    server.down = false;
    await expect.poll(() => server.chats.get('d_bob_me')?.messages.length, { timeout: 2500 }).toBe(2);
    expect(reasons(s)).toEqual(['storage']);
    await s.client.logout();
  });
});

describe('IndexedDB', () => {
  it('that is deleted under us is made again', async () => {
    const factory = new IDBFactory();
    const storage = indexedDBStorage('h5im', factory);
    await storage.write([{ key: 'a', value: 1 }]);
    await new Promise((done, failed) => {
      const r = factory.deleteDatabase('h5im');
      r.onsuccess = done;
      r.onblocked = failed;
    });
    expect(await storage.get('a')).toBeUndefined();
    await storage.write([{ key: 'a', value: 2 }]);
    expect(await indexedDBStorage('h5im', factory).get('a')).toBe(2);
  });

  it('that the browser closes is opened again', async () => {
    const factory = new IDBFactory();
    const opened: IDBDatabase[] = [];
    const open = factory.open.bind(factory);
    vi.spyOn(factory, 'open').mockImplementation((name, v) => {
      const r = open(name, v);
      r.addEventListener('success', () => opened.push(r.result as unknown as IDBDatabase));
      return r;
    });
    const storage = indexedDBStorage('h5im', factory);
    await storage.write([{ key: 'a', value: 1 }]);
    opened[0]?.close(); // without an event
    expect(await storage.get('a')).toBe(1);
    expect(opened.length).toBe(2);
  });

  it('does not hold up one that wants to upgrade', async () => {
    const factory = new IDBFactory();
    const storage = indexedDBStorage('h5im', factory);
    await storage.write([{ key: 'a', value: 1 }]);
    await new Promise((done, failed) => {
      const r = factory.open('h5im', 2);
      r.onsuccess = () => done(r.result.close());
      r.onblocked = failed;
    });
    await expect(storage.get('a')).rejects.toMatchObject({ name: 'VersionError' });
  });

  it('is touched by nothing before init or a send', () => {
    const open = vi.fn();
    vi.stubGlobal('indexedDB', { open });
    start(new Server());
    expect(open).not.toHaveBeenCalled();
  });

  it('keeps messages and never a token', async () => {
    const factory = new IDBFactory();
    vi.stubGlobal('indexedDB', factory);
    const local = new Map<string, string>();
    const server = new Server();
    server.tokens.set('SECRET-1', 'me').set('SECRET-2', 'me');
    const keep = {
      getItem: (k: string) => local.get(k) ?? null,
      setItem: (k: string, v: string) => void local.set(k, v),
    };
    const client = new IMClient({
      ...{ appId: 'YOUR_APP_ID', userToken: 'SECRET-1', getToken: async () => 'SECRET-2', user: 'me' },
      ...{ endpoint: 'http://chat.test/im', platform: server.platform({ storage: keep }) },
    });
    await client.init();
    server.down = true;
    server.cut(4101);
    client.sendMessage({ to: 'bob', content: 'hi' }).then(null, () => {});
    const stored = indexedDBStorage('h5im', factory);
    await expect.poll(async () => (await stored.list('')).length, { timeout: 2500 }).toBe(2);
    const everything = JSON.stringify([await stored.list(''), [...local]]);
    expect(everything).toContain('"hi"');
    expect(everything).not.toContain('SECRET');
    await client.logout();
    expect(await stored.list('')).toEqual([]);
  });
});
