import { Connection, type Session, type State, type StateChange } from './connection.js';
import { Profiles } from './contacts.js';
import { Emitter } from './emitter.js';
import { socketUrl } from './endpoint.js';
import { IMError, toIMError } from './errors.js';
import { deviceId, uuidv7 } from './ids.js';
import { Outbox, type Outgoing } from './outbox.js';
import type { PlatformAdapter } from './platform.js';
import type { MemberEvent, Message, ReceiptEvent } from './protocol.js';
import { type ConversationsChange, type Gap, Replica } from './replica.js';
import type { Operation, Params, Result } from './rpc.js';
import { Timeline } from './timeline.js';
import { type TokenReason, Tokens } from './tokens.js';
import { version } from './version.js';
import { type Wait, Watched } from './wait.js';

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
  /** Where the server is mounted: "https://host/im". Defaults to where this script came from. */
  endpoint?: string | URL;
  /** For surroundings that are no browser. */
  platform?: PlatformAdapter;
  /** Defaults to the console. */
  logger?: Logger;
}

/** The events of a client. */
export interface IMEvents {
  /** The state changed. */
  state: StateChange;
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

/** What the parts of a client share. @internal */
export class Core {
  readonly emitter = new Emitter<IMEvents>((e) => this.logger.error('a listener failed', e));
  readonly connection: Connection;
  readonly replica: Replica;
  readonly outbox: Outbox;
  readonly profiles: Profiles;
  readonly tokens: Tokens;
  readonly platform: PlatformAdapter;
  readonly logger: Logger;
  #resync: ReturnType<typeof setTimeout> | undefined;
  #device: string | undefined;

  constructor(o: IMOptions) {
    if (!o?.appId) throw new IMError('invalid_argument', 'appId is needed');
    this.platform = o.platform ?? {};
    this.logger = o.logger ?? {
      warn: (text, detail) => console.warn(`IMClient: ${text}`, detail),
      error: (text, detail) => console.error(`IMClient: ${text}`, detail),
    };
    this.tokens = new Tokens(o.userToken, o.getToken?.bind(o));
    const me = () => this.connection.session?.user ?? '';
    this.connection = new Connection({
      url: () => socketUrl(o.endpoint, o.appId, this.platform),
      appId: o.appId,
      client: `h5im-js/${version}`,
      device: () => {
        this.#device ??= deviceId(this.platform);
        return this.#device;
      },
      tokens: this.tokens,
      platform: this.platform,
      state: (change) => this.#state(change),
      sync: (rpc, session) => this.replica.sync(rpc, session),
      online: (session) => this.#online(session),
      notified: (name, params) => {
        if (!this.replica.event(name, params)) this.emitter.emit('extension', { name, params });
      },
      woke: () => this.resync(),
      failed: (e) => this.failed(e),
    });
    this.replica = new Replica({
      me,
      call: this.call,
      sentHere: (clientId) => this.outbox.sentHere(clientId),
      placed: (clientId) => this.outbox.placed(clientId),
      listening: () => this.emitter.has('message'),
      message: (m) => this.emitter.emit('message', m),
      changed: (m) => this.emitter.emit('messageChanged', m),
      conversations: (c) => this.emitter.emit('conversations', c),
      event: (type, e) => this.emitter.emit(type, e as never),
      gap: (g) => this.emitter.emit('gap', g),
      lost: () => this.resync(),
    });
    this.outbox = new Outbox({
      me,
      rpc: () => this.connection.rpc,
      conversation: (to) => {
        const { user, conversation } = typeof to === 'string' ? { user: to, conversation: undefined } : to;
        return conversation ?? this.replica.withPeer(user ?? '') ?? `@${user}`;
      },
      acknowledged: (r, m) => this.replica.step(r.conversation, { rev: r.rev, message: m }),
      changed: (outgoing) => this.#outgoing(outgoing),
      failed: (e) => this.failed(e),
      contentBytes: () => this.connection.session?.limits.contentBytes,
    });
    this.profiles = new Profiles((users) => this.call('user.get', { users }));
  }

  get state(): State {
    return this.connection.state;
  }

  readonly call = <O extends Operation>(op: O, params: Params<O>, wait?: Wait): Promise<Result<O>> =>
    this.connection.call(op, params, wait);

  readonly newId = (): string => uuidv7(this.platform);

  /** A promise that a caller may ignore: its error is then told here. */
  watched<T>(promise: Promise<T>): Promise<T> {
    return Watched.of(promise, (e) => this.failed(toIMError(e)));
  }

  /** Something failed and nobody was waiting for it. */
  failed(e: IMError): void {
    this.logger.warn(`${e.reason}: ${e.message}`, e.detail);
    this.emitter.emit('error', e);
  }

  timeline(conversation: string): Timeline {
    const { timelines } = this.replica;
    const t: Timeline = new Timeline(conversation, {
      list: (params, wait) => this.call('message.list', params, wait),
      me: () => this.connection.session?.user ?? '',
      outgoing: (id) => this.outbox.of(id),
      closed: (closed) => {
        const set = timelines.get(conversation);
        set?.delete(closed);
        if (set?.size === 0) timelines.delete(conversation);
      },
      failed: (e) => this.failed(e),
      listenerFailed: (e) => this.logger.error('a listener failed', e),
    });
    timelines.set(conversation, (timelines.get(conversation) ?? new Set()).add(t));
    return t;
  }

  /** Asks what changed: what was lost before a silence is found here at the latest. */
  resync(): void {
    const { rpc, session } = this.connection;
    if (!rpc || !session) return;
    this.#resyncLater();
    this.replica.sync(rpc, session).catch((e) => {
      if (toIMError(e).reason !== 'offline') this.failed(toIMError(e));
    });
  }

  /** Ends everything; what is known stays. */
  close(): void {
    clearTimeout(this.#resync);
    this.connection.stop();
    this.outbox.close(new IMError('aborted', 'the client was closed'));
  }

  /** Forgets whatever belongs to the user. */
  forget(): void {
    this.tokens.forget();
    this.connection.session = null;
    this.outbox.clear();
    this.replica.clear();
    this.profiles.clear();
  }

  #resyncLater(): void {
    clearTimeout(this.#resync);
    this.#resync = setTimeout(() => this.resync(), resyncMs * (0.75 + Math.random() / 2));
  }

  #state(change: StateChange): void {
    if (change.previous === 'online' || change.previous === 'syncing') {
      clearTimeout(this.#resync);
      if (change.state !== 'online') {
        this.outbox.disconnected();
        this.replica.disconnected();
      }
    }
    if (change.state === 'unauthorized' || change.state === 'kicked') {
      this.outbox.close(change.error as IMError);
      this.failed(change.error as IMError);
    }
    this.emitter.emit('state', change);
  }

  #online(session: Session): void {
    this.#resyncLater();
    this.emitter.emit('session', session);
    for (const set of this.replica.timelines.values()) for (const t of set) t.retry();
    this.outbox.flush();
  }

  #outgoing(o: Outgoing): void {
    for (const set of this.replica.timelines.values()) for (const t of set) t.changed();
    this.emitter.emit('outgoing', o);
  }
}
