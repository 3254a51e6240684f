import { fallbacks } from '../fallbacks.js';
import type { PlatformAdapter } from '../platform.js';
import type { Conversation, Message, OwnResult } from '../protocol.js';
import type { TransportName } from '../transports/conn.js';
import { fetchFrom } from './http.js';
import { Refusal } from './refusal.js';
import type { TestSession } from './session.js';
import { TestSocket } from './socket.js';

/** Where a message goes. */
export type MessageTarget = { user: string } | { conversation: string };

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

// biome-ignore lint/suspicious/noExplicitAny: a double reads whatever was sent
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
export class TestServer {
  /** Nothing reaches the server, as without a network. */
  down = false;
  /** Accepts connections and answers nothing. */
  mute = false;
  /** What cannot get through, as behind a proxy that does not know it. */
  readonly blocked = new Set<TransportName>();
  /** Event streams arrive only when they have ended, as behind a proxy that buffers. */
  buffering = false;
  /** An HTTP request for which it returns true is processed, and its answer is lost on the way. */
  loseAnswer: (path: string, headers: Record<string, string>) => boolean = () => false;
  /** Answers an HTTP request before anything else does; undefined: goes on; an error that is thrown is a broken connection. */
  http: (path: string, headers: Record<string, string>) => HttpAnswer | undefined = () => undefined;
  /** The app that the clients must name. */
  appId = 'YOUR_APP_ID';
  /** How far the server's clock is ahead. */
  clockAheadMs = 0;
  /** How long a session's credentials are good for. Undefined: for ever. */
  tokenLifeMs: number | undefined;
  epoch = 'e1';
  version = 0;
  /** The largest page of sync. */
  syncPage = 100;
  /** The id of the request that is being answered. */
  lastId = 0;
  /** The code of an error whose reason has none. */
  code = 400;
  /** How long a frame travels. */
  latencyMs = 1;
  /** Every request, in the order of arrival. */
  readonly requests: Array<{ op: string; params: AnyParams; session: TestSession }> = [];
  /** How many frames the clients sent. */
  frames = 0;
  /** How many connections were begun: sockets, streams, first polls. */
  connections = 0;
  /** How many HTTP requests came, each path with its count. */
  readonly hits: Record<string, number> = {};
  /** The open ones. */
  readonly sessions = new Set<TestSession>();
  /** Whoever opens a session with the token is this user. */
  readonly tokens = new Map<string, string>([
    ['USER_TOKEN', 'me'],
    ['bob-token', 'bob'],
  ]);
  readonly chats = new Map<string, Chat>();
  /** The first message of each clientId, as it was then. */
  readonly accepted = new Map<string, Message>();
  /** Looks at an operation first: throw a Refusal, return an answer, or undefined. 'hang' answers never. */
  intercept: (op: string, params: AnyParams, session: TestSession) => unknown = () => undefined;
  /** How much later than usual each copy of an event arrives: [] is lost, [0, 0] is doubled. */
  fate: (method: string) => number[] = () => [0];
  /** An event for which it returns true is lost on the way. */
  lose: (method: string, params: unknown) => boolean = () => false;

  /** How often an operation was called. */
  count(op: string): number {
    return this.requests.filter((r) => r.op === op).length;
  }

  /** The server's clock, in milliseconds since the epoch. */
  now(): number {
    return Date.now() + this.clockAheadMs;
  }

  /** What a client needs to connect to this server and to nothing else. */
  platform(more: PlatformAdapter = {}): PlatformAdapter {
    const server = this;
    class WebSocket extends TestSocket {
      constructor(url: string, protocol: string) {
        super(server, url, protocol);
      }
    }
    const nowhere = { storage: null, sessionStorage: null, locks: null, broadcastChannel: null };
    const surroundings = { ...nowhere, fallbacks, onWake: () => () => {}, isOnline: () => true };
    return { WebSocket, fetch: fetchFrom(this), ...surroundings, ...more };
  }

  /** Ends every connection with a close code; 1006 is a broken one. */
  cut(code = 1006, reason = ''): void {
    for (const s of [...this.sessions]) s.socket.closed(code, reason);
  }

  /** From now on nothing that the server writes to what is open arrives, though it looks open. Answers to POST do. */
  stall(): void {
    for (const s of this.sessions) s.stalled = true;
  }

