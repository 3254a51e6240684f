export { IMClient, type TextMessage, type User } from './client.js';
export type { Session, State, StateChange } from './connection.js';
export type { ContactsApi } from './contacts.js';
export type { ConversationsApi } from './conversations.js';
export type { IMEvents, IMOptions, Logger, SyncProgress } from './core.js';
export type { ClockWords, Diagnosis, TokenDiagnosis } from './diagnose.js';
export { clientReasons, type ErrorDetail, IMError, type Reason, serverReasons } from './errors.js';
export type { Fallbacks } from './fallbacks.js';
export type { GroupsApi } from './groups.js';
export { indexedDBStorage } from './idb.js';
export type { MessagesApi } from './messages.js';
export type { CancelResult, Outgoing, SendHandle, SendStatus, Target } from './outbox.js';
export type {
  ChannelLike,
  FetchInit,
  FetchLike,
  KeyValueStorage,
  LocksLike,
  PlatformAdapter,
  ResponseLike,
  SocketLike,
} from './platform.js';
export type {
  Conversation,
  Json,
  JsonObject,
  Limits,
  ListResult,
  Marker,
  Member,
  MemberEvent,
  MemberResult,
  Message,
  Operations,
  OwnResult,
  Profile,
  ReceiptEvent,
  ServerEvents,
} from './protocol.js';
export type { ConversationsChange, Gap } from './replica.js';
export type { Operation, Params, Result } from './rpc.js';
export { memoryStorage, type StorageAdapter, type StorageChange } from './storage.js';
export type { GapItem, Timeline, TimelineItem } from './timeline.js';
export type { TokenReason } from './tokens.js';
export type { Conn, ConnEvents, Dial, Dialing, TransportName } from './transports/conn.js';
export type { Way } from './transports/probe.js';
export { version } from './version.js';
export type { Wait } from './wait.js';
