import { IMError, toIMError } from './errors.js';
import { isOnline, onWake, type PlatformAdapter, type SocketLike, socketOf } from './platform.js';
import type { OpenResult } from './protocol.js';
import { type Operation, type Params, type Result, Rpc } from './rpc.js';
import type { TokenReason, Tokens } from './tokens.js';
import { guard, sleep, type Wait } from './wait.js';

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
type Ending =
  | { next: 'retry'; error: IMError; afterMs?: number }
  | { next: 'renew'; error: IMError; why: TokenReason }
  | { next: 'stop'; error: IMError; state: 'unauthorized' | 'kicked' };

/** @internal */
export interface ConnectionHost {
  url(): string;
  appId: string;
  client: string;
  device(): string;
  tokens: Tokens;
  platform: PlatformAdapter;
  state(change: StateChange): void;
  /** The session is open: catch up. */
  sync(rpc: Rpc, session: Session): Promise<void>;
  /** Caught up. */
  online(session: Session): void;
  notified(method: string, params: unknown): void;
  /** The page woke, and the connection still works. */
  woke(): void;
  /** Something went wrong that no call tells of. */
  failed(e: IMError): void;
}

export const defaultTimeoutMs = 15_000;
const connectTimeoutMs = 10_000;
const pingAfterMs = 25_000;
const pingTimeoutMs = 10_000;
const wakeTimeoutMs = 2_000;
const goawayGraceMs = 5_000;
const minBackoffMs = 300;
const maxBackoffMs = 30_000;
/** A connection that was online for this long was a good one. */
const goodAfterMs = 5_000;
/** How often a new token is tried before the user counts as unauthorized. */
const maxRenewals = 2;

const over: readonly State[] = ['unauthorized', 'kicked', 'closed'];
const authReasons: Record<string, TokenReason | undefined> = {
  unauthenticated: 'rejected',
  clock_skew: 'rejected',
  token_expired: 'expired',
};

/** The delay before an attempt: full jitter, so that clients that fall together do not rise together. */
const backoffMs = (attempt: number) => Math.random() * Math.min(maxBackoffMs, minBackoffMs * 2 ** attempt);

/** Keeps one session open while it may. @internal */
export class Connection {
  state: State = 'idle';
  session: Session | null = null;
  clockOffsetMs = 0;

  #run: AbortController | undefined; // of the loop that connects
  #rpc: Rpc | undefined; // while online
  #wake: (() => void) | undefined; // ends a wait, or probes the connection
  #error: IMError | undefined; // why the state is what it is
  readonly #waiting = new Set<{ resolve(rpc: Rpc): void; reject(e: IMError): void }>();

  constructor(private readonly host: ConnectionHost) {}