  /** The id of the direct conversation of two users. */
  direct(a: string, b: string): string {
    return `d_${[a, b].sort().join('_')}`;
  }

  /** The conversation with an id. Throws a Refusal where there is none. */
  chat(id: string): Chat {
    const c = this.chats.get(id);
    if (!c) throw new Refusal('not_found');
    return c;
  }

  /** Makes a conversation; the first user of a group owns it. */
  create(id: string, kind: string, users: string[], title?: string): Chat {
    const head: Conversation = {
      ...{ id, kind, seq: 0, rev: 0, memberRev: 1, members: users.length, count: 0, createdAt: Date.now() },
      ...{ own: 0, seen: 0, unread: 0, mentionsUnread: 0, readSeq: 0, ...(title ? { title } : {}) },
    };
    const chat: Chat = { head, messages: [], members: new Map(), version: ++this.version };
    users.forEach((user, i) => {
      const role = kind === 'group' && i === 0 ? 'owner' : 'member';
      chat.members.set(user, { user, role, own: 0, seen: 0, seenAll: 0, read: 0, version: this.version });
    });
    this.chats.set(id, chat);
    return chat;
  }

  /** Forgets the messages of a conversation up to a seq, as a server that keeps them for a time does. */
  prune(id: string, seq: number): void {
    const chat = this.chats.get(id);
    if (!chat) throw new Error(`no conversation ${id}`);
    const last = chat.messages.filter((m) => m.seq <= seq).at(-1);
    chat.head.firstSeq = seq + 1;
    chat.messages = chat.messages.filter((m) => m.seq > seq);
    for (const m of chat.members.values()) {
      m.seen = Math.max(m.seen, last?.count ?? 0);
      m.seenAll = Math.max(m.seenAll, last?.allCount ?? 0);
    }
  }

  /** A conversation as a user sees it. */
  view(c: Chat, user: string): Conversation {
    const m = c.members.get(user);
    if (!m || m.left) return { ...c.head, left: true };
    const lastMessage = c.messages.at(-1);
    const peer = [...c.members.keys()].find((u) => u !== user);
    return {
      ...{ ...c.head, role: m.role, own: m.own, seen: m.seen, seenAll: m.seenAll, readSeq: m.read },
      ...{ unread: c.head.count - m.seen, mentionsUnread: (c.head.allCount ?? 0) - m.seenAll },
      ...(lastMessage ? { lastMessage } : {}),
      ...(c.head.kind === 'direct' && peer ? { peer } : {}),
    };
  }

  /** Stores a message of a user and tells everyone but the session origin. */
  send(
    from: string,
    to: MessageTarget,
    text: string,
    o: { clientId?: string; origin?: TestSession; mentions?: 'all' | string[]; flags?: string[] } = {},
  ): Message {
    const clientId = o.clientId ?? `c${++this.version}`;
    const id = 'user' in to ? this.direct(from, to.user) : to.conversation;
    let opened = false;
    if ('user' in to && !this.chats.has(id)) {
      this.create(id, 'direct', [from, to.user]);
      opened = true;
    }
    const chat = this.chat(id);
    const member = chat.members.get(from);
    if (!member || member.left) throw new Refusal('not_found');
    const h = chat.head;
    h.seq++;
    h.rev++;
    if (!o.flags?.includes('noUnread')) {
      h.count++;
      if (o.mentions === 'all') h.allCount = (h.allCount ?? 0) + 1;
    }
    const { seq, rev, count, allCount } = h;
    const m: Message = {
      ...{ conversation: id, seq, rev, count, id: `m${seq}`, clientId, from },
      ...{
        ...(allCount ? { allCount } : {}),
        time: Date.now(),
        type: 'text',
        content: { text },
        ...(o.mentions ? { mentions: o.mentions } : {}),
        ...(o.flags ? { flags: o.flags } : {}),
      },
    };
    chat.messages.push(m);
    chat.version = ++this.version;
    member.seen = h.count;
    member.seenAll = allCount ?? 0;
    if (member.read === h.seq - 1) member.read = h.seq;
    this.accepted.set(`${from} ${clientId}`, m);
    if (opened) this.emit(chat, 'conversation', { ...h });
    this.emit(chat, 'message', m, o.origin);
    return m;
  }

