/** What this SDK uses of a WebSocket. */
export interface SocketLike {
  onopen: ((e: never) => unknown) | null;
  onmessage: ((e: never) => unknown) | null;
  onclose: ((e: never) => unknown) | null;
  onerror: ((e: never) => unknown) | null;
  send(data: string): void;
  close(code?: number, reason?: string): void;
}

/** What this SDK uses of localStorage. It keeps nothing secret there. */
export interface KeyValueStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

/**
 * What the SDK needs of its surroundings. Everything is optional; what is
 * absent is taken from the browser, Node or the worker, when it is first used.
 */
export interface PlatformAdapter {
  WebSocket?: new (url: string, protocol: string) => SocketLike;
  /** Fills the bytes with randomness fit for cryptography. */
  random?(bytes: Uint8Array<ArrayBuffer>): void;
  /** Where the device's id is kept; null: nowhere. */
  storage?: KeyValueStorage | null;
  /** Calls fn when the page may have slept or the network has come back. Returns off. */
  onWake?(fn: () => void): () => void;
  /** False only where there is certainly no network. */
  isOnline?(): boolean;
  /** What a relative endpoint is relative to. */
  baseUrl?: string;
}

/** The globals that may exist; none is touched before a client needs it. */
interface Surroundings {
  WebSocket?: new (url: string, protocol: string) => SocketLike;
  crypto?: Crypto;
  localStorage?: KeyValueStorage;
  sessionStorage?: KeyValueStorage;
  document?: Document;
  addEventListener?(type: string, fn: () => void): void;
  removeEventListener?(type: string, fn: () => void): void;
  navigator?: { onLine?: boolean };
  location?: { href: string };
}

const around = () => globalThis as unknown as Surroundings;

/** @internal */
export function socketOf(p: PlatformAdapter, url: string, protocol: string): SocketLike {
  const WebSocket = p.WebSocket ?? around().WebSocket;
  if (!WebSocket) throw new Error('there is no WebSocket here: give platform.WebSocket');
  return new WebSocket(url, protocol);
}

/** @internal */
export function randomOf(p: PlatformAdapter, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  if (p.random) p.random(bytes);
  else around().crypto?.getRandomValues(bytes);
  return bytes;
}

/** Calls use with each storage that might work, until one does. @internal */
export function withStorage<T>(p: PlatformAdapter, use: (s: KeyValueStorage) => T): T | undefined {
  const places =
    p.storage === undefined
      ? [() => around().localStorage, () => around().sessionStorage]
      : [() => p.storage];
  for (const place of places) {
    try {
      const storage = place();
      if (storage) return use(storage);
    } catch {} // private modes and sandboxed frames throw at the first touch
  }
  return undefined;
}

/** @internal */
export function onWake(p: PlatformAdapter, fn: () => void): () => void {
  if (p.onWake) return p.onWake(fn);
  const { document } = around();
  const visible = () => document?.visibilityState === 'visible' && fn();
  const g = around();
  document?.addEventListener('visibilitychange', visible);
  for (const type of ['online', 'pageshow']) g.addEventListener?.(type, fn);
  return () => {
    document?.removeEventListener('visibilitychange', visible);
    for (const type of ['online', 'pageshow']) g.removeEventListener?.(type, fn);
  };
}

/** @internal */
export function isOnline(p: PlatformAdapter): boolean {
  return p.isOnline ? p.isOnline() : around().navigator?.onLine !== false;
}

/** @internal */
export function baseUrl(p: PlatformAdapter): string | undefined {
  return p.baseUrl ?? around().location?.href;
}
