import { describe, expect, it } from 'vitest';
import { IMClient } from './sdk.js';
import { Server } from './server.js';

describe('a client', () => {
  it('needs an appId', () => {
    expect(() => new IMClient({} as never)).toThrow(expect.objectContaining({ reason: 'invalid_argument' }));
  });

  const urls: Array<[endpoint: string | URL, base: string | undefined, url: string]> = [
    ['https://host/im', undefined, 'wss://host/im/ws?app=my%20app'],
    ['http://host:8080/', undefined, 'ws://host:8080/ws?app=my%20app'],
    ['wss://host/a/b/?x=1#y', undefined, 'wss://host/a/b/ws?app=my%20app'],
    ['/im', 'https://page/deep/index.html?q', 'wss://page/im/ws?app=my%20app'],
    ['chat', 'https://page/deep/index.html', 'wss://page/deep/chat/ws?app=my%20app'],
    [new URL('https://host/im/'), undefined, 'wss://host/im/ws?app=my%20app'],
  ];
  it.each(urls)('with endpoint %s on the page %s connects to %s', async (endpoint, baseUrl, url) => {
    const seen = await connected({ endpoint }, baseUrl);
    expect(seen).toBe(url);
  });

  it('tells that it has no endpoint', async () => {
    const client = new IMClient({ appId: 'a', userToken: 't', logger: { warn: () => {}, error: () => {} } });
    await expect(client.init()).rejects.toMatchObject({ reason: 'invalid_argument' });
  });

  async function connected(o: { endpoint: string | URL }, baseUrl: string | undefined): Promise<string> {
    const server = new Server();
    let seen = '';
    const { WebSocket: Base } = server.platform();
    class WebSocket extends (Base as NonNullable<typeof Base>) {
      constructor(url: string, protocol: string) {
        super(url, protocol);
        seen = url;
      }
    }
    const platform = { ...server.platform(), WebSocket, ...(baseUrl ? { baseUrl } : {}) };
    const client = new IMClient({ appId: 'my app', ...o, platform });
    client.init().catch(() => {});
    await new Promise((next) => setTimeout(next));
    await client.close();
    return seen;
  }

  it('keeps its device in the storage, and lives without one', async () => {
    const kept = new Map<string, string>();
    const storage = {
      getItem: (k: string) => kept.get(k) ?? null,
      setItem: (k: string, v: string) => void kept.set(k, v),
    };
    const broken = {
      getItem: () => {
        throw new Error('SecurityError');
      },
      setItem: () => {},
    };
    const devices: string[] = [];
    for (const s of [storage, storage, broken, null]) {
      const server = new Server();
      const platform = server.platform({ storage: s });
      const client = new IMClient({
        appId: 'YOUR_APP_ID',
        userToken: 'USER_TOKEN',
        endpoint: 'http://h',
        platform,
      });
      await client.init();
      devices.push(server.requests[0]?.params.device);
      await client.close();
    }
    expect(devices[0]).toBe(devices[1]);
    expect(new Set(devices).size).toBe(3);
    for (const d of devices) expect(d).toMatch(/^[0-9a-f]{32}$/);
    expect([...kept.keys()]).toEqual(['h5im.device']);
  });
});
