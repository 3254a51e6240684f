import type { PlatformAdapter } from '../platform.js';
import type { Conversation, Message, OwnResult } from '../protocol.js';
import type { TransportName } from '../transports/conn.js';
import type { TestSession } from './session.js';
/** Where a message goes. */
export type MessageTarget = {
    user: string;
} | {
    conversation: string;
};
/** A member as the double keeps it. */
export interface TestMember {
    user: string;
    role: string;
    own: number;
    seen: number;
    seenAll: number;
    read: number;
    version: number;
    left?: boolean;
}
/** A conversation as the double keeps it. */
export interface Chat {
    head: Conversation;
    messages: Message[];
    members: Map<string, TestMember>;
    version: number;
}
/** What TestServer.http answers. */
export interface HttpAnswer {
    status: number;
    headers?: Record<string, string>;
    body?: string;
}
export type AnyParams = any;
/**
 * A server in memory, for tests of what is built on the SDK. It speaks the
 * protocol over all three transports, as far as the SDK uses it: contiguous seq
 * and rev, idempotent sends, receipts instead of events for the session that
 * sends, sync by versions, compacted changes. What a network and a server do
 * wrong can be made to happen by its fields; each has its effect at once. It
 * keeps time with the timers that it finds: fake ones work.
 *
 *     const server = new TestServer();
 *     const client = new IMClient({
 *       appId: server.appId,
 *       userToken: 'USER_TOKEN', // of the user "me"
 *       endpoint: 'http://chat.test/im',
 *       platform: server.platform(),
 *     });
 *     await client.init();
 *     server.send('bob', { user: 'me' }, 'Hello!'); // the client gets a message
 *     server.cut(); // and comes back
 */
export declare class TestServer {
    /** Nothing reaches the server, as without a network. */
    down: boolean;
    /** Accepts connections and answers nothing. */
    mute: boolean;
    /** What cannot get through, as behind a proxy that does not know it. */
    readonly blocked: Set<TransportName>;
    /** Event streams arrive only when they have ended, as behind a proxy that buffers. */
    buffering: boolean;
    /** An HTTP request for which it returns true is processed, and its answer is lost on the way. */
    loseAnswer: (path: string, headers: Record<string, string>) => boolean;
    /** Answers an HTTP request before anything else does; undefined: goes on; an error that is thrown is a broken connection. */
    http: (path: string, headers: Record<string, string>) => HttpAnswer | undefined;
    /** The app that the clients must name. */
    appId: string;
    /** How far the server's clock is ahead. */
    clockAheadMs: number;
    /** How long a session's credentials are good for. Undefined: for ever. */
    tokenLifeMs: number | undefined;
    epoch: string;
    version: number;
    /** The largest page of sync. */
    syncPage: number;
    /** The id of the request that is being answered. */
    lastId: number;
    /** The code of an error whose reason has none. */
    code: number;
    /** How long a frame travels. */
    latencyMs: number;
    /** Every request, in the order of arrival. */
    readonly requests: Array<{
        op: string;
        params: AnyParams;
        session: TestSession;
    }>;
    /** How many frames the clients sent. */
    frames: number;
    /** How many connections were begun: sockets, streams, first polls. */
    connections: number;
    /** How many HTTP requests came, each path with its count. */
    readonly hits: Record<string, number>;
    /** The open ones. */
    readonly sessions: Set<TestSession>;
    /** Whoever opens a session with the token is this user. */
    readonly tokens: Map<string, string>;
    readonly chats: Map<string, Chat>;
    /** The first message of each clientId, as it was then. */
    readonly accepted: Map<string, Message>;
    /** Looks at an operation first: throw a Refusal, return an answer, or undefined. 'hang' answers never. */
    intercept: (op: string, params: AnyParams, session: TestSession) => unknown;
    /** How much later than usual each copy of an event arrives: [] is lost, [0, 0] is doubled. */
    fate: (method: string) => number[];
    /** An event for which it returns true is lost on the way. */
    lose: (method: string, params: unknown) => boolean;
    /** How often an operation was called. */
    count(op: string): number;
    /** The server's clock, in milliseconds since the epoch. */
    now(): number;
    /** What a client needs to connect to this server and to nothing else. */
    platform(more?: PlatformAdapter): PlatformAdapter;
    /** Ends every connection with a close code; 1006 is a broken one. */
    cut(code?: number, reason?: string): void;
    /** From now on nothing that the server writes to what is open arrives, though it looks open. Answers to POST do. */
    stall(): void;
    /** The id of the direct conversation of two users. */
    direct(a: string, b: string): string;
    /** The conversation with an id. Throws a Refusal where there is none. */
    chat(id: string): Chat;
    /** Makes a conversation; the first user of a group owns it. */
    create(id: string, kind: string, users: string[], title?: string): Chat;
    /** Forgets the messages of a conversation up to a seq, as a server that keeps them for a time does. */
    prune(id: string, seq: number): void;
    /** A conversation as a user sees it. */
    view(c: Chat, user: string): Conversation;
    /** Stores a message of a user and tells everyone but the session origin. */
    send(from: string, to: MessageTarget, text: string, o?: {
        clientId?: string;
        origin?: TestSession;
        mentions?: 'all' | string[];
        flags?: string[];
    }): Message;
    /** Changes the text of a message, and tells everyone. */
    edit(conversation: string, seq: number, text: string): Message;
    /** Moves a user's markers, and tells everyone. */
    mark(conversation: string, user: string, read: number, origin?: TestSession): {
        read: number;
        delivered: number;
        own: number;
        seen: number;
        seenAll: number | undefined;
        unread: number;
    };
    /** A user's own state of a conversation. */
    own(chat: Chat, user: string): OwnResult;
    /** Sends an event to all members' sessions but origin. */
    emit(chat: Chat, method: string, params: unknown, origin?: TestSession): void;
    /** One operation. */
    run(op: string, p: AnyParams, s: TestSession): unknown;
    /** Adds or removes members, and tells everyone. */
    changeMembers(conversation: string, users: string[], add: boolean): {
        results: {
            user: string;
            changed: boolean;
        }[];
        memberRev: number;
    };
    /** The conversation, where the user is a member. Throws a Refusal where he is not. */
    member(conversation: string, user: string): Chat;
}
