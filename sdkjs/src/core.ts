import { Cache } from './cache.js';
import { Connection, type ConnectionOwner, type Session, type StateChange } from './connection.js';
import { Profiles } from './contacts.js';
import type { Diagnosis } from './diagnose.js';
import { Emitter } from './emitter.js';
import { urlOf } from './endpoint.js';
import { IMError, toIMError } from './errors.js';
import { deviceId, uuidv7 } from './ids.js';
import { Outbox, type Outgoing } from './outbox.js';
import { isOnline, type PlatformAdapter } from './platform.js';
import type { MemberEvent, Message, ReceiptEvent } from './protocol.js';
import { type ConversationsChange, type Gap, Replica } from './replica.js';
import type { Operation, Params, Result } from './rpc.js';
import { type StorageAdapter, Store } from './storage.js';
import { Tabs } from './tabs.js';
import { type TokenReason, Tokens } from './tokens.js';
import { Choice } from './transports/choice.js';
import type { TransportName } from './transports/conn.js';
import { version } from './version.js';
import { guard, later, retrying, type Wait, Watched } from './wait.js';

/** What the SDK has to say to a developer. It never contains tokens or messages. */
export interface Logger {
  warn(text: string, detail?: unknown): void;
  error(text: string, detail?: unknown): void;
}

/** What a client needs to know. */
export interface IMOptions {
  /** The server's Config.AppID. */
  appId: string;
  /** Says who the user is. Without it, and without getToken, the host's cookie does. */
  userToken?: string;
  /** Finds a token: the first one where there is no userToken, and a new one when it ends or is refused. */
  getToken?(why: TokenReason): Promise<string>;
  /**
   * Who the user is, where the page knows: then what was kept is there before
   * the server has said who it is, and without the server. A session of another
   * user is refused with the reason conflict.
   */
  user?: string;
  /**
   * Where messages that are still to be sent, and a cache of conversations, are
   * kept. "auto", the default: in IndexedDB, in memory where there is none.
   */
  storage?: 'auto' | 'memory' | StorageAdapter;
  /** Where the server is mounted: "https://host/im". Defaults to where this script came from. */
  endpoint?: string | URL;
  /**
   * How to connect. 'auto' takes WebSocket; where something on the way blocks
   * it, server-sent events with POST ('sse'), and where that is held back, long
   * polling ('poll'). All do the same. Defaults to 'auto'.
   */
  transport?: 'auto' | TransportName;
  /**
   * Whether the tabs of one user, endpoint and app share one connection: one of
   * them has it, and when it is closed or falls silent another takes over.
   * 'separate': each has its own. Defaults to 'shared', where the browser has
   * Web Locks and BroadcastChannel.
   */
  tabs?: 'shared' | 'separate';
  /** For surroundings that are no browser. */
  platform?: PlatformAdapter;
  /** Defaults to the console. */
  logger?: Logger;
}

/** How far a synchronisation has come. */
export interface SyncProgress {
  /** How many pages have come, and how many conversations in them. */
  pages: number;
  rows: number;
  /** It was the last one. How many are still to come nobody knows. */
  done: boolean;
}

/** The events of a client. */
export interface IMEvents {
  /** The state changed. */
  state: StateChange;
  /** Another transport is used now, or the first. */
  transport: TransportName;
  /** A page of what changed since last time has come: after each connection, and every now and then. */
  syncing: SyncProgress;
  /** A session was opened, the first time or again. */
  session: Session;
  /** A message came; see onMessage. */
  message: Message;
  /** A message that was told before has a new state: edited, recalled. */
  messageChanged: Message;
  /** The list of conversations, or something in it, changed. */
  conversations: ConversationsChange;
  /** A message of ours has a new status. */
  outgoing: Outgoing;
  /** Somebody's markers moved. */
  receipt: ReceiptEvent;
  /** The members of a conversation changed. */
  member: MemberEvent;
  /** The client was away for too long: message was not emitted for these. */
  gap: Gap;
  /** Something failed and nobody was waiting for it. */
  error: IMError;
  /** An event of an extension of the server. */
  extension: { name: string; params: unknown };
}

