import type { Fallbacks } from './fallbacks.js';

/** What this SDK uses of a WebSocket. */
export interface SocketLike {
  onopen: ((e: never) => unknown) | null;
  onmessage: ((e: never) => unknown) | null;
  onclose: ((e: never) => unknown) | null;
  onerror: ((e: never) => unknown) | null;
  send(data: string): void;
  close(code?: number, reason?: string): void;
}

/** What this SDK uses of a response. Without a body it is no event stream. */
export interface ResponseLike {
  status: number;
  headers: { get(name: string): string | null };
  text(): Promise<string>;
  body?: { getReader(): { read(): Promise<{ done: boolean; value?: Uint8Array | undefined }> } } | null;
}

/** What this SDK asks of fetch. */
export interface FetchInit {
  method: string;
  headers: Record<string, string>;
  body?: string;
  signal: AbortSignal;
  cache: 'no-store';
  keepalive?: boolean;
}

/** What this SDK uses of fetch. */
export type FetchLike = (url: string, init: FetchInit) => Promise<ResponseLike>;

/** What this SDK uses of localStorage and sessionStorage. It keeps nothing secret there. */
export interface KeyValueStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

/** What this SDK uses of navigator.locks. */
export interface LocksLike {
  /**
   * Calls held when the lock is ours, which it is until held's promise is
   * settled; with ifAvailable at once, with null where it is another's. With
   * steal it is taken away: the other's request rejects.
   */
  request(
    name: string,
    o: { signal: AbortSignal } | { ifAvailable: true } | { steal: true },
    held: (lock: unknown) => unknown,
  ): Promise<unknown>;
}

/** What this SDK uses of a BroadcastChannel. */
export interface ChannelLike {
  onmessage: ((e: never) => unknown) | null;
  postMessage(message: unknown): void;
  close(): void;
}

/**
 * What the SDK needs of its surroundings. Everything is optional; what is
 * absent is taken from the browser, Node or the worker, when it is first used.
 */
export interface PlatformAdapter {
  WebSocket?: new (url: string, protocol: string) => SocketLike;
  /** For where there is no WebSocket, or something between here and the server blocks it. */
  fetch?: FetchLike;
  /** The other transports, where they cannot be loaded when they are needed: import { fallbacks } from 'h5-im-sdk/fallbacks'. */
  fallbacks?: Fallbacks;
  /** Fills the bytes with randomness fit for cryptography. */
  random?(bytes: Uint8Array<ArrayBuffer>): void;
  /** Where the device's id is kept; null: nowhere. */
  storage?: KeyValueStorage | null;
  /** Where it is kept which transport works here, as long as the page's session; null: nowhere. */
  sessionStorage?: KeyValueStorage | null;
  /** Tells which tab still lives, so that one alone sends what another left; null: there are no other tabs. */
  locks?: LocksLike | null;
  /** Carries what tabs say to each other, so that they share one connection; null: they do not. */
  broadcastChannel?: ((name: string) => ChannelLike) | null;
  /** Somebody may be looking at the page. */
  isVisible?(): boolean;
  /** Calls fn when the page may end without another word. Returns off. */
  onHide?(fn: () => void): () => void;
  /** Calls fn when the page may have slept, or the network came or went. Returns off. */
  onWake?(fn: () => void): () => void;
  /** Calls fn with true when the page is frozen, with false when it thaws. Returns off. */
  onFreeze?(fn: (isFrozen: boolean) => void): () => void;
  /** False only where there is certainly no network. */
  isOnline?(): boolean;
  /** What a relative endpoint is relative to. */
  baseUrl?: string;
}

/** The globals that may exist; none is touched before a client needs it. */
interface Surroundings {
  WebSocket?: new (url: string, protocol: string) => SocketLike;
  fetch?: FetchLike;
  crypto?: Crypto;
  localStorage?: KeyValueStorage;
  sessionStorage?: KeyValueStorage;
  document?: Document;
  addEventListener?(type: string, fn: () => void, o: { signal: AbortSignal }): void;
  navigator?: { onLine?: boolean; locks?: LocksLike };
  BroadcastChannel?: new (name: string) => ChannelLike;
  indexedDB?: IDBFactory;
  location?: { href: string };
}

const around = () => globalThis as unknown as Surroundings;