  /** Changes the text of a message, and tells everyone. */
  edit(conversation: string, seq: number, text: string): Message {
    const chat = this.chat(conversation);
    const i = chat.messages.findIndex((m) => m.seq === seq);
    const m = {
      ...(chat.messages[i] as Message),
      content: { text },
      rev: ++chat.head.rev,
      editedAt: Date.now(),
    };
    chat.messages[i] = m;
    chat.version = ++this.version;
    this.emit(chat, 'message', m);
    return m;
  }

  /** Moves a user's markers, and tells everyone. */
  mark(conversation: string, user: string, read: number, origin?: TestSession) {
    const chat = this.chat(conversation);
    const m = chat.members.get(user) as TestMember;
    if (Math.min(read, chat.head.seq) > m.read) {
      m.read = Math.min(read, chat.head.seq);
      const last = chat.messages.find((x) => x.seq === m.read);
      m.seen = Math.max(m.seen, last?.count ?? 0);
      m.seenAll = Math.max(m.seenAll, last?.allCount ?? 0);
      m.own++;
      chat.version = ++this.version;
      const self = this.own(chat, user);
      for (const s of this.sessions) if (s.user === user && s !== origin) s.notify('self', self);
      for (const s of this.sessions) {
        if (s.user !== user && chat.members.has(s.user))
          s.notify('receipt', { conversation, user, read: m.read, delivered: m.read });
      }
    }
    const { own, seen, seenAll, unread } = this.view(chat, user);
    return { read: m.read, delivered: m.read, own, seen, seenAll, unread };
  }

  /** A user's own state of a conversation. */
  own(chat: Chat, user: string): OwnResult {
    const { id, own, seen, seenAll, unread, mentionsUnread, readSeq } = this.view(chat, user);
    return { conversation: id, own, seen, seenAll, unread, mentionsUnread, readSeq };
  }

  /** Sends an event to all members' sessions but origin. */
  emit(chat: Chat, method: string, params: unknown, origin?: TestSession): void {
    for (const s of this.sessions) {
      const member = chat.members.get(s.user);
      if (s !== origin && member && !member.left) s.notify(method, params);
    }
  }

