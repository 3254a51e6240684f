import type { Session, State } from './connection.js';
import { ContactsApi } from './contacts.js';
import { ConversationsApi } from './conversations.js';
import { Core, type IMEvents, type IMOptions } from './core.js';
import type { Diagnosis } from './diagnose.js';
import { IMError } from './errors.js';
import { GroupsApi } from './groups.js';
import { MessagesApi } from './messages.js';
import { type SendHandle, type Target, targetOf } from './outbox.js';
import type { JsonObject, Message, Profile } from './protocol.js';
import type { Operation, Params, Result } from './rpc.js';
import type { TransportName } from './transports/conn.js';
import { version } from './version.js';
import type { Wait } from './wait.js';

/** A user. */
export type User = Profile;

/** A text message to send. */
export interface TextMessage extends Wait {
  /** A user's id, {user} or {conversation}. */
  to: Target;
  content: string;
  /** The message of the same conversation that this one answers. */
  replyTo?: number | Pick<Message, 'seq'>;
  mentions?: string[] | 'all';
  /** The application's own. */
  ext?: JsonObject;
}

/** One user's chat with one server. */
export class IMClient {
  static readonly IMError = IMError;
  static readonly version = version;
  readonly messages: MessagesApi;
  readonly conversations: ConversationsApi;
  readonly groups: GroupsApi;
  readonly contacts: ContactsApi;
  readonly #core: Core;
  #uses = 0;

  constructor(options: IMOptions) {
    this.#core = new Core(options);
    this.messages = new MessagesApi(this.#core);
    this.conversations = new ConversationsApi(this.#core);
    this.groups = new GroupsApi(this.#core);
    this.contacts = new ContactsApi(this.#core);
  }

  /**
   * Connects, and stays connected until close() was called as often. Resolves
   * when the client is online; it need not be awaited. Rejects when it never
   * will be: unauthorized, kicked, closed, or the caller stopped waiting.
   */
  init(wait: Wait = {}): Promise<Session> {
    this.#uses++;
    const { connection } = this.#core;
    connection.start();
    return this.#core.watched(connection.ready(wait).then(() => connection.session as Session));
  }

  /**
   * Takes back one init(); the last one disconnects. Nobody waits for what is
   * still to be sent then: its handles reject, and it goes with the next connection.
   */
  async close(): Promise<void> {
    this.#uses = Math.max(0, this.#uses - 1);
    await Promise.resolve(); // an init() in the same breath keeps the connection
    if (this.#uses === 0 && this.state !== 'closed') this.#core.connection.stop();
  }

  /**
   * Ends the session, whoever uses it, and forgets the user: token,
   * conversations, messages, and what was kept. Other tabs that share the
   * connection do so too: they become unauthorized.
   */
  async logout(): Promise<void> {
    this.#uses = 0;
    const { connection } = this.#core;
    await connection.rpc?.call('session.close', {}, { timeoutMs: 2_000 }).catch(() => {});
    this.#core.tabs.logout();
    connection.stop();
    await this.#core.forget();
  }

  get state(): State {
    return this.#core.connection.state;
  }

  /** What carries the session, once one was opened: that of the tab which has the connection. */
  get transport(): TransportName | null {
    return this.#core.connection.transport;
  }

  /** Who this client is, once that is known. contacts.profiles tells more. */
  get me(): User | null {
    const id = this.#core.me();
    return id ? (this.contacts.peek(id) ?? { id }) : null;
  }

  /** The server's clock minus this one's, as the fastest answer told it: for showing times, never for order. */
  get clockOffsetMs(): number {
    return this.#core.connection.clockOffsetMs;
  }

  /**
   * Finds out what support would ask: whether there is a way to the server and
   * which, how far the clock is off, what the server thinks of the token, what
   * may be sent. It works in every state, opens no session and takes up to
   * seven seconds where something does not answer. Rejects with offline where
   * the part of the SDK that does it cannot be loaded.
   */
  diagnose(wait: Wait = {}): Promise<Diagnosis> {
    return this.#core.shared(this.#core.diagnose(), wait);
  }

  /** Calls fn for every event of a type. Returns off. */
  on<K extends keyof IMEvents>(
    type: K,
    fn: (e: IMEvents[K]) => void,
    o: { signal?: AbortSignal } = {},
  ): () => void {
    return this.#core.emitter.on(type, fn, o.signal);
  }

  /**
   * Calls fn once for every new message of any conversation, ascending in each:
   * those of others, and mine from other devices. What this client sends itself
   * is told by its handle. Returns off.
   */
  onMessage(fn: (m: Message) => void): () => void {
    return this.on('message', fn);
  }

  /** Sends a text. Before the connection it waits. */
  sendMessage(message: TextMessage): SendHandle {
    const { to, content, replyTo, mentions, ext, signal, timeoutMs } = message;
    const params = {
      to: targetOf(to),
      content: { text: content },
      replyTo: typeof replyTo === 'object' ? replyTo.seq : replyTo,
      mentions,
      ext,
    };
    return this.#core.outbox.send(params, { signal, timeoutMs });
  }

  /** Not supported yet: the handle rejects. */
  sendImage(_: { to: Target; file: Blob; caption?: string } & Wait): SendHandle {
    return this.#core.outbox.refuse(unsupported('images'));
  }

  /** Not supported yet: it rejects. */
  startVideoCall(_: { to: Target } & Wait): Promise<never> {
    return this.#core.watched(Promise.reject(unsupported('calls')));
  }

  /** Calls any operation of the server: the low-level way. */
  call<O extends Operation>(op: O, params: Params<O>, wait?: Wait): Promise<Result<O>> {
    return this.#core.ask(op, params, wait);
  }
}

const unsupported = (what: string) => new IMError('unsupported', `no ${what} yet`);