const resyncMs = 5 * 60_000;

/** Whose data is kept. Another one begins when the user is known again after logout. @internal */
export interface Owner {
  user: string;
  /** What the keys begin with: no prefix of another owner's. */
  prefix: string;
  /** What was kept is here. */
  ready: Promise<void>;
}

/** What the parts of a client share. @internal */
export class Core implements ConnectionOwner {
  readonly emitter = new Emitter<IMEvents>((e) => this.logger.error('IMClient: a listener failed', e));
  readonly connection = new Connection(this);
  readonly replica = new Replica(this);
  readonly outbox = new Outbox(this);
  readonly profiles = new Profiles(this);
  readonly cache = new Cache(this);
  readonly store: Store;
  /** Undefined until it is known who the user is. */
  owner: Owner | undefined;
  readonly client = `h5im-js/${version}`;
  readonly appId: string;
  readonly tokens: Tokens;
  readonly choice: Choice;
  readonly tabs: Tabs;
  readonly platform: PlatformAdapter;
  readonly logger: Logger;
  readonly #told = new WeakSet<IMError>();
  readonly #endpoint: string | URL | undefined;
  /** Who the application says the user is. */
  #named: string | undefined;
  #resync: ReturnType<typeof setTimeout> | undefined;
  #device: string | undefined;

  constructor(o: IMOptions) {
    if (!o?.appId) throw new IMError('invalid_argument', 'appId is needed');
    this.appId = o.appId;
    this.#endpoint = o.endpoint;
    this.#named = o.user;
    this.store = new Store(this, o.storage);
    this.platform = o.platform ?? {};
    this.logger = o.logger ?? globalThis.console;
    this.choice = new Choice(o.transport, this.platform);
    this.tabs = new Tabs(this, o.tabs !== 'separate');
    this.tokens = new Tokens(o.userToken, o.getToken?.bind(o));
  }

  /** Calls an operation for an application, which may ignore the answer. */
  readonly ask = <O extends Operation, T = Result<O>>(
    op: O,
    params: Params<O>,
    wait?: Wait,
    use?: (r: Result<O>) => T,
  ): Promise<T> => this.watched(this.connection.call(op, params, wait, use));

  readonly newId = (): string => uuidv7(this.platform);

  readonly device = (): string => {
    this.#device ??= deviceId(this.platform);
    return this.#device;
  };

  url(path: string): string {
    return urlOf(this.#endpoint, path, this.appId, this.platform);
  }

  token(): string | undefined {
    return this.tokens.current;
  }

  readonly me = (): string => this.connection.session?.user ?? this.owner?.user ?? '';

  /** Finds what was kept of the user, as soon as it is known who that is. */
  async identify(user = this.#named): Promise<void> {
    if (user === undefined) return;
    const known = this.owner?.user ?? this.#named ?? user;
    if (known !== user) {
      this.connection.session = null;
      throw new IMError('conflict', 'the session is of another user');
    }
    this.owner ??= this.#own(user);
    const { owner } = this;
    await owner.ready;
    if (this.owner === owner) await this.outbox.claim(owner);
  }

  /** JSON, so that none is the beginning of another. */
  prefix(user: string): string {
    return JSON.stringify([this.url('').replace(/\/\?.*/, ''), this.appId, user]);
  }

  #own(user: string): Owner {
    const owner: Owner = { user, prefix: this.prefix(user), ready: Promise.resolve() };
    const isCurrent = () => this.owner === owner;
    const restore = async () => {
      await this.cache.restore(isCurrent);
      for (const t of this.replica.timelines) void t.restore();
    };
    owner.ready = Promise.resolve().then(restore);
    return owner;
  }

  /** A promise that a caller may ignore: its error is then told here. */
  watched<T>(promise: Promise<T>): Promise<T> {
    return Watched.of(promise, (e) => this.failed(toIMError(e)));
  }

