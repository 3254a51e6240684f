import { IMError, type Reason, toIMError } from './errors.js';
import { isOnline, onWake } from './platform.js';
import type { OpenResult } from './protocol.js';
import { type Operation, type Params, type Result, Rpc } from './rpc.js';
import type { Tabs } from './tabs.js';
import type { TokenReason, Tokens } from './tokens.js';
import type { Choice } from './transports/choice.js';
import type { Conn, ConnEvents, Dialing, TransportName } from './transports/conn.js';
import { backoffMs, guard, later, now, sleep, type Wait } from './wait.js';

/**
 * What the client is doing.
 *
 *     idle --init--> connecting --session.open--> syncing --sync--> online
 *                     ^    |                         |                |
 *                     |    +------- connection lost, refused ---------+
 *                     |                         |
 *                     +--time, wake-up-- waiting | offline
 *
 *     any --no valid token--> unauthorized      } init() begins again
 *     any --kicked, not to come back--> kicked  }
 *     any --close()--> closed                   }
 *
 * "waiting" and "offline" differ in the cause alone: offline means that the
 * browser says there is no network.
 */
export type State =
  | 'idle'
  | 'connecting'
  | 'syncing'
  | 'online'
  | 'waiting'
  | 'offline'
  | 'unauthorized'
  | 'kicked'
  | 'closed';

/** The answer of session.open: who we are, and what the server accepts. */
export type Session = OpenResult;

/** A change of the state. */
export interface StateChange {
  state: State;
  previous: State;
  /** Why, where it is not for the better. */
  error?: IMError;
  /** When the next attempt is made, in milliseconds since the epoch. */
  retryAtMs?: number;
}

/** What a connection needs of the client that it is a part of. @internal */
export interface ConnectionOwner extends Dialing {
  readonly appId: string;
  /** The name and version of this SDK. */
  readonly client: string;
  readonly tokens: Tokens;
  readonly choice: Choice;
  readonly tabs: Tabs;
  /** Undefined until it is known who the user is. */
  readonly owner: { user: string } | undefined;
  readonly replica: { sync(rpc: Pick<Rpc, 'call'>, session: Session): Promise<void> };
  device(): string;
  /** Asks what changed. */
  resync(): void;
  /** The client has caught up. */
  online(session: Session): void;
  stateChanged(change: StateChange): void;
  transportChanged(name: TransportName): void;
  /** An event that is none of the connection's. */
  notified(name: string, params: unknown): void;
  /** Something failed and nobody was waiting for it. */
  failed(e: IMError): void;
}

/** How a connection ended, and so what comes next. */
interface Ending {
  next: 'retry' | 'renew' | 'unauthorized' | 'kicked';
  error: IMError;
  /** It may be that the transport cannot get through. */
  isWay?: boolean;
}

const defaultTimeoutMs = 15_000;
const pingAfterMs = 25_000;
const pingTimeoutMs = 10_000;
const wakeTimeoutMs = 2_000;
const goawayGraceMs = 5_000;
/** A connection that was online for this long was a good one. */
const goodAfterMs = 5_000;
/** A session is renewed this long before its credentials end, or after four fifths of a short life; and not at once again. */
const renewBeforeMs = 60_000;
const renewAfterMs = 5_000;
/** How often a new token is tried before the user counts as unauthorized. */
const maxRenewals = 2;

const over: readonly State[] = ['unauthorized', 'kicked', 'closed'];
/** What another token may help against. */
const renewable = ['unauthenticated', 'clock_skew', 'token_expired'];

function ending(next: Ending['next'], reason: Reason, text: string): Ending {
  return { next, error: new IMError(reason, text) };
}

const lost = (text: string, isWay = false): Ending => ({ ...ending('retry', 'offline', text), isWay });

/** Keeps one session open while it may. @internal */
export class Connection {
  state: State = 'idle';
  session: Session | null = null;
  /** The server's clock minus ours. */
  clockOffsetMs = 0;
  /** What the session was opened with. */
  transport: TransportName | null = null;

