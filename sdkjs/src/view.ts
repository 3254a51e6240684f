import type { Conversation, MarkResult, Message, OwnResult } from './protocol.js';

// How what a server tells of a conversation is joined with what is known: head,
// member list and own state have a revision each, and the newer one stays.

type Field = keyof Conversation;
type Marker = NonNullable<Conversation['markers']>[number];

const headFields: Field[] = ['rev', 'seq', 'count', 'title', 'ext'];
const memberFields: Field[] = ['memberRev', 'members', 'role'];
const ownFields: Field[] = ['own', 'seen', 'readSeq', 'starred', 'archived', 'muteUntil', 'draft'];
/** What an older answer must not turn back. */
const growing = ['seq', 'count', 'seen', 'readSeq'] as const;

/**
 * c with these fields of other, absent ones included; what only grows does not
 * shrink below floor, and unread is by the one formula: the head's count minus
 * the count seen. Not more of these than all of them mention the reader.
 */
function take(
  c: Conversation,
  other: Partial<Conversation>,
  fields: readonly Field[],
  floor = c,
): Conversation {
  const next: Record<string, unknown> = { ...c };
  for (const f of fields) {
    if (other[f] === undefined) delete next[f];
    else next[f] = other[f];
  }
  const merged = next as unknown as Conversation;
  for (const f of growing) merged[f] = Math.max(merged[f] ?? 0, floor[f]);
  merged.unread = Math.max(0, merged.count - merged.seen);
  merged.mentionsUnread = Math.min(merged.mentionsUnread, merged.unread);
  return merged;
}

/** My own state as it was when the head counted so many; the mentions are of then. */
function takeOwn(c: Conversation, o: OwnResult | Conversation, count: number, floor = c): Conversation {
  if (o.own < c.own) return c;
  return take(c, o, count < c.count ? ownFields : [...ownFields, 'mentionsUnread'], floor);
}

/** The newer of two messages, by place and then by rev. */
const newest = (a: Message | undefined, b: Message) =>
  !a || b.seq > a.seq || (b.seq === a.seq && b.rev >= a.rev) ? b : a;

/** A row of sync, an answer or an event. @internal */
export function mergeRow(c: Conversation, row: Conversation): Conversation {
  const isNewer = row.rev >= c.rev;
  let next = take(c, row, isNewer ? headFields : []);
  // A row without a role is the head alone: it tells nothing of the reader.
  if (row.role && row.memberRev >= c.memberRev) next = take(next, row, memberFields);
  // A row that is newer in all corrects what was concluded from events out of their order.
  if (row.role) next = takeOwn(next, row, row.count, isNewer ? row : c);
  if (row.lastMessage) next.lastMessage = newest(c.lastMessage, row.lastMessage);
  if (row.peer) next.peer = row.peer;
  return (row.markers ?? []).reduce(mergeReceipt, next);
}

/** A member's markers moved. They only move forward. @internal */
export function mergeReceipt(c: Conversation, { user, read, delivered }: Marker): Conversation {
  const markers = c.markers ?? [];
  const old = markers.find((m) => m.user === user);
  const moved = {
    user,
    read: Math.max(read, old?.read ?? 0),
    delivered: Math.max(delivered, old?.delivered ?? 0),
  };
  return { ...c, markers: [...markers.filter((m) => m !== old), moved] };
}

/** My own state, as an event or an answer tells. @internal */
export function mergeOwn(c: Conversation, o: OwnResult): Conversation {
  return takeOwn(c, o, o.seen + o.unread);
}

/** My marker moved, as the answer of conversation.mark tells. @internal */
export function mergeMark(c: Conversation, { read, own, seen }: MarkResult): Conversation {
  return take(c, { own: Math.max(own, c.own), seen, readSeq: read }, ['own', 'seen', 'readSeq']);
}

/**
 * A message came, or came in a new state. As in the server's formula a mention of
 * all counts where the message counts; a mention by name does not.
 * @internal
 */
export function mergeMessage(c: Conversation, m: Message, me: string): Conversation {
  const { seq, count } = m;
  const next = { ...c, lastMessage: newest(c.lastMessage, m), rev: m.rev > c.rev ? m.rev : c.rev };
  if (!(seq > c.seq)) return next;
  const isMine = m.from === me;
  if (!isMine && m.mentions === 'all' && !m.flags?.includes('noUnread')) next.mentionsUnread++;
  // My own message I have seen, and whoever had read all before it has read it too.
  const seen = isMine ? count : c.seen;
  const readSeq = isMine && c.readSeq >= seq - 1 ? seq : c.readSeq;
  return take(next, { seq, count, seen, readSeq }, growing);
}
