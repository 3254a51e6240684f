import type { Conversation, MarkResult, Message, OwnResult } from './protocol.js';

// How what a server tells of a conversation is joined with what is known: head,
// member list and own state have a revision each, and the newer one stays.

type Field = keyof Conversation;
type Marker = NonNullable<Conversation['markers']>[number];

const headFields: Field[] = ['rev', 'seq', 'count', 'allCount', 'firstSeq', 'title', 'ext'];
const memberFields: Field[] = ['memberRev', 'members', 'role'];
const ownFields: Field[] = ['own', 'seen', 'seenAll', 'readSeq', 'starred', 'archived', 'muteUntil', 'draft'];
/** What an older answer must not turn back. */
const growing = ['seq', 'count', 'allCount', 'seen', 'seenAll', 'readSeq'] as const;

/**
 * c with these fields of other, absent ones included; what only grows does not
 * shrink below floor, and unread and mentionsUnread are by the one formula: the
 * head's count minus the count seen.
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
  for (const f of growing) merged[f] = Math.max(merged[f] ?? 0, floor[f] ?? 0);
  merged.unread = Math.max(0, merged.count - merged.seen);
  merged.mentionsUnread = Math.max(0, (merged.allCount ?? 0) - (merged.seenAll ?? 0));
  return merged;
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
  if (row.role && row.own >= c.own) next = take(next, row, ownFields, isNewer ? row : c);
  if (row.lastMessage) next.lastMessage = newest(c.lastMessage, row.lastMessage);
  if (next.lastMessage && next.lastMessage.seq < (next.firstSeq ?? 1)) delete next.lastMessage;
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
  return o.own < c.own ? c : take(c, o, ownFields);
}

/** My marker moved, as the answer of conversation.mark tells. @internal */
export function mergeMark(c: Conversation, { read, own, seen, seenAll }: MarkResult): Conversation {
  const moved = { own: Math.max(own, c.own), seen, seenAll, readSeq: read };
  return take(c, moved, ['own', 'seen', 'seenAll', 'readSeq']);
}

/** A message came, or came in a new state. @internal */
export function mergeMessage(c: Conversation, m: Message, me: string): Conversation {
  const { seq, count, allCount } = m;
  const next = { ...c, lastMessage: newest(c.lastMessage, m), rev: m.rev > c.rev ? m.rev : c.rev };
  if (!(seq > c.seq)) return next;
  const isMine = m.from === me;
  // My own message I have seen, and whoever had read all before it has read it too.
  const seen = isMine ? count : c.seen;
  const seenAll = isMine ? allCount : c.seenAll;
  const readSeq = isMine && c.readSeq >= seq - 1 ? seq : c.readSeq;
  return take(next, { seq, count, allCount, seen, seenAll, readSeq }, growing);
}