  /** Begins to connect, unless it does already. */
  start(): void {
    if (this.#run) return;
    const run = new AbortController();
    this.#run = run;
    this.#set('connecting');
    queueMicrotask(() => {
      if (run.signal.aborted) return;
      const off = onWake(this.host.platform, () => this.#wake?.());
      run.signal.addEventListener('abort', off);
      void this.#loop(run).catch((e: unknown) => this.#stop(run, 'closed', toIMError(e)));
    });
  }

  /** Ends the connection and whatever waits for it. */
  stop(): void {
    this.#stop(this.#run, 'closed', new IMError('aborted', 'the client was closed'));
  }

  /** The online connection, if there is one. */
  get rpc(): Rpc | null {
    return this.#rpc && !this.#rpc.failed ? this.#rpc : null;
  }

  /** Waits for the online connection; rejects when there will be none. */
  async ready(wait: Wait): Promise<Rpc> {
    if (this.rpc) return this.rpc;
    const none = () => new IMError('offline', 'there is no connection', { cause: this.#error });
    return guard<Rpc>(wait, none, (resolve, reject) => {
      if (over.includes(this.state)) return reject(this.#error ?? none());
      const waiter = { resolve, reject };
      this.#waiting.add(waiter);
      return () => this.#waiting.delete(waiter);
    });
  }

  /**
   * Calls an operation, when there is a connection. One that the connection's
   * end left without an answer is repeated on the next: every operation may be.
   */
  async call<O extends Operation>(op: O, params: Params<O>, wait: Wait = {}): Promise<Result<O>> {
    const { signal, timeoutMs = defaultTimeoutMs } = wait;
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const rpc = this.rpc ?? (await this.ready({ signal, timeoutMs: deadline - Date.now() }));
      try {
        return await rpc.call(op, params, { signal, timeoutMs: deadline - Date.now() });
      } catch (e) {
        if (!(e instanceof IMError && e.reason === 'offline')) throw e;
      }
    }
  }

  async #loop(run: AbortController): Promise<void> {
    let attempt = 0;
    let renewals = 0;
    let renew: TokenReason | undefined;
    while (!run.signal.aborted) {
      this.#set('connecting');
      const opened = { online: 0, session: false };
      const end = await this.#once(run.signal, renew, opened);
      if (run.signal.aborted) return;
      renew = undefined;
      this.#rpc = undefined;
      if (opened.session) renewals = 0;
      if (opened.online && Date.now() - opened.online >= goodAfterMs) attempt = 0;
      if (end.next === 'stop') return this.#stop(run, end.state, end.error);
      if (end.next === 'renew') {
        if (!this.host.tokens.renewable || renewals++ >= maxRenewals) {
          return this.#stop(run, 'unauthorized', end.error);
        }
        renew = end.why;
        if (renewals === 1) continue;
      }
      const demanded = end.next === 'retry' ? (end.afterMs ?? 0) : 0;
      await this.#pause(Math.max(demanded, backoffMs(attempt++)), demanded, end.error, run.signal);
    }
  }

  /** Waits before the next attempt. Waking up cuts the wait short, but not below what the server demanded. */
  async #pause(ms: number, demanded: number, error: IMError, signal: AbortSignal): Promise<void> {
    const begun = Date.now();
    const cut = new AbortController();
    const stop = () => cut.abort();
    signal.addEventListener('abort', stop);
    this.#wake = () => void sleep(begun + demanded - Date.now(), cut.signal).then(stop);
    this.#set(isOnline(this.host.platform) ? 'waiting' : 'offline', error, begun + ms);
    await sleep(ms, cut.signal);
    this.#wake = undefined;
    cut.abort();
    signal.removeEventListener('abort', stop);
  }

  /** One connection, from the attempt to its end. */
  async #once(
    signal: AbortSignal,
    renew: TokenReason | undefined,
    opened: { online: number; session: boolean },
  ): Promise<Ending> {
    const { host } = this;
    let token: string | undefined;
    try {
      token = await (renew ? host.tokens.renew(renew) : host.tokens.current());
    } catch (e) {
      const error = toIMError(e);
      host.failed(error);
      return error.retryable ? { next: 'retry', error } : { next: 'stop', error, state: 'unauthorized' };
    }
    if (signal.aborted) return lost('closed');

    let socket: SocketLike;
    try {
      socket = socketOf(host.platform, host.url(), 'im.v1.json');
    } catch (e) {
      const error = toIMError(e);
      host.failed(error);
      return { next: 'retry', error };
    }
    const link = new Link(socket, (method, params) => this.#notified(link, method, params));
    const abort = () => link.end(lost('the client was closed'), 1000);
    signal.addEventListener('abort', abort);
    try {
      await link.connected;
      const session = await this.#open(link.rpc, token);
      opened.session = true;
      if (this.session && this.session.user !== session.user) {
        const error = new IMError('conflict', 'the token is of another user: log out first');
        return { next: 'stop', error, state: 'unauthorized' };
      }
      this.session = session;
      this.#set('syncing');
      await host.sync(link.rpc, session);
      opened.online = Date.now();
      this.#rpc = link.rpc;
      this.#wake = () => void this.#probe(link, wakeTimeoutMs).then((alive) => alive && host.woke());
      this.#keepAlive(link);
      this.#set('online');
      host.online(session);
      for (const w of [...this.#waiting]) w.resolve(link.rpc);
      return await link.ended;
    } catch (e) {
      return link.ending ?? endingOf(toIMError(e), opened.session);
    } finally {
      signal.removeEventListener('abort', abort);
      this.#wake = undefined;
      link.end(lost('given up'), 1000);
    }
  }

  async #open(rpc: Rpc, token: string | undefined): Promise<Session> {
    const { appId, client } = this.host;
    const asked = Date.now();
    const params = { appId, device: this.host.device(), client, ...(token === undefined ? {} : { token }) };
    const session = await rpc.call('session.open', params, { timeoutMs: defaultTimeoutMs });
    this.#clock(asked, session.serverTime);
    rpc.limits = { batch: session.limits.batch || 1, frameBytes: session.limits.frameBytes };
    return session;
  }

  /** The server's clock minus ours, as if it was read half way between question and answer. */
  #clock(askedAt: number, serverTime: number): void {
    this.clockOffsetMs = Math.round(serverTime - (askedAt + Date.now()) / 2);
  }

  #notified(link: Link, method: string, params: unknown): void {
    switch (method) {
      case 'reauth':
        void this.#reauth(link.rpc);
        return;
      case 'goaway': {
        const { retryAfterMs } = params as { retryAfterMs: number };
        const error = new IMError('unavailable', 'the server is going away', { retryAfterMs });
        link.away(error);
        return;
      }
      case 'kicked': {
        const { reason } = params as { reason: string };
        const error = new IMError(reason || 'unauthenticated', 'the server ended this session');
        link.end({ next: 'stop', error, state: 'kicked' }, 1000);
        return;
      }
    }
    this.host.notified(method, params);
  }

  /** Renews the credentials on the open connection; where that fails the server closes it in time. */
  async #reauth(rpc: Rpc): Promise<void> {
    if (!this.host.tokens.givenByApp) return;
    try {
      const token = await this.host.tokens.renew('expired');
      this.session = await this.#open(rpc, token);
    } catch (e) {
      this.host.failed(toIMError(e));
    }
  }

