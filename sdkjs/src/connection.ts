import type { Core } from './core.js';
import { IMError, type Reason, toIMError } from './errors.js';
import { isOnline, onWake, type SocketLike, socketOf } from './platform.js';
import type { OpenResult } from './protocol.js';
import { type Operation, type Params, type Result, Rpc } from './rpc.js';
import type { TokenReason } from './tokens.js';
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

/** How a connection ended, and so what comes next. */
interface Ending {
  next: 'retry' | 'renew' | 'unauthorized' | 'kicked';
  error: IMError;
}

const defaultTimeoutMs = 15_000;
const connectTimeoutMs = 10_000;
const pingAfterMs = 25_000;
const pingTimeoutMs = 10_000;
const wakeTimeoutMs = 2_000;
const goawayGraceMs = 5_000;
/** A connection that was online for this long was a good one. */
const goodAfterMs = 5_000;
/** How often a new token is tried before the user counts as unauthorized. */
const maxRenewals = 2;

const over: readonly State[] = ['unauthorized', 'kicked', 'closed'];
/** What another token may help against. */
const renewable = ['unauthenticated', 'clock_skew', 'token_expired'];

function ending(next: Ending['next'], reason: Reason, text: string): Ending {
  return { next, error: new IMError(reason, text) };
}

const lost = (text: string) => ending('retry', 'offline', text);

/** Keeps one session open while it may. @internal */
export class Connection {
  state: State = 'idle';
  session: Session | null = null;
  clockOffsetMs = 0;

  readonly #core: Core;
  #run: AbortController | undefined; // of the loop that connects
  #link: Link | undefined; // while online
  #wake: (() => void) | undefined; // ends a wait, or probes the connection
  #error: IMError | undefined; // why there is no connection
  readonly #waiting = new Set<{ resolve(rpc: Rpc): void; reject(e: IMError): void }>();

