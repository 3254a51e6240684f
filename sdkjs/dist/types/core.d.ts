import { type Session, type StateChange } from './connection.js';
import { IMError } from './errors.js';
import { type Outgoing } from './outbox.js';
import { type PlatformAdapter } from './platform.js';
import type { MemberEvent, Message, ReceiptEvent } from './protocol.js';
import { type ConversationsChange, type Gap } from './replica.js';
import { type StorageAdapter } from './storage.js';
import { type TokenReason } from './tokens.js';
import type { TransportName } from './transports/conn.js';
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
    extension: {
        name: string;
        params: unknown;
    };
}
