import type { JsonObject, Message, SendParams, SendResult } from './protocol.js';

/** The message that a receipt stands for. @internal */
export function messageOf(r: SendResult, p: SendParams, from: string): Message {
  const { message, duplicate, ...place } = r;
  const { to, content, ...rest } = p;
  return message ?? { type: 'text', ...place, ...rest, from, content: content as JsonObject };
}