  /** What several wait for, each for as long as he likes. */
  shared<T>(promise: Promise<T>, wait: Wait): Promise<T> {
    promise.catch(() => {}); // there may be nobody left
    const late = () => new IMError('timeout', 'not in time');
    return this.watched(guard<T>(wait, late, (resolve, reject) => void promise.then(resolve, reject)));
  }

  /** Something failed and nobody was waiting for it. */
  failed(e: IMError): void {
    // One cause may fail many; and what the application gave up itself is no news.
    if (this.#told.has(e) || e.reason === 'aborted') return;
    this.#told.add(e);
    this.logger.warn(`IMClient: ${e.reason}: ${e.message}`, e.detail);
    this.emitter.emit('error', e);
  }

  /** Asks what changed: what was lost before a silence is found here at the latest. */
  resync(): void {
    const { rpc, session } = this.connection;
    if (!rpc || !session) return;
    this.#resyncLater();
    const sync = async () => this.connection.rpc === rpc && this.replica.sync(rpc, session);
    retrying(sync).catch((e) => this.failed(toIMError(e)));
  }

  async diagnose(): Promise<Diagnosis> {
    const { choice, connection, platform, tokens } = this;
    const { diagnose } = await choice.load();
    const rttMs = await connection.rttMs({ timeoutMs: 5_000 });
    const { state, transport, session, error, isClockKnown } = connection;
    const clockOffsetMs = isClockKnown ? connection.clockOffsetMs : undefined;
    const hasToken = !!(tokens.current || tokens.getToken);
    const known = { state, transport, session, clockOffsetMs, error, rttMs, hasToken };
    return diagnose(this, { ...known, isOnline: isOnline(platform) });
  }

  /** Forgets whatever belongs to the user, here and where it was kept. */
  async forget(): Promise<void> {
    const prefix = this.owner?.prefix ?? (this.#named && this.prefix(this.#named));
    this.owner = this.#named = undefined;
    this.tokens.forget();
    this.connection.session = null;
    this.outbox.clear();
    this.cache.clear();
    this.replica.clear();
    this.profiles.clear();
    if (prefix) await this.store.wipe(prefix);
  }

  /** The user signed out in another tab. */
  signedOut(): void {
    void this.forget(); // first: nothing is stored again
    this.connection.stop('unauthorized', new IMError('unauthenticated', 'signed out in another tab'));
  }

  /** The connection's state is another. */
  stateChanged(change: StateChange): void {
    const { over } = this.connection;
    this.tabs.stateChanged(change);
    if (change.state === 'connecting') this.identify().catch(() => {}); // it is told by the connection
    if (change.state !== 'online') {
      clearTimeout(this.#resync);
      this.replica.disconnected();
      this.cache.save(); // without a connection the next page shows nothing else
    }
    if (over) {
      this.outbox.close(over);
      if (change.error) this.failed(over);
    }
    this.emitter.emit('state', change);
  }

  transportChanged(name: TransportName): void {
    this.emitter.emit('transport', name);
  }

  /** The client has caught up. */
  online(session: Session): void {
    this.#resyncLater();
    this.emitter.emit('session', session);
    for (const t of this.replica.timelines) t.retry();
    this.outbox.flush();
  }

  /** An event that is none of the connection's. */
  notified(name: string, params: unknown): void {
    try {
      if (!this.replica.event(name, params)) this.emitter.emit('extension', { name, params });
    } catch (e) {
      this.logger.error(`IMClient: bad event ${name}`, e); // its neighbours are not
    }
  }

  /** A message of ours has a new status. */
  outgoing(o: Outgoing): void {
    for (const t of this.replica.timelines) t.changed();
    this.emitter.emit('outgoing', o);
  }

  #resyncLater(): void {
    clearTimeout(this.#resync);
    this.#resync = later(resyncMs * (0.75 + Math.random() / 2), () => this.resync());
  }
}
