import type { Session, State } from './connection.js';
import { ContactsApi } from './contacts.js';
import { ConversationsApi } from './conversations.js';
import { type IMEvents, type IMOptions } from './core.js';
import type { Diagnosis } from './diagnose.js';
import { IMError } from './errors.js';
import { GroupsApi } from './groups.js';
import { MessagesApi } from './messages.js';
import { type SendHandle, type Target } from './outbox.js';
import type { JsonObject, Message, Profile } from './protocol.js';
import type { Operation, Params, Result } from './rpc.js';
import type { TransportName } from './transports/conn.js';
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
export declare class IMClient {
    #private;
    static readonly IMError: typeof IMError;
    static readonly version = "0.1.0";
    readonly messages: MessagesApi;
    readonly conversations: ConversationsApi;
    readonly groups: GroupsApi;
    readonly contacts: ContactsApi;
    constructor(options: IMOptions);
    /**
     * Connects, and stays connected until close() was called as often. Resolves
     * when the client is online; it need not be awaited. Rejects when it never
     * will be: unauthorized, kicked, closed, or the caller stopped waiting.
     */
    init(wait?: Wait): Promise<Session>;
    /**
     * Takes back one init(); the last one disconnects. Nobody waits for what is
     * still to be sent then: its handles reject, and it goes with the next connection.
     */
    close(): Promise<void>;
    /**
     * Ends the session, whoever uses it, and forgets the user: token,
     * conversations, messages, and what was kept. Other tabs that share the
     * connection do so too: they become unauthorized.
     */
    logout(): Promise<void>;
    get state(): State;
    /** What carries the session, once one was opened: that of the tab which has the connection. */
    get transport(): TransportName | null;
    /** Who this client is, once that is known. contacts.profiles tells more. */
    get me(): User | null;
    /** The server's clock minus this one's, as the fastest answer told it: for showing times, never for order. */
    get clockOffsetMs(): number;
    /**
     * Finds out what support would ask: whether there is a way to the server and
     * which, how far the clock is off, what the server thinks of the token, what
     * may be sent. It works in every state, opens no session and takes up to
     * seven seconds where something does not answer. Rejects with offline where
     * the part of the SDK that does it cannot be loaded.
     */
    diagnose(wait?: Wait): Promise<Diagnosis>;
    /** Calls fn for every event of a type. Returns off. */
    on<K extends keyof IMEvents>(type: K, fn: (e: IMEvents[K]) => void, o?: {
        signal?: AbortSignal;
    }): () => void;
    /**
     * Calls fn once for every new message of any conversation, ascending in each:
     * those of others, and mine from other devices. What this client sends itself
     * is told by its handle. Returns off.
     */
    onMessage(fn: (m: Message) => void): () => void;
    /** Sends a text. Before the connection it waits. */
    sendMessage(message: TextMessage): SendHandle;
    /** Not supported yet: the handle rejects. */
    sendImage(_: {
        to: Target;
        file: Blob;
        caption?: string;
    } & Wait): SendHandle;
    /** Not supported yet: it rejects. */
    startVideoCall(_: {
        to: Target;
    } & Wait): Promise<never>;
    /** Calls any operation of the server: the low-level way. */
    call<O extends Operation>(op: O, params: Params<O>, wait?: Wait): Promise<Result<O>>;
}
