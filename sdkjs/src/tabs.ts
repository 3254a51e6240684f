import type { StateChange } from './connection.js';
import type { Core } from './core.js';
import { type ChannelLike, channelOf, isVisible, locksOf, onFreeze } from './platform.js';
import type { OpenResult } from './protocol.js';
import type { Operation } from './rpc.js';
import type { Dial, TransportName } from './transports/conn.js';
import type { Said, Sharing, TabHost } from './transports/shared.js';
import { later, sleep } from './wait.js';

type Role = 'alone' | 'leader' | 'follower';

/** Locks that do not answer in time are none. */
const locksMs = 300;
/** Who was told not to come back must hear so before he could lead. */
const kickedMs = 1_000;

/**
 * Which of a user's tabs has a connection of its own. The one that holds the
 * Web Lock leads; the others speak to the server through it. What it takes to
 * do so is loaded when there is a second tab: see transports/shared.ts.
 *
 *     alone --lock free--> leader <--lock granted, or stolen from one that is silent-- follower
 *       |                    |                                                            ^ ^
 *       |                    +--stolen----------------------------------------------------+ |
 *       +--lock held by another-------------------------------------------------------------+
 * @internal
 */
export class Tabs implements TabHost {
  /** Another number: what was dialed before is not what this tab should have. */
  turn = 0;
  /** Of this tab, while it is one of several. */
  id = '';
  readonly #core: Core;
  readonly #isOn: boolean;
  #role: Role = 'alone';
  /** Whose tabs. */
  #name: string | undefined;
  #channel: ChannelLike | undefined;
  /** Chromium tells a frozen page what others say, and nothing else: neither timers nor sockets go on. */
  #isFrozen = false;
  /** Ends being one of them. */
  #left: AbortController | undefined;
  /** Ends the waiting for the lock. */
  #queue: AbortController | undefined;
  #loading: Promise<Sharing> | undefined;
  #sharing: Sharing | undefined;

  constructor(core: Core, isOn: boolean) {
    this.#core = core;
    this.#isOn = isOn;
  }

  get leads(): boolean {
    return this.#role === 'leader';
  }

  get session(): OpenResult | null {
    const { rpc, session, state } = this.#core.connection;
    return rpc && state === 'online' ? session : null;
  }

  get transport(): TransportName | null {
    return this.#core.connection.transport;
  }