  #keepAlive(link: Link): void {
    const next = () => {
      link.timer = setTimeout(
        async () => {
          const idle = Date.now() - link.heardAt;
          if (idle < pingAfterMs || (await this.#probe(link, pingTimeoutMs))) next();
        },
        Math.max(0, link.heardAt + pingAfterMs - Date.now()),
      );
    };
    if (!link.ending) next();
  }

  /** Asks for a sign of life; without one the connection is over. */
  async #probe(link: Link, timeoutMs: number): Promise<boolean> {
    const asked = Date.now();
    try {
      const { serverTime } = await link.rpc.call('ping', {}, { timeoutMs });
      this.#clock(asked, serverTime);
      return !link.ending;
    } catch (e) {
      if (toIMError(e).reason !== 'timeout') return !link.ending; // an answer is a sign of life
      if (link.heardAt > asked) return true;
      link.end(lost('the server gives no sign of life'), 4003);
      return false;
    }
  }

  #stop(run: AbortController | undefined, state: State, error: IMError): void {
    if (run !== this.#run) return;
    this.#run = undefined;
    this.#rpc = undefined;
    this.#set(state, error);
    run?.abort();
    for (const w of [...this.#waiting]) w.reject(error);
  }

  #set(state: State, error?: IMError, retryAtMs?: number): void {
    this.#error = state === 'connecting' || state === 'syncing' ? this.#error : error;
    if (state === this.state) return;
    const change: StateChange = { state, previous: this.state };
    if (error && state !== 'closed') change.error = error;
    if (retryAtMs !== undefined) change.retryAtMs = Math.round(retryAtMs);
    this.state = state;
    this.host.state(change);
  }
}

/** One socket and its end, whoever causes it. */
class Link {
  readonly rpc: Rpc;
  readonly connected: Promise<void>;
  readonly ended: Promise<Ending>;
  ending: Ending | undefined;
  heardAt = Date.now();
  timer: ReturnType<typeof setTimeout> | undefined;
  #resolve!: (e: Ending) => void;

  constructor(
    private readonly socket: SocketLike,
    notified: (method: string, params: unknown) => void,
  ) {
    this.rpc = new Rpc((frame) => this.socket.send(frame), notified);
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.connected = new Promise((resolve, reject) => {
      this.timer = setTimeout(() => this.end(lost('no connection in time'), 1000), connectTimeoutMs);
      socket.onopen = () => {
        clearTimeout(this.timer);
        resolve();
      };
      this.ended.then((e) => reject(e.error));
    });
    socket.onmessage = ({ data }: { data: unknown }) => {
      this.heardAt = Date.now();
      if (typeof data === 'string' && !this.ending) this.rpc.receive(data);
    };
    socket.onclose = ({ code, reason }: { code?: number; reason?: string }) => {
      this.end(this.#farewell ?? endingOfClose(code ?? 1006, reason ?? ''));
    };
    socket.onerror = () => {}; // a close follows
  }

  #farewell: Ending | undefined;

  /** The server will close soon: let it finish what it does. */
  away(error: IMError): void {
    const afterMs = error.retryAfterMs ?? 0;
    this.#farewell = { next: 'retry', error, afterMs };
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.end(this.#farewell as Ending, 1000), goawayGraceMs);
  }

  /** Ends it once. */
  end(ending: Ending, code?: number): void {
    if (this.ending) return;
    this.ending = ending;
    clearTimeout(this.timer);
    if (code !== undefined) {
      try {
        this.socket.close(code);
      } catch {}
    }
    this.#resolve(ending);
    this.rpc.fail(new IMError('offline', ending.error.message, { cause: ending.error }));
  }
}

const lost = (why: string): Ending => ({ next: 'retry', error: new IMError('offline', why) });

/** What a failure before online means for the next attempt. */
function endingOf(error: IMError, opened: boolean): Ending {
  const why = authReasons[error.reason];
  if (why) return { next: 'renew', error, why };
  if (opened || error.retryable) {
    return { next: 'retry', error, ...(error.retryAfterMs ? { afterMs: error.retryAfterMs } : {}) };
  }
  return { next: 'stop', error, state: error.reason === 'session_limit' ? 'kicked' : 'unauthorized' };
}

const expiredCode = 4101;
const tooManyCode = 4202;

/** What a close code means, by its range; see transport.go. */
function endingOfClose(code: number, reason: string): Ending {
  const text = reason || `the connection was closed (${code})`;
  if (code >= 4100 && code < 4200) {
    const expired = code === expiredCode;
    const error = new IMError(expired ? 'token_expired' : 'unauthenticated', text);
    return { next: 'renew', error, why: expired ? 'expired' : 'rejected' };
  }
  if (code >= 4200 && code < 4300) {
    const error = new IMError(code === tooManyCode ? 'session_limit' : 'permission_denied', text);
    return { next: 'stop', error, state: 'kicked' };
  }
  return lost(text);
}
