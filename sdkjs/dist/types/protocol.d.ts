/** A value that JSON can carry. */
export type Json = null | boolean | number | string | Json[] | {
    [key: string]: Json;
};
/** A JSON object. */
export type JsonObject = {
    [key: string]: Json;
};
export interface ChangesParams {
    conversation: string;
    limit?: number;
    rev: number;
    within?: Array<[number, number]>;
}
export interface ChangesResult {
    conversation?: Conversation;
    messages: Message[];
    more: boolean;
    reset?: boolean;
    rev: number;
}
export interface CloseEvent {
    code: number;
    reason: string;
}
export interface Conversation {
    allCount?: number;
    archived?: boolean;
    count: number;
    createdAt?: number;
    creator?: string;
    draft?: string;
    ext?: JsonObject;
    firstSeq?: number;
    id: string;
    kind: string;
    lastMessage?: Message;
    left?: boolean;
    markers?: Marker[];
    memberRev: number;
    members: number;
    mentionsUnread: number;
    muteUntil?: number;
    own: number;
    peer?: string;
    readSeq: number;
    rev: number;
    role?: string;
    seen: number;
    seenAll?: number;
    seq: number;
    starred?: boolean;
    title?: string;
    unread: number;
}
export interface ConversationParams {
    conversation: string;
}
export interface CreateParams {
    clientId?: string;
    ext?: JsonObject;
    id?: string;
    kind: string;
    members?: string[];
    title?: string;
}
export type Empty = Record<string, never>;
export interface GapEvent {
    conversation?: string;
    rev?: number;
}
export interface GoawayEvent {
    retryAfterMs: number;
}
export interface KickedEvent {
    reason: string;
}
export interface Limits {
    batch: number;
    contentBytes: number;
    frameBytes: number;
    maxPage: number;
    members: number;
    membersPerCall: number;
    mentions: number;
    newDirectPeersPerHour: number;
    page: number;
    sessionsPerUser: number;
    titleBytes: number;
}
export interface ListParams {
    after?: number;
    around?: number;
    before?: number;
    conversation: string;
    limit?: number;
}
export interface ListResult {
    firstSeq: number;
    from: number;
    messages: Message[];
    more: boolean;
    rev: number;
    to: number;
}
export interface MarkParams {
    conversation: string;
    delivered?: number;
    read?: number;
}
export interface MarkResult {
    delivered: number;
    own: number;
    read: number;
    seen: number;
    seenAll?: number;
    unread: number;
}
export interface Marker {
    delivered: number;
    read: number;
    user: string;
}
export interface MarkersParams {
    conversation: string;
    cursor?: string;
    limit?: number;
}
export interface MarkersResult {
    cursor?: string;
    markers: Marker[];
    more?: boolean;
}
export interface Member {
    joinedAt: number;
    left?: boolean;
    profile?: Profile;
    rev: number;
    role: string;
    user: string;
}
export interface MemberEvent {
    changed: Member[];
    conversation: string;
    memberRev: number;
    members: number;
}
export interface MemberListParams {
    conversation: string;
    cursor?: string;
    limit?: number;
    since?: number;
}
export interface MemberListResult {
    cursor?: string;
    memberRev: number;
    members: Member[];
}
export interface MemberParams {
    conversation: string;
    users: string[];
}
export interface MemberResult {
    changed: boolean;
    reason?: string;
    user: string;
}
export interface MemberResults {
    memberRev: number;
    results: MemberResult[];
}
export interface Message {
    allCount?: number;
    clientId: string;
    content: JsonObject;
    conversation: string;
    count: number;
    editedAt?: number;
    expiresAt?: number;
    ext?: JsonObject;
    flags?: string[];
    from: string;
    id: string;
    mentions?: "all" | string[];
    recalled?: Recall;
    replyTo?: number;
    rev: number;
    seq: number;
    time: number;
    type: string;
}
export interface OpenParams {
    appId: string;
    client?: string;
    device: string;
    token?: string;
}
export interface OpenResult {
    device: string;
    epoch: string;
    expiresAt?: number;
    features: string[];
    limits: Limits;
    serverTime: number;
    session: string;
    user: string;
}
export interface OwnParams {
    conversation: string;
    own?: number;
}
export interface OwnResult {
    archived?: boolean;
    conversation: string;
    draft?: string;
    hidden?: number[];
    mentionsUnread: number;
    muteUntil?: number;
    own: number;
    readSeq: number;
    seen: number;
    seenAll?: number;
    starred?: boolean;
    unread: number;
}
export interface PingResult {
    serverTime: number;
}
export interface Profile {
    avatar?: string;
    ext?: JsonObject;
    id: string;
    name?: string;
}
export interface ReauthEvent {
    graceMs: number;
}
export interface Recall {
    at: number;
    by: string;
    reason?: string;
}
export interface ReceiptEvent {
    conversation: string;
    delivered: number;
    read: number;
    user: string;
}
export interface RevokeParams {
    device?: string;
    others?: boolean;
    session?: string;
}
export interface RevokeResult {
    closed: number;
}
export interface SendParams {
    clientId: string;
    content: string | JsonObject;
    ext?: JsonObject;
    flags?: string[];
    mentions?: "all" | string[];
    replyTo?: number;
    to: string | Target;
    type?: string;
}
export interface SendResult {
    allCount?: number;
    conversation: string;
    count: number;
    duplicate?: boolean;
    id: string;
    message?: Message;
    rev: number;
    seq: number;
    time: number;
}
export interface Session {
    address?: string;
    client?: string;
    current?: boolean;
    device: string;
    session: string;
    since: number;
    transport: string;
}
export interface SessionsResult {
    sessions: Session[];
}
export interface SkipEvent {
    conversation: string;
    rev: number;
}
export interface SyncParams {
    cursor?: string;
    limit?: number;
}
export interface SyncResult {
    conversations: Conversation[];
    cursor: string;
    more: boolean;
    reset?: boolean;
}
export interface Target {
    conversation?: string;
    user?: string;
}
export interface UsersParams {
    users: string[];
}
export interface UsersResult {
    profiles: Profile[];
}
/** The operations: what a client may call, by name. */
export interface Operations {
    /** Opens the session, or renews the credentials of one that is open. Nothing else is answered before it. */
    "session.open": {
        params: OpenParams;
        result: OpenResult;
    };
    /** Ends the session. The connection closes after the answer. */
    "session.close": {
        params: Empty;
        result: Empty;
    };
    /** Answers the caller's sessions on all nodes, newest first. */
    "session.list": {
        params: Empty;
        result: SessionsResult;
    };
    /** Ends others of the caller's sessions, on all nodes. Their clients do not come back by themselves. */
    "session.revoke": {
        params: RevokeParams;
        result: RevokeResult;
    };
    /** Answers the server's time. */
    "ping": {
        params: Empty;
        result: PingResult;
    };
    /** Answers the profiles of people who share a conversation with the caller. */
    "user.get": {
        params: UsersParams;
        result: UsersResult;
    };
    /** Stores a message and answers its receipt once it is durable. A repetition with the same clientId answers the first receipt and stores nothing. */
    "message.send": {
        params: SendParams;
        result: SendResult;
    };
    /** Answers a page of messages, ascending by seq. */
    "message.list": {
        params: ListParams;
        result: ListResult;
    };
    /** Answers what changed in a conversation since a rev, ascending by rev: each message once, in its last state. */
    "message.changes": {
        params: ChangesParams;
        result: ChangesResult;
    };
    /** Answers which conversations changed since a cursor, newest first. The only source of cursors. */
    "sync": {
        params: SyncParams;
        result: SyncResult;
    };
    /** Makes a group, or answers the direct conversation with a user, making it if there is none. */
    "conversation.create": {
        params: CreateParams;
        result: Conversation;
    };
    /** Answers a conversation as the caller sees it. */
    "conversation.get": {
        params: ConversationParams;
        result: Conversation;
    };
    /** Answers the caller's own state of a conversation. */
    "conversation.own": {
        params: OwnParams;
        result: OwnResult;
    };
    /** Answers how far the members have come, page by page. */
    "conversation.markers": {
        params: MarkersParams;
        result: MarkersResult;
    };
    /** Moves the caller's markers forward. They never move back and are clamped to the newest message. */
    "conversation.mark": {
        params: MarkParams;
        result: MarkResult;
    };
    /** Answers the members, or what changed in the list since a memberRev. */
    "member.list": {
        params: MemberListParams;
        result: MemberListResult;
    };
    /** Adds users to a group. */
    "member.add": {
        params: MemberParams;
        result: MemberResults;
    };
    /** Removes users from a group: an owner anyone, others themselves. The last owner stays. */
    "member.remove": {
        params: MemberParams;
        result: MemberResults;
    };
}
/** The events that a server sends, by name. */
export interface ServerEvents {
    message: Message;
    member: MemberEvent;
    conversation: Conversation;
    self: OwnResult;
    receipt: ReceiptEvent;
    skip: SkipEvent;
    gap: GapEvent;
    reauth: ReauthEvent;
    goaway: GoawayEvent;
    kicked: KickedEvent;
    close: CloseEvent;
}
