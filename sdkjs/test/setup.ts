import { afterEach, beforeEach, expect, vi } from 'vitest';
import { IMClient, type IMOptions, type Message, type PlatformAdapter } from './sdk.js';
import { Server } from './server.js';

export interface World {
  server: Server;
  /** A client of the user whose token is USER_TOKEN: "me". */
  client(o?: Partial<IMOptions>, p?: PlatformAdapter): IMClient;
  /** Lets time pass, and whatever happens in it. */
  pass(ms?: number): Promise<void>;
}

/** A logger that notes what must not happen in any test. */
const strict = (unhandled: unknown[]) => ({
  warn: () => {},
  error: (text: string, detail?: unknown) => {
    if (!text.endsWith('listener failed')) unhandled.push(text, detail);
  },
});

export const quiet = { warn: () => {}, error: () => {} };
export const text = (m: Message) => m.content.text;

/** A server, clients that are closed after the test, and a clock that is not real. */
export function world(): World {
  const w = {} as World;
  const clients: IMClient[] = [];
  const unhandled: unknown[] = [];
  const note = (e: unknown) => unhandled.push(e);
  beforeEach(() => {
    vi.useFakeTimers({ now: 1_700_000_000_000 });
    vi.spyOn(Math, 'random').mockReturnValue(0.5);
    process.on('unhandledRejection', note);
    unhandled.length = 0;
    w.server = new Server();
    w.client = (o, p) => {
      const options = {
        appId: 'YOUR_APP_ID',
        userToken: 'USER_TOKEN',
        endpoint: 'http://chat.test/im',
        logger: strict(unhandled),
      };
      const c = new IMClient({ ...options, platform: w.server.platform(p), ...o });
      clients.push(c);
      return c;
    };
    w.pass = async (ms = 50) => {
      await vi.advanceTimersByTimeAsync(ms);
    };
  });
  afterEach(async () => {
    await Promise.all([...clients.splice(0).map((c) => c.logout()), vi.advanceTimersByTimeAsync(60_000)]);
    expect(vi.getTimerCount(), 'timers that nobody stopped').toBe(0);
    vi.useRealTimers();
    vi.restoreAllMocks();
    await new Promise((done) => setTimeout(done));
    process.off('unhandledRejection', note);
    expect(unhandled, 'unhandled rejections').toEqual([]);
  });
  return w;
}
