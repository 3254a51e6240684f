import type { Conversation, MarkResult, Message, OwnResult } from './protocol.js';

// How what a server tells of a conversation is joined with what is known: head,
// member list and own state have a revision each, and the newer one stays.

type Own = Omit<OwnResult, 'conversation' | 'hidden'>;

/** The newer of two states of messages, by their place and then their rev. */
function newest(a: Message | undefined, b: Message | undefined): Message | undefined {
  if (!a || !b) return a ?? b;
  return b.seq > a.seq || (b.seq === a.seq && b.rev >= a.rev) ? b : a;
}

/** unread by the one formula of the protocol: the count of the head minus the count that was seen. */
function counted(c: Conversation): Conversation {
  const unread = Math.max(0, c.count - c.seen);
  return { ...c, unread, mentionsUnread: unread ? c.mentionsUnread : 0 };
}

/** @internal */
export function mergeRow(known: Conversation | undefined, row: Conversation): Conversation {
  if (!known) return counted(row);
  const { role, memberRev, members } = row.memberRev >= known.memberRev ? row : known;
  const head = row.rev >= known.rev ? row : known;
  const { title, ext, seq, rev, count } = head;
  // A row without a role is a head alone: it tells nothing of the reader's own state.
  const own = row.role && row.own >= known.own ? row : known;
  const { seen, readSeq, mentionsUnread, starred, archived, muteUntil, draft } = own;
  const lastMessage = newest(known.lastMessage, row.lastMessage);
  const merged: Record<keyof Conversation, unknown> = {
    ...{ id: known.id, kind: known.kind, left: undefined },
    ...{ creator: row.creator ?? known.creator, createdAt: row.createdAt ?? known.createdAt },
    ...{ title, ext, seq: Math.max(seq, known.seq), rev, count: Math.max(count, known.count), lastMessage },
    ...{ role: role ?? known.role, memberRev, members, peer: row.peer ?? known.peer },
    ...{
      own: own.own,
      seen: Math.max(seen, known.seen),
      readSeq: Math.max(readSeq, known.readSeq),
      unread: 0,
    },
    ...{
      mentionsUnread,
      starred,
      archived,
      muteUntil,
      draft,
      markers: mergeMarkers(known.markers, row.markers),
    },
  };
  return counted(defined(merged) as unknown as Conversation);
}

/** Without the fields that are undefined. */
function defined<T extends object>(o: T): T {
  return Object.fromEntries(Object.entries(o).filter(([, v]) => v !== undefined)) as T;
}

function mergeMarkers(known: Conversation['markers'], row: Conversation['markers']): Conversation['markers'] {
  if (!known || !row) return row ?? known;
  return row.reduce(mergeMarker, known);
}

type Markers = NonNullable<Conversation['markers']>;

/** Markers only move forward. */
function mergeMarker(list: Markers, m: Markers[number]): Markers {
  const old = list.find((x) => x.user === m.user);
  if (!old) return [...list, m];
  const read = Math.max(old.read, m.read);
  const delivered = Math.max(old.delivered, m.delivered);
  return list.map((x) => (x === old ? { user: m.user, read, delivered } : x));
}

/** A member's markers moved. @internal */
export function mergeReceipt(c: Conversation, m: Markers[number]): Conversation {
  return {
    ...c,
    markers: mergeMarker(c.markers ?? [], { user: m.user, read: m.read, delivered: m.delivered }),
  };
}

/** My own state, as an event or an answer tells. @internal */
export function mergeOwn(c: Conversation, o: Own): Conversation {
  if (o.own < c.own) return c;
  const { own, seen, readSeq, mentionsUnread, starred = false, archived = false, muteUntil, draft } = o;
  return counted(
    defined({
      ...{ ...c, own, mentionsUnread, starred, archived, muteUntil, draft },
      seen: Math.max(seen, c.seen),
      readSeq: Math.max(readSeq, c.readSeq),
    }) as Conversation,
  );
}

/** My marker moved, as the answer of conversation.mark tells. @internal */
export function mergeMark(c: Conversation, m: MarkResult): Conversation {
  const readSeq = Math.max(m.read, c.readSeq);
  return counted({ ...c, own: Math.max(m.own, c.own), seen: Math.max(m.seen, c.seen), readSeq });
}

/** A message came, or came in a new state. @internal */
export function mergeMessage(c: Conversation, m: Message, me: string): Conversation {
  const lastMessage = newest(c.lastMessage, m);
  const next: Conversation = { ...c, rev: Math.max(c.rev, m.rev), ...(lastMessage ? { lastMessage } : {}) };
  if (m.seq <= c.seq) return next;
  next.seq = m.seq;
  next.count = Math.max(c.count, m.count);
  if (m.from === me) {
    next.seen = Math.max(c.seen, m.count);
    if (c.readSeq >= m.seq - 1) next.readSeq = m.seq; // who had read all before has read his own
  } else if (m.mentions === 'all' || m.mentions?.includes(me)) {
    next.mentionsUnread++;
  }
  return counted(next);
}