/** @internal */
export function socketOf(p: PlatformAdapter, url: string, protocol: string): SocketLike {
  const WebSocket = p.WebSocket ?? around().WebSocket;
  if (!WebSocket) throw new Error('no WebSocket: give platform.WebSocket');
  return new WebSocket(url, protocol);
}

/** @internal */
export function fetchOf(p: PlatformAdapter): FetchLike {
  const found = p.fetch ?? around().fetch;
  if (!found) throw new Error('no fetch: give platform.fetch');
  return (url, init) => found(url, init); // a browser's must not be called as a method
}

/** @internal */
export function randomOf(p: PlatformAdapter, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  const { crypto } = around();
  if (p.random) p.random(bytes);
  else if (crypto) crypto.getRandomValues(bytes);
  else return bytes.map(() => Math.random() * 256); // ids must differ, they need not be secret
  return bytes;
}

/** Calls use with the storage, if there is one that works. @internal */
export function withStorage<T>(
  p: PlatformAdapter,
  use: (s: KeyValueStorage) => T,
  name: 'storage' | 'sessionStorage' = 'storage',
): T | undefined {
  try {
    const storage = p[name] === undefined ? around()[name === 'storage' ? 'localStorage' : name] : p[name];
    return storage ? use(storage) : undefined;
  } catch {
    return undefined; // private modes and sandboxed frames throw at the first touch
  }
}

/** How often it is looked whether time has jumped, and by how much it does. */
const tickMs = 2_000;
const jumpMs = 4_000;

/** @internal */
export function onWake(p: PlatformAdapter, fn: () => void): () => void {
  if (p.onWake) return p.onWake(fn);
  const off = new AbortController();
  const { signal } = off;
  const { document } = around();
  const awake = () => document?.visibilityState !== 'hidden' && fn();
  for (const type of ['visibilitychange', 'online', 'offline', 'pageshow', 'focus']) {
    around().addEventListener?.(type, awake, { signal });
  }
  document?.addEventListener('resume', awake, { signal });
  // A machine that slept with the page in sight tells nobody; nor does one whose clock was set.
  let timer: ReturnType<typeof setTimeout>;
  const tick = (last: number) => {
    timer = setTimeout(() => {
      const at = Date.now();
      if (Math.abs(at - last - tickMs) > jumpMs) awake();
      tick(at);
    }, tickMs);
  };
  tick(Date.now());
  signal.addEventListener('abort', () => clearTimeout(timer));
  return () => off.abort();
}

/** @internal */
export function onHide(p: PlatformAdapter, fn: () => void): () => void {
  if (p.onHide) return p.onHide(fn);
  const off = new AbortController();
  const hidden = () => around().document?.visibilityState !== 'visible' && fn();
  around().addEventListener?.('pagehide', fn, { signal: off.signal });
  around().addEventListener?.('visibilitychange', hidden, { signal: off.signal });
  return () => off.abort();
}

/** @internal */
export function onFreeze(p: PlatformAdapter, fn: (isFrozen: boolean) => void): () => void {
  if (p.onFreeze) return p.onFreeze(fn);
  const off = new AbortController();
  const { document } = around();
  document?.addEventListener('freeze', () => fn(true), { signal: off.signal });
  document?.addEventListener('resume', () => fn(false), { signal: off.signal });
  return () => off.abort();
}

/** @internal */
export const locksOf = (p: PlatformAdapter): LocksLike | null | undefined =>
  p.locks === undefined ? around().navigator?.locks : p.locks;

/** A channel to the other tabs, where there may be any. @internal */
export function channelOf(p: PlatformAdapter, name: string): ChannelLike | undefined {
  const { BroadcastChannel } = around();
  try {
    if (p.broadcastChannel !== undefined) return p.broadcastChannel?.(name);
    return BroadcastChannel && new BroadcastChannel(name);
  } catch {
    return undefined; // not allowed here
  }
}

/** @internal */
export const isVisible = (p: PlatformAdapter): boolean =>
  p.isVisible?.() ?? around().document?.visibilityState !== 'hidden';

/** @internal */
export const indexedDBOf = (): IDBFactory | undefined => around().indexedDB;

/** @internal */
export function isOnline(p: PlatformAdapter): boolean {
  return (p.isOnline?.() ?? around().navigator?.onLine) !== false;
}

/** @internal */
export function baseUrl(p: PlatformAdapter): string | undefined {
  return p.baseUrl ?? around().location?.href;
}