  readonly #core: ConnectionOwner;
  #clockRttMs = Infinity; // of the answer that told clockOffsetMs
  #run: AbortController | undefined; // of the loop that connects
  #link: Link | undefined; // while online
  #wake: (() => unknown) | undefined; // ends a wait, or probes the connection
  #redial: (() => void) | undefined; // ends the connection, or the attempt
  #error: IMError | undefined; // why there is no connection
  readonly #waiting = new Set<{ resolve(rpc: Rpc): void; reject(e: IMError): void }>();

  constructor(core: ConnectionOwner) {
    this.#core = core;
  }

  /** Begins to connect, unless it does already. */
  start(): void {
    if (this.#run) return;
    const run = new AbortController();
    this.#run = run;
    this.#set('connecting');
    queueMicrotask(() => {
      if (run.signal.aborted) return;
      const off = onWake(this.#core.platform, () => {
        this.#core.tabs.woke();
        this.wake();
      });
      run.signal.addEventListener('abort', off);
      void this.#loop(run);
    });
  }

  /** Ends the connection and whatever waits for it. */
  stop(state: State = 'closed', error = new IMError('aborted', 'the client was closed')): void {
    const run = this.#run;
    this.#run = this.#link = undefined;
    run?.abort();
    for (const w of [...this.#waiting]) w.reject(error);
    this.#set(state, error); // last: a listener may begin again
  }

  /** Something may be better, or worse, than it was. */
  wake(): void {
    this.#wake?.();
  }

  /** Another connection is wanted, at once. */
  redial(): void {
    if (this.#redial) this.#redial();
    else this.wake();
  }

  /** The online connection, if there is one. */
  get rpc(): Rpc | null {
    return this.#link && !this.#link.ending ? this.#link.rpc : null;
  }

  /** Why there is no connection, or was none. */
  get error(): IMError | undefined {
    return this.#error;
  }

  /** The server has told its time. */
  get isClockKnown(): boolean {
    return this.#clockRttMs < Infinity;
  }

  /** How long an answer takes; undefined where there is no connection, or not in time. */
  async rttMs(wait: Wait): Promise<number | undefined> {
    const asked = now();
    const { rpc } = this;
    if (!rpc) return undefined;
    return rpc.call('ping', {}, wait, () => now() - asked, true).catch(() => undefined);
  }

  /** Why there will be no connection, until init. */
  get over(): IMError | undefined {
    return over.includes(this.state) ? this.#error : undefined;
  }

  /** Waits for the online connection; rejects when there will be none. */
  async ready(wait: Wait): Promise<Rpc> {
    const none = () => new IMError('offline', 'no connection', { cause: this.#error });
    return (
      this.rpc ??
      guard<Rpc>(wait, none, (resolve, reject) => {
        if (this.over) return reject(this.over);
        const waiter = { resolve, reject };
        this.#waiting.add(waiter);
        return () => this.#waiting.delete(waiter);
      })
    );
  }

  /**
   * Calls an operation, when there is a connection. One that the connection's
   * end left without an answer is repeated on the next: every operation may be.
   */
  async call<O extends Operation, T = Result<O>>(
    op: O,
    params: Params<O>,
    wait: Wait = {},
    use?: (r: Result<O>) => T,
  ): Promise<T> {
    const { signal, timeoutMs = defaultTimeoutMs } = wait;
    const deadline = now() + timeoutMs;
    const left = () => ({ signal, timeoutMs: deadline - now() });
    for (;;) {
      const rpc = this.rpc ?? (await this.ready(left()));
      try {
        return await rpc.call(op, params, left(), use);
      } catch (thrown) {
        const e = toIMError(thrown);
        if (e.reason !== 'offline') throw e;
      }
    }
  }

  async #loop({ signal }: AbortController): Promise<void> {
    let attempt = 0;
    let renewals = 0;
    let renew: TokenReason | undefined;
    for (;;) {
      this.#set('connecting');
      const been = { open: false, onlineAt: Infinity, turn: -1, isShared: false };
      let { next, error, isWay } = await this.#once(signal, renew, been);
      if (signal.aborted) return;
      this.#link = undefined;
      if (this.#core.tabs.turn !== been.turn) continue;
      if (isWay && !been.open && !been.isShared) {
        try {
          if (await this.#core.choice.failed(this.#core)) continue; // the network is there
        } catch (e) {
          error = toIMError(e);
        }
        if (signal.aborted) return;
      }
      renew = undefined;
      if (now() - been.onlineAt >= goodAfterMs) attempt = renewals = 0;
      if (next === 'renew' && this.#core.tokens.renewable && renewals < maxRenewals) {
        renew = error.reason === 'token_expired' ? 'expired' : 'rejected';
        if (!renewals++) continue; // a new token deserves no wait
      } else if (next !== 'retry') return this.stop(next === 'kicked' ? next : 'unauthorized', error);
      await this.#pause(backoffMs(attempt++), error, signal);
      if (signal.aborted) return;
    }
  }

  /** Waits before the next attempt: as long as the server demanded, and then some. Waking up cuts the rest short. */
  async #pause(ownMs: number, error: IMError, signal: AbortSignal): Promise<void> {
    const demandedMs = error.retryAfterMs ?? 0;
    const ms = demandedMs + ownMs;
    const demanded = sleep(demandedMs, signal);
    const { choice, platform } = this.#core;
    choice.forget();
    const wake = new Promise<void>((resolve) => {
      this.#wake = () => isOnline(platform) && resolve();
    });
    this.#set(isOnline(platform) ? 'waiting' : 'offline', error, Date.now() + ms);
    await Promise.race([sleep(ms, signal), wake]);
    this.#wake = undefined;
    await demanded;
  }

  /** One connection, from the attempt to its end. */
  async #once(
    signal: AbortSignal,
    renew: TokenReason | undefined,
    been: { open: boolean; onlineAt: number; turn: number; isShared: boolean },
  ): Promise<Ending> {
    const core = this.#core;
    let link: Link | undefined;
    let dialed = false;
    const abort = () => link?.end(lost('closed'));
    signal.addEventListener('abort', abort);
    try {
      await core.tabs.join(core.owner?.user);
      been.turn = core.tabs.turn;
      const isOff = () => signal.aborted || core.tabs.turn !== been.turn;
      if (isOff()) return lost('closed');
      const shared = await core.tabs.dial();
      const token = shared ? undefined : await core.tokens.get(renew);
      if (isOff()) return lost('closed');
      const own = shared ? null : core.choice.pick();
      const dial = shared ?? (await core.choice.dial(own as TransportName));
      if (isOff()) return lost('closed');
      dialed = true;
      been.isShared = !!shared;
      const l = new Link(
        (e) => dial(core, e),
        shared ? defaultTimeoutMs : core.choice.openMs,
        (method, params) => this.#notified(l, method, params),
      );
      link = l;
      link.rpc.answered = (op, params, result) => core.tabs.answered(op, params, result);
      this.#redial = () => l.end(lost('another tab leads'));
      await Promise.race([link.connected, link.ended]);
      const session = await this.#open(l, token);
      been.open = true;
      if (own) core.choice.opened();
      await core.tabs.join(session.user);
      if (isOff()) return lost('closed');
      const name = own ?? core.tabs.shared;
      if (name && this.transport !== name) {
        this.transport = name;
        core.transportChanged(name);
      }
      if (this.session && this.session.user !== session.user) {
        throw new IMError('conflict', 'the token is of another user');
      }
      this.session = session;
      this.#set('syncing');
      await core.replica.sync(link.rpc, session);
      been.onlineAt = now();
      this.#link = link;
      let checked = true;
      this.#wake = async () => {
        if (!checked) return; // waking up is told in many ways at once
        checked = false;
        if (await this.#probe(l, wakeTimeoutMs)) core.resync();
        checked = true;
      };
      this.#keepAlive(link);
      this.#set('online');
      core.online(session);
      for (const w of [...this.#waiting]) w.resolve(link.rpc);
      return await link.ended;
    } catch (thrown) {
      const error = toIMError(thrown);
      // The answer to session.open says more than the close that may have come with it.
      if (link?.ending && (been.open || error.reason === 'offline')) return link.ending;
      if (!link && error.retryable && error.reason !== 'offline') core.failed(error); // it was getToken
      if (link && renewable.includes(error.reason)) return { next: 'renew', error };
      if (error.retryable || (been.open && error.reason !== 'conflict')) {
        return { next: 'retry', error, isWay: dialed && (!link || error.reason === 'timeout') };
      }
      return { next: error.reason === 'session_limit' ? 'kicked' : 'unauthorized', error };
    } finally {
      signal.removeEventListener('abort', abort);
      this.#wake = this.#redial = undefined;
      link?.end(lost('closed'));
    }
  }

  async #open(link: Link, token: string | undefined): Promise<Session> {
    const { appId, client, device, tokens } = this.#core;
    const params = { appId, device: device(), client, token };
    const asked = now();
    let session: Session;
    try {
      session = await link.rpc.call('session.open', params, { timeoutMs: defaultTimeoutMs });
    } catch (e) {
      const told = toIMError(e).detail?.serverTime; // it may be the clock's fault
      if (told) this.#clock(asked, told);
      throw e;
    }
    const { expiresAt, serverTime, limits } = session;
    this.#clock(asked, serverTime);
    link.rpc.limits = limits;
    clearTimeout(link.renewal);
    if (expiresAt && tokens.getToken) {
      const leftMs = expiresAt - serverTime; // the server's clock alone
      const ms = Math.max(leftMs - Math.min(renewBeforeMs, leftMs / 5), renewAfterMs);
      link.renewal = later(ms, () => this.#reauth(link));
    }
    return session;
  }

  /**
   * The server's clock, read half way between question and answer. The shortest
   * way tells best; unless no offset can be true for both: then a clock was set.
   */
  #clock(asked: number, serverTime: number): void {
    const rttMs = now() - asked;
    const offsetMs = serverTime - (Date.now() - rttMs / 2);
    const wasSet = Math.abs(offsetMs - this.clockOffsetMs) > (rttMs + this.#clockRttMs) / 2 + 1;
    if (rttMs > this.#clockRttMs && !wasSet) return;
    this.#clockRttMs = rttMs;
    this.clockOffsetMs = Math.round(offsetMs) + 0; // never -0
  }

  #notified(link: Link, method: string, params: unknown): void {
    const {
      code = 1006,
      reason,
      retryAfterMs,
    } = params as Partial<Record<'code' | 'retryAfterMs', number>> & {
      reason?: string;
    };
    if (method === 'reauth') void this.#reauth(link);
    else if (method === 'close') link.end(endingOfClose(code, reason));
    else if (method === 'goaway') {
      link.away(new IMError('unavailable', 'the server goes away', { retryAfterMs }));
    } else if (method === 'kicked') {
      link.end(ending('kicked', reason || 'unauthenticated', 'the server ended the session'));
    } else {
      this.#core.tabs.event(method, params);
      this.#core.notified(method, params);
    }
  }

  /** Renews the credentials on the open connection; where that fails the server closes it in time. */
  async #reauth(link: Link): Promise<void> {
    const { tokens } = this.#core;
    if (!tokens.getToken) return;
    try {
      const token = await tokens.get('expired');
      if (!link.ending) this.session = await this.#open(link, token);
    } catch (e) {
      if (!link.ending) this.#core.failed(toIMError(e));
    }
  }

  #keepAlive(link: Link): void {
    const check = async () => {
      if (now() - link.heardAt < pingAfterMs || (await this.#probe(link, pingTimeoutMs)))
        this.#keepAlive(link);
    };
    if (!link.ending) link.timer = later(link.heardAt + pingAfterMs - now(), check);
  }

  /** Asks for a sign of life; without one the connection is over. */
  async #probe(link: Link, timeoutMs: number): Promise<boolean> {
    const asked = now();
    const { heardAt } = link;
    try {
      const { serverTime } = await link.rpc.call('ping', {}, { timeoutMs }, undefined, true);
      this.#clock(asked, serverTime);
    } catch {
      if (link.heardAt === heardAt) link.end(lost('no sign of life'));
    }
    return !link.ending;
  }

  #set(state: State, error?: IMError, retryAtMs?: number): void {
    if (error || state === 'online') this.#error = error;
    if (state === this.state) return;
    const change: StateChange = { state, previous: this.state };
    if (error && state !== 'closed') change.error = error;
    if (retryAtMs) change.retryAtMs = Math.round(retryAtMs);
    this.state = state;
    this.#core.stateChanged(change);
  }
}

/** One connection and its end, whoever causes it. */
class Link {
  readonly rpc: Rpc;
  readonly connected: Promise<void>;
  readonly ended: Promise<Ending>;
  ending: Ending | undefined;
  heardAt = now();
  /** Of what is waited for next: the connection, the next ping, the server's farewell. */
  timer: ReturnType<typeof setTimeout>;
  /** Of new credentials. */
  renewal: ReturnType<typeof setTimeout> | undefined;
  readonly #conn: Conn;
  #farewell: Ending | undefined;
  #resolve!: (e: Ending) => void;

  constructor(
    dial: (e: ConnEvents) => Conn,
    openMs: number,
    notified: (method: string, params: unknown) => void,
  ) {
    let opened!: () => void;
    this.connected = new Promise((resolve) => {
      opened = resolve;
    });
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    const receive = (frame: string) => this.ending || this.rpc.receive(frame);
    this.#conn = dial({
      opened: () => {
        clearTimeout(this.timer);
        opened();
      },
      received: (frame) => {
        this.heardAt = now();
        if (frame) receive(frame);
      },
      answered: receive,
      idle: () => this.rpc.flush(),
      closed: (code, reason, retryAfterMs) => this.end(endingOfClose(code, reason, retryAfterMs)),
    });
    this.rpc = new Rpc(
      (frame) => {
        try {
          this.#conn.send(frame);
        } catch {
          this.end(lost('closed'));
        }
      },
      notified,
      () => this.#conn.busy,
    );
    this.timer = later(openMs, () => this.end(lost('not connected in time', true)));
  }

  /** The server will close soon: let it finish what it does. */
  away(error: IMError): void {
    const farewell: Ending = { next: 'retry', error };
    this.#farewell = farewell;
    clearTimeout(this.timer);
    this.timer = later(goawayGraceMs, () => this.end(farewell));
  }

  /** Ends it once. */
  end(why: Ending): void {
    if (this.ending) return;
    const ending = (why.next === 'retry' && this.#farewell) || why;
    this.ending = ending;
    clearTimeout(this.timer);
    clearTimeout(this.renewal);
    this.#conn.close();
    this.#resolve(ending);
    this.rpc.fail(new IMError('offline', ending.error.message, { cause: ending.error }));
  }
}

/** What a close code means, by its range; see transport.go. Below 4000 it need not be from the server. */
function endingOfClose(code: number, reason?: string, retryAfterMs?: number): Ending {
  const text = reason || `closed with ${code}`;
  if (code === 4101) return ending('renew', 'token_expired', text);
  if (code === 4202) return ending('kicked', 'session_limit', text);
  if (code >= 4100 && code < 4200) return ending('renew', 'unauthenticated', text);
  if (code >= 4200 && code < 4300) return ending('kicked', 'permission_denied', text);
  if (code === 1013) return { next: 'retry', error: new IMError('unavailable', text, { retryAfterMs }) };
  return lost(text, code < 4000);
}