  /** One operation. */
  run(op: string, p: AnyParams, s: TestSession): unknown {
    const user = s.user;
    switch (op) {
      case 'ping':
        return { serverTime: this.now() };
      case 'session.close':
        return {};
      case 'user.get':
        return {
          profiles: p.users
            .filter((u: string) => u !== 'ghost')
            .map((id: string) => ({ id, name: id.toUpperCase() })),
        };
      case 'message.send': {
        const target: MessageTarget = typeof p.to === 'string' ? { user: p.to } : p.to;
        const stored = this.accepted.get(`${user} ${p.clientId}`);
        const { clientId, mentions, flags } = p;
        const m = stored ?? this.send(user, target, p.content.text, { clientId, mentions, flags, origin: s });
        if (stored) {
          const chat = this.chat(m.conversation);
          const kept = chat.messages.find((x) => x.seq === m.seq);
          if (kept) this.emit(chat, 'message', kept, s); // its first event may be lost
        }
        const { conversation, seq, rev, count, allCount, id, time } = m;
        return { conversation, seq, rev, count, allCount, id, time, ...(stored ? { duplicate: true } : {}) };
      }
      case 'message.list': {
        const { messages, head } = this.member(p.conversation, user);
        const limit = p.limit ?? 50;
        const to =
          p.before !== undefined
            ? p.before - 1
            : p.after !== undefined
              ? Math.min(head.seq, p.after + limit)
              : head.seq;
        const firstSeq = head.firstSeq ?? 1;
        const from = Math.max(firstSeq, p.after !== undefined ? p.after + 1 : to - limit + 1);
        const page = messages.filter((m) => m.seq >= from && m.seq <= to);
        return {
          messages: page,
          from,
          to,
          firstSeq,
          rev: head.rev,
          more: p.after !== undefined ? to < head.seq : from > firstSeq,
        };
      }
      case 'message.changes': {
        const { messages, head } = this.member(p.conversation, user);
        if (p.rev > head.rev) return { messages: [], rev: head.rev, more: false, reset: true };
        const all = messages.filter(
          (m) =>
            m.rev > p.rev &&
            (!p.within || p.within.some(([a, b]: [number, number]) => a <= m.seq && m.seq <= b)),
        );
        all.sort((a, b) => a.rev - b.rev);
        const page = all.slice(0, p.limit ?? 50);
        const more = page.length < all.length;
        return { messages: page, rev: more ? (page.at(-1) as Message).rev : head.rev, more };
      }
      case 'sync': {
        // A cursor is epoch:from, between pages epoch:from:to:after.
        const [epoch, ...numbers] = (p.cursor ?? `${this.epoch}:0`).split(':');
        const reset = epoch !== this.epoch;
        const [since = 0, to = this.version, after = Infinity] = reset ? [] : numbers.map(Number);
        const moved = (c: Chat) => Math.max(c.version, c.members.get(user)?.version ?? 0);
        const rows = [...this.chats.values()].filter((c) => {
          const m = c.members.get(user);
          return m && moved(c) > since && moved(c) <= Math.min(to, after - 1) && (!m.left || since > 0);
        });
        rows.sort((a, b) => moved(b) - moved(a));
        const page = rows.slice(0, Math.min(p.limit ?? 50, this.syncPage));
        const more = page.length < rows.length;
        return {
          ...{
            conversations: page.map((c) => this.view(c, user)),
            cursor: more
              ? `${this.epoch}:${since}:${to}:${moved(page.at(-1) as Chat)}`
              : `${this.epoch}:${to}`,
            more,
          },
          ...(reset ? { reset } : {}),
        };
      }
      case 'conversation.get':
        return this.view(this.member(p.conversation, user), user);
      case 'conversation.own':
        return this.own(this.member(p.conversation, user), user);
      case 'conversation.markers':
        return {
          markers: [...this.member(p.conversation, user).members.values()].map((m) => ({
            user: m.user,
            read: m.read,
            delivered: m.read,
          })),
        };
      case 'conversation.mark':
        this.member(p.conversation, user);
        return this.mark(p.conversation, user, p.read, s);
      case 'conversation.create': {
        const id = p.kind === 'direct' ? this.direct(user, p.members[0]) : `g_${p.clientId}`;
        if (!this.chats.has(id)) {
          const made = this.create(id, p.kind, [user, ...p.members], p.title);
          for (const x of this.sessions)
            if (made.members.has(x.user)) x.notify('conversation', this.view(made, x.user));
        }
        return this.view(this.chat(id), user);
      }
      case 'member.list':
        return {
          members: [...this.member(p.conversation, user).members.values()]
            .filter((m) => !m.left)
            .map((m) => ({
              user: m.user,
              role: m.role,
              joinedAt: 0,
              rev: 1,
              profile: { id: m.user, name: m.user.toUpperCase() },
            })),
          memberRev: 1,
        };
      case 'member.add':
      case 'member.remove':
        return this.changeMembers(p.conversation, p.users, op === 'member.add');
      default:
        throw new Refusal('method_not_found');
    }
  }

  /** Adds or removes members, and tells everyone. */
  changeMembers(conversation: string, users: string[], add: boolean) {
    const chat = this.chat(conversation);
    chat.head.memberRev++;
    chat.version = ++this.version;
    for (const user of users) {
      const old = chat.members.get(user);
      if (add)
        chat.members.set(user, {
          user,
          role: 'member',
          own: (old?.own ?? 0) + 1,
          seen: chat.head.count,
          seenAll: chat.head.allCount ?? 0,
          read: old?.read ?? 0,
          version: this.version,
        });
      else if (old) Object.assign(old, { left: true, version: this.version });
    }
    chat.head.members = [...chat.members.values()].filter((m) => !m.left).length;
    for (const s of this.sessions)
      if (users.includes(s.user)) s.notify('conversation', this.view(chat, s.user));
    const { memberRev, members } = chat.head;
    this.emit(chat, 'member', { conversation, memberRev, members, changed: [] });
    return { results: users.map((user) => ({ user, changed: true })), memberRev };
  }

  /** The conversation, where the user is a member. Throws a Refusal where he is not. */
  member(conversation: string, user: string): Chat {
    const chat = this.chat(conversation);
    const m = chat.members.get(user);
    if (!m || m.left) throw new Refusal('not_found');
    return chat;
  }
}
