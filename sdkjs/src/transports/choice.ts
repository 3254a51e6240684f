import { IMError } from '../errors.js';
import type { Fallbacks } from '../fallbacks.js';
import { loadFallbacks } from '../load-fallbacks.js';
import { type KeyValueStorage, type PlatformAdapter, withStorage } from '../platform.js';
import type { Dial, Dialing, TransportName } from './conn.js';
import { websocket } from './websocket.js';

const order: readonly TransportName[] = ['websocket', 'sse', 'poll'];
const key = 'h5im.transport';
/** How long another transport than WebSocket is the first to be tried. */
const rememberMs = 5 * 60_000;

type Known = [name: TransportName, since: number];

/** The clock may have been set back. */
const isFresh = ([, since]: Known) => Date.now() >= since && Date.now() - since < rememberMs;

/**
 * Which transport is tried next.
 *
 * One that cannot open a session says nothing while there is no network. So
 * the server is asked something plain first; where it answers and the same
 * transport fails right after that, the way is blocked and the next one's turn
 * comes. What works is remembered, for later connections and for the page
 * after a reload; but WebSocket is tried again when five minutes are over.
 * @internal
 */
export class Choice {
  readonly #fixed: TransportName | undefined;
  readonly #platform: PlatformAdapter;
  /** What is tried now, where that is not up to what is remembered. */
  #next: TransportName | undefined;
  /** The server was reached right before this attempt. */
  #reached = false;
  /** The fallback that worked last, and since when; null: none did. Undefined: not yet asked. */
  #known: Known | null | undefined;

  constructor(transport: TransportName | 'auto' | undefined, platform: PlatformAdapter) {
    this.#fixed = transport === 'auto' ? undefined : transport;
    this.#platform = platform;
  }

  /** How long a connection may take to open. */
  get openMs(): number {
    return this.#reached ? 4_000 : 10_000;
  }

  /** The transport to try now. */
  pick(): TransportName {
    if (this.#fixed) return this.#fixed;
    if (this.#known === undefined) this.#known = this.#recall();
    const known = this.#known;
    if (!this.#next) {
      this.#next = known && isFresh(known) ? known[0] : 'websocket';
      this.#reached = !!known && !isFresh(known); // it is known to be blocked: once is enough
    }
    return this.#next;
  }

  async dial(name: TransportName): Promise<Dial> {
    if (name === 'websocket') return websocket;
    const fallbacks = await this.load();
    return fallbacks[name];
  }

  /** A session was opened with what was picked. */
  opened(): void {
    const name = this.#next;
    const known = this.#known;
    this.forget();
    if (!name || (name === 'websocket' ? !known : known?.[0] === name && isFresh(known))) return;
    this.#known = name === 'websocket' ? null : [name, Date.now()];
    this.#store((s) => s.setItem(key, this.#known?.join(' ') ?? ''));
  }

  /**
   * No session could be opened with what was picked. True: try again at once.
   * Rejects where the server says that it is busy.
   */
  async failed(d: Dialing): Promise<boolean> {
    const name = this.#next;
    if (!name) return false;
    if (this.#reached) {
      const known = name === 'websocket' ? this.#known?.[0] : undefined;
      this.#next = known ?? order[order.indexOf(name) + 1];
      if (!this.#next) this.#known = null;
    } else {
      const fallbacks = await this.load().catch(() => undefined); // they come from the server
      const { ok = false, retryAfterMs } = (await fallbacks?.reach(d)) ?? {};
      if (retryAfterMs) throw new IMError('unavailable', 'the server is busy', { retryAfterMs });
      this.#reached = ok;
      if (!this.#reached) this.#next = undefined;
    }
    return !!this.#next;
  }

  /** Time passes before the next attempt: what was found out is out of date. */
  forget(): void {
    this.#next = undefined;
    this.#reached = false;
  }

  /** What most pages never need. */
  async load(): Promise<Fallbacks> {
    const { fallbacks } = this.#platform;
    if (fallbacks) return fallbacks;
    try {
      return await loadFallbacks();
    } catch (cause) {
      throw new IMError('offline', 'the other transports could not be loaded', { cause });
    }
  }

  #recall(): Known | null {
    const [, name, since] = /^(sse|poll) (\d+)$/.exec(this.#store((s) => s.getItem(key)) ?? '') ?? [];
    return name ? [name as TransportName, Number(since)] : null;
  }

  #store<T>(use: (s: KeyValueStorage) => T): T | undefined {
    return withStorage(this.#platform, use, 'sessionStorage');
  }
}
