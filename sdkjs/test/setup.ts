import { afterEach, beforeEach, expect, vi } from 'vitest';
import type { TestSocket } from '../src/testing/socket.js';
import {
  type ChannelLike,
  type FetchLike,
  IMClient,
  type IMOptions,
  type Message,
  type PlatformAdapter,
  type StorageAdapter,
} from './sdk.js';
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

interface Lock {
  grant(): void;
  /** It is taken away. */
  rob(): void;
}

/** Web Locks, exclusive ones, of several pages. */
export class Locks {
  readonly #queues = new Map<string, Lock[]>();

  /** As one page sees them: end lets go of all that it holds and waits for. */
  page(frozen: () => boolean = () => false) {
    const ends = new Set<() => void>();
    let isGone = false;
    const request = (
      name: string,
      { signal, ifAvailable, steal }: { signal?: AbortSignal; ifAvailable?: boolean; steal?: boolean },
      held: (lock: unknown) => unknown,
    ) =>
      new Promise<unknown>((resolve, reject) => {
        if (isGone) return; // a page that ended asks for nothing
        const queue = this.#queues.get(name) ?? [];
        this.#queues.set(name, queue);
        if (ifAvailable && queue.length) return queueMicrotask(() => resolve(held(null)));
        const leave = () => {
          const first = queue[0] === lock;
          if (queue.includes(lock)) queue.splice(queue.indexOf(lock), 1);
          if (first) queue[0]?.grant();
        };
        const lock: Lock = {
          grant: () => {
            signal?.removeEventListener('abort', abort);
            queueMicrotask(async () => {
              try {
                resolve(await held({ name }));
              } catch (e) {
                reject(e);
              } finally {
                leave();
              }
            });
          },
          rob: () => whenThawed(frozen, () => reject(new DOMException('stolen', 'AbortError'))),
        };
        const abort = () => {
          leave();
          reject(signal?.reason);
        };
        signal?.addEventListener('abort', abort);
        ends.add(leave);
        if (steal) queue.splice(0, 1)[0]?.rob();
        if (steal) queue.unshift(lock);
        else queue.push(lock);
        if (queue[0] === lock) lock.grant();
      });
    const end = () => {
      isGone = true;
      for (const leave of ends) leave();
    };
    return { request, end };
  }
}

function whenThawed(frozen: () => boolean, fn: () => void): void {
  if (frozen()) setTimeout(() => whenThawed(frozen, fn), 10);
  else fn();
}

/** BroadcastChannels of several pages. What a frozen page is told waits. */
export class Channels {
  readonly #open = new Set<{ name: string; hear(data: unknown): void }>();
  /** What was said, as text. */
  readonly said: string[] = [];

  page(frozen: () => boolean = () => false) {
    let isGone = false;
    const broadcastChannel = (name: string): ChannelLike => {
      const own: ChannelLike & { name: string; hear(data: unknown): void } = {
        name,
        onmessage: null,
        hear: (data) => {
          const give = () => isGone || !this.#open.has(own) || own.onmessage?.({ data } as never);
          setTimeout(() => whenThawed(frozen, give), 1);
        },
        postMessage: (message) => {
          if (isGone) return;
          const data = structuredClone(message);
          this.said.push(JSON.stringify(data));
          for (const c of this.#open) if (c !== own && c.name === name) c.hear(data);
        },
        close: () => this.#open.delete(own),
      };
      this.#open.add(own);
      return own;
    };
    return {
      broadcastChannel,
      end: () => {
        isGone = true;
      },
    };
  }
}

/** The tabs of one browser. */
export class Tabs {
  readonly channels = new Channels();
  readonly locks = new Locks();
  readonly #ends = new Map<Tab, Array<() => void>>();
  /** What others say, and what becomes of locks, reaches frozen tabs all the same, as in Chromium. */
  leaky = false;

  page(tab: Tab): PlatformAdapter {
    const frozen = () => tab.frozen && !this.leaky;
    const locks = this.locks.page(frozen);
    const { broadcastChannel, end } = this.channels.page(frozen);
    this.#ends.set(tab, [end, locks.end]);
    const onWake = (fn: () => void) => {
      tab.wake = fn;
      return () => {};
    };
    const onFreeze = (fn: (isFrozen: boolean) => void) => {
      tab.freezes = fn;
      return () => {};
    };
    return { locks, broadcastChannel, onWake, onFreeze, isVisible: () => tab.visible };
  }

  end(tab: Tab): void {
    for (const end of this.#ends.get(tab) ?? []) end();
  }
}

/** A page of one user, which may be killed: what it had begun goes on, and nothing else happens. */
export class Tab {
  dead = false;
  /** Nothing reaches it, and nothing is lost; its timers are those of all, and run. */
  frozen = false;
  readonly client: IMClient;
  #sockets: Array<{ closed(code: number): void }> = [];
  readonly #end = new AbortController();
  readonly #leave: () => unknown;
  /** Somebody may be looking; only of Tabs. */
  visible = true;
  /** It is told that it freezes; only of Tabs. */
  freezes = (_: boolean) => {};
  /** The page may have slept; only of Tabs. */
  wake = () => {};

  constructor(
    private readonly w: World,
    private readonly options: Partial<IMOptions> & { storage: StorageAdapter },
    private readonly platform: PlatformAdapter | Tabs = {},
  ) {
    const tab = this;
    const server = w.server.platform();
    const Socket = server.WebSocket as unknown as new (url: string, protocol: string) => TestSocket;
    const fetch: FetchLike = (url, init) => {
      if (tab.dead) throw new Error('nobody is there any more');
      const signal = AbortSignal.any([init.signal, tab.#end.signal]);
      return (server.fetch as FetchLike)(url, { ...init, signal });
    };
    class WebSocket extends Socket {
      constructor(url: string, protocol: string) {
        if (tab.dead) throw new Error('nobody is there any more');
        super(url, protocol);
        tab.#sockets.push(this as never);
      }
      override deliver(frame: string): void {
        whenThawed(
          () => tab.frozen,
          () => super.deliver(frame),
        );
      }
    }
    const surroundings = platform instanceof Tabs ? platform.page(this) : platform;
    this.#leave = () => platform instanceof Tabs && platform.end(this);
    const { storage } = options;
    const never = new Promise<never>(() => {});
    const alive: StorageAdapter = {
      get: (key) => (tab.dead ? never : storage.get(key)),
      list: (prefix) => (tab.dead ? never : storage.list(prefix)),
      write: (changes) => (tab.dead ? never : storage.write(changes)),
    };
    const errors = { warn: () => {}, error: (text: string) => tab.dead || console.error(text) };
    const client = w.client(
      { ...options, storage: alive, logger: errors },
      { ...surroundings, WebSocket, fetch },
    );
    this.client = client;
  }

  kill(): void {
    this.dead = true;
    this.#leave();
    for (const s of this.#sockets) s.closed(1006);
    this.#end.abort();
  }

  /** The page that comes after it. */
  again(o: Partial<IMOptions> = {}): Tab {
    return new Tab(this.w, { ...this.options, ...o } as typeof this.options, this.platform);
  }
}

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