  constructor(core: Core) {
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
      const off = onWake(this.#core.platform, () => this.#wake?.());
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

  /** The online connection, if there is one. */
  get rpc(): Rpc | null {
    return this.#link && !this.#link.ending ? this.#link.rpc : null;
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
      const been = { open: false, onlineAt: Infinity };
      const { next, error } = await this.#once(signal, renew, been);
      if (signal.aborted) return;
      this.#link = undefined;
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
    const wake = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#set(isOnline(this.#core.platform) ? 'waiting' : 'offline', error, Date.now() + ms);
    await Promise.race([sleep(ms, signal), wake]);
    this.#wake = undefined;
    await demanded;
  }

  /** One connection, from the attempt to its end. */
  async #once(
    signal: AbortSignal,
    renew: TokenReason | undefined,
    been: { open: boolean; onlineAt: number },
  ): Promise<Ending> {
    const core = this.#core;
    let link: Link | undefined;
    const abort = () => link?.end(lost('closed'));
    signal.addEventListener('abort', abort);
    try {
      const token = await core.tokens.get(renew);
      if (signal.aborted) return lost('closed');
      const socket = socketOf(core.platform, core.url(), 'im.v1.json');
      const l = new Link(socket, (method, params) => this.#notified(l, method, params));
      link = l;
      await Promise.race([link.connected, link.ended]);
      const session = await this.#open(link.rpc, token);
      been.open = true;
      if (this.session && this.session.user !== session.user) {
        throw new IMError('conflict', 'the token is of another user');
      }
      this.session = session;
      this.#set('syncing');
      await core.replica.sync(link.rpc, session);
      been.onlineAt = now();
      this.#link = link;
      this.#wake = () => void this.#probe(l, wakeTimeoutMs).then((alive) => alive && core.resync());
      this.#keepAlive(link);
      this.#set('online');
      core.online(session);
      for (const w of [...this.#waiting]) w.resolve(link.rpc);
      return await link.ended;
    } catch (thrown) {
      if (link?.ending) return link.ending;
      const error = toIMError(thrown);
      if (!link && error.retryable) core.failed(error); // it was getToken
      if (link && renewable.includes(error.reason)) return { next: 'renew', error };
      if (error.retryable || (been.open && error.reason !== 'conflict')) return { next: 'retry', error };
      return { next: error.reason === 'session_limit' ? 'kicked' : 'unauthorized', error };
    } finally {
      signal.removeEventListener('abort', abort);
      this.#wake = undefined;
      link?.end(lost('closed'));
    }
  }

  async #open(rpc: Rpc, token: string | undefined): Promise<Session> {
    const { appId, client, device } = this.#core;
    const asked = Date.now();
    const params = { appId, device: device(), client, token };
    const session = await rpc.call('session.open', params, { timeoutMs: defaultTimeoutMs });
    this.#clock(asked, session.serverTime);
    rpc.limits = session.limits;
    return session;
  }

  /** The server's clock minus ours, as if it was read half way between question and answer. */
  #clock(asked: number, serverTime: number): void {
    this.clockOffsetMs = Math.round(serverTime - (asked + Date.now()) / 2);
  }

  #notified(link: Link, method: string, params: unknown): void {
    const { reason, retryAfterMs } = params as { reason?: string; retryAfterMs?: number };
    if (method === 'reauth') void this.#reauth(link);
    else if (method === 'goaway') {
      link.away(new IMError('unavailable', 'the server goes away', { retryAfterMs }));
    } else if (method === 'kicked') {
      link.end(ending('kicked', reason || 'unauthenticated', 'the server ended the session'));
    } else this.#core.notified(method, params);
  }

  /** Renews the credentials on the open connection; where that fails the server closes it in time. */
  async #reauth(link: Link): Promise<void> {
    const { tokens } = this.#core;
    if (!tokens.getToken) return;
    try {
      this.session = await this.#open(link.rpc, await tokens.get('expired'));
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
    const asked = Date.now();
    const { heardAt } = link;
    try {
      this.#clock(asked, (await link.rpc.call('ping', {}, { timeoutMs })).serverTime);
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

/** One socket and its end, whoever causes it. */
class Link {
  readonly rpc: Rpc;
  readonly connected: Promise<void>;
  readonly ended: Promise<Ending>;
  ending: Ending | undefined;
  heardAt = now();
  /** Of what is waited for next: the connection, the next ping, the server's farewell. */
  timer: ReturnType<typeof setTimeout>;
  readonly #socket: SocketLike;
  #farewell: Ending | undefined;
  #resolve!: (e: Ending) => void;

  constructor(socket: SocketLike, notified: (method: string, params: unknown) => void) {
    this.#socket = socket;
    this.rpc = new Rpc((frame) => {
      try {
        socket.send(frame);
      } catch {
        this.end(lost('closed'));
      }
    }, notified);
    this.timer = later(connectTimeoutMs, () => this.end(lost('not connected in time')));
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.connected = new Promise((resolve) => {
      socket.onopen = () => {
        clearTimeout(this.timer);
        resolve();
      };
    });
    socket.onmessage = ({ data }: { data: unknown }) => {
      this.heardAt = now();
      if (typeof data === 'string' && !this.ending) this.rpc.receive(data);
    };
    socket.onclose = ({ code = 1006, reason }: { code?: number; reason?: string }) => {
      this.end(endingOfClose(code, reason || `closed with ${code}`));
    };
    socket.onerror = () => {}; // a close follows
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
    try {
      this.#socket.close(1000);
    } catch {}
    this.#resolve(ending);
    this.rpc.fail(new IMError('offline', ending.error.message, { cause: ending.error }));
  }
}

/** What a close code means, by its range; see transport.go. */
function endingOfClose(code: number, text: string): Ending {
  if (code === 4101) return ending('renew', 'token_expired', text);
  if (code === 4202) return ending('kicked', 'session_limit', text);
  if (code >= 4100 && code < 4200) return ending('renew', 'unauthenticated', text);
  if (code >= 4200 && code < 4300) return ending('kicked', 'permission_denied', text);
  return lost(text);
}