  get rests(): boolean {
    return !['connecting', 'syncing', 'online'].includes(this.#core.connection.state);
  }

  newId(): string {
    return this.#core.newId();
  }

  say(m: Omit<Said, 'from'>): void {
    this.#channel?.postMessage({ ...m, from: this.id });
  }

  isVisible(): boolean {
    return isVisible(this.#core.platform);
  }

  serverTime(): number {
    return Date.now() + this.#core.connection.clockOffsetMs;
  }

  async call(
    op: string,
    params: object,
    timeoutMs: number,
    use: (result: unknown) => void,
  ): Promise<unknown> {
    const { rpc } = this.#core.connection;
    return rpc?.call(op as Operation, params as never, { timeoutMs }, use, op === 'ping');
  }

  notified(method: string, params: unknown): void {
    this.#core.notified(method, params);
  }

  wake(): void {
    this.#core.connection.wake();
  }

  steal(): void {
    if (this.#role !== 'follower') return;
    this.#queue?.abort();
    void this.#request({ steal: true });
  }

  /** Becomes one of a user's tabs, where there may be several. */
  async join(user: string | undefined): Promise<void> {
    const { platform } = this.#core;
    if (!this.#isOn || user === undefined || !locksOf(platform)) return;
    const name = this.#core.prefix(user);
    if (name === this.#name) return;
    this.leave();
    this.#channel = channelOf(platform, `h5im ${name}`);
    if (!this.#channel) return;
    this.#name = name;
    this.id = this.newId();
    this.#left = new AbortController();
    this.#channel.onmessage = ({ data }: { data: Said }) => this.#heard(data);
    const off = onFreeze(platform, (isFrozen) => {
      this.#isFrozen = isFrozen;
      if (!this.leads) return;
      if (isFrozen) return this.say({ kind: 'freeze' });
      this.#sharing?.down(); // what they asked meanwhile was not heard
      if (this.session) this.#sharing?.up();
    });
    this.#left.signal.addEventListener('abort', off);
    await Promise.race([this.#request({ ifAvailable: true }), sleep(locksMs)]);
  }

  /** How a follower connects; undefined: as every other client. */
  async dial(): Promise<Dial | undefined> {
    return this.#role === 'follower' ? (await this.#load()).dial : undefined;
  }

  /** What carries the session that a follower dialed. */
  get shared(): TransportName | null {
    return this.#sharing?.transport ?? null;
  }

  leave(): void {
    this.#left?.abort();
    this.#queue?.abort();
    this.#channel?.close();
    this.#name = this.#left = this.#channel = this.#loading = this.#sharing = undefined;
    this.#role = 'alone';
    this.#isFrozen = false;
  }

  /** The user signs out, everywhere. */
  logout(): void {
    this.say({ kind: 'logout' });
  }

  stateChanged({ state, previous, error }: StateChange): void {
    const over = ['unauthorized', 'kicked', 'closed'].includes(state);
    if (this.leads) {
      if (state === 'online') this.#sharing?.up();
      else if (state === 'kicked') {
        this.#sharing?.event('kicked', { reason: error?.reason });
        return void later(kickedMs, () => this.#core.connection.over && this.leave());
      } else if (over || previous === 'online' || this.rests) this.#sharing?.down();
    }
    if (over) this.leave();
  }

  /** An event came on the tab's own connection. */
  event(method: string, params: unknown): void {
    if (this.leads) this.#sharing?.event(method, params);
  }

  answered(op: Operation, params: object, result: unknown): void {
    if (this.leads) this.#sharing?.answered(op, params, result);
  }

  woke(): void {
    this.#sharing?.woke();
  }

  #load(): Promise<Sharing> {
    const signal = this.#left?.signal;
    this.#loading ??= this.#core.choice.load().then(({ share }) => {
      const sharing = share(this);
      if (!signal?.aborted) this.#sharing = sharing;
      return sharing;
    });
    this.#loading.catch(() => {
      if (!signal?.aborted) this.#loading = undefined;
    });
    return this.#loading;
  }

  #heard(m: Said): void {
    const signal = this.#left?.signal;
    if (m.kind === 'logout') return this.#core.signedOut();
    if (this.leads && this.#isFrozen) return; // it is no leader, and must not seem to be one
    // At once: what is loaded first may take a while.
    if (this.leads && (m.kind === 'ping' || m.kind === 'hello')) this.say({ kind: 'alive', conn: m.conn });
    if (m.kind === 'ping') return;
    void this.#load().then(
      (s) => signal?.aborted || s.heard(m),
      () => {},
    );
  }

  /** Asks for the lock. Resolves when it is known whether it is ours. */
  #request(o: { signal: AbortSignal } | { ifAvailable: true } | { steal: true }): Promise<void> {
    const signal = this.#left?.signal;
    return new Promise((resolve) => {
      let isHeld = false;
      const held = (lock: unknown) => {
        if (signal?.aborted) return undefined;
        if (lock === null) this.#follow();
        else {
          isHeld = true;
          this.#lead();
        }
        resolve();
        return isHeld && new Promise((end) => signal?.addEventListener('abort', end));
      };
      const lost = () => {
        if (!signal?.aborted && isHeld) this.#follow();
        resolve();
      };
      const ask = async () => locksOf(this.#core.platform)?.request(`h5im lead ${this.#name}`, o, held);
      ask().catch(lost);
    });
  }

  #lead(): void {
    const was = this.#role;
    this.#role = 'leader';
    if (was !== 'follower') return;
    this.turn++;
    this.#sharing?.led();
    this.#core.connection.redial();
  }

  #follow(): void {
    this.#role = 'follower';
    this.turn++;
    this.#core.connection.redial();
    this.#queue = new AbortController();
    void this.#request({ signal: this.#queue.signal });
  }
}
