export { Refusal } from './refusal.js';
export { type AnyParams, type Chat, type HttpAnswer, type MessageTarget, type TestMember, TestServer, } from './server.js';
export type { Carrier, TestRequest, TestSession } from './session.js';
