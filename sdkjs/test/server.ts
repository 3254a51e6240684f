import type {
  Conversation,
  Message,
  MessageTarget,
  OwnResult,
  PlatformAdapter,
  Session,
  SocketLike,
} from './sdk.js';

// A server in memory that speaks the protocol of version 1, as far as the
// tests go: contiguous seq and rev, idempotent sends, receipts instead of
// events for the sending session, sync by versions, compacted changes.

interface Member {
  user: string;
  role: string;
  own: number;
  seen: number;
  seenAll: number;
  read: number;
  version: number;
  left?: boolean;
}

export interface Chat {
  head: Conversation;
  messages: Message[];
  /** How many messages that count mention all, and how many up to each seq. */
  allCount: number;
  allCounts: number[];
  members: Map<string, Member>;
  version: number;
}

interface Request {
  jsonrpc: string;
  id: number;
  method: string;
  // biome-ignore lint/suspicious/noExplicitAny: a double reads whatever was sent
  params: any;
}

export class Refusal extends Error {
  constructor(
    readonly reason: string,
    readonly more: object = {},
  ) {
    super(reason);
  }
}

const codes: Record<string, number> = {
  unauthenticated: 401,
  token_expired: 401,
  not_found: 404,
  internal: 500,
  session_limit: 429,
  rate_limited: 429,
  unavailable: 503,
};

export class Server {
  /** Refuses connections. */
  down = false;
  /** Accepts connections and answers nothing. */
  mute = false;
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
  readonly requests: Array<{ op: string; params: Request['params']; session: FakeSession }> = [];
  /** How many frames the clients sent. */
  frames = 0;
  connections = 0;
  readonly sessions = new Set<FakeSession>();
  readonly chats = new Map<string, Chat>();
  /** The first message of each clientId, as it was then. */
  readonly accepted = new Map<string, Message>();
  readonly tokens = new Map<string, string>([
    ['USER_TOKEN', 'me'],
    ['bob-token', 'bob'],
  ]);
  /** Looks at an operation first: throw a Refusal, return an answer, or undefined. 'hang' answers never. */
  intercept: (op: string, params: Request['params'], session: FakeSession) => unknown = () => undefined;
  /** How much later than usual each copy of an event arrives: [] is lost, [0, 0] is doubled. */
  fate: (method: string) => number[] = () => [0];
  /** An event for which it returns true is lost on the way. */
  lose: (method: string, params: unknown) => boolean = () => false;

  count(op: string): number {
    return this.requests.filter((r) => r.op === op).length;
  }

  platform(more: PlatformAdapter = {}): PlatformAdapter {
    const server = this;
    class WebSocket extends FakeSocket {
      constructor(url: string, protocol: string) {
        super(server, url, protocol);
      }
    }
    return { WebSocket, storage: null, locks: null, onWake: () => () => {}, isOnline: () => true, ...more };
  }

  /** Ends every connection. */
  cut(code = 1006, reason = ''): void {
    for (const s of [...this.sessions]) s.socket.closed(code, reason);
  }

  direct(a: string, b: string): string {
    return `d_${[a, b].sort().join('_')}`;
  }

  chat(id: string): Chat {
    const c = this.chats.get(id);
    if (!c) throw new Refusal('not_found');
    return c;
  }

  create(id: string, kind: string, users: string[], title?: string): Chat {
    const head: Conversation = {
      ...{ id, kind, seq: 0, rev: 0, memberRev: 1, members: users.length, count: 0, createdAt: Date.now() },
      ...{ own: 0, seen: 0, unread: 0, mentionsUnread: 0, readSeq: 0, ...(title ? { title } : {}) },
    };
    const counts = { allCount: 0, allCounts: [0] };
    const chat: Chat = { head, messages: [], ...counts, members: new Map(), version: ++this.version };
    users.forEach((user, i) => {
      const role = kind === 'group' && i === 0 ? 'owner' : 'member';
      chat.members.set(user, { user, role, own: 0, seen: 0, seenAll: 0, read: 0, version: this.version });
    });
    this.chats.set(id, chat);
    return chat;
  }

  view(c: Chat, user: string): Conversation {
    const m = c.members.get(user);
    if (!m || m.left) return { ...c.head, left: true };
    const lastMessage = c.messages.at(-1);
    const peer = [...c.members.keys()].find((u) => u !== user);
    return {
      ...{ ...c.head, role: m.role, own: m.own, seen: m.seen, readSeq: m.read },
      ...{ unread: c.head.count - m.seen, mentionsUnread: c.allCount - m.seenAll },
      ...(lastMessage ? { lastMessage } : {}),
      ...(c.head.kind === 'direct' && peer ? { peer } : {}),
    };
  }

  /** Stores a message of a user and tells everyone but the session origin. */
  send(
    from: string,
    to: MessageTarget,
    text: string,
    o: { clientId?: string; origin?: FakeSession; mentions?: 'all' | string[]; flags?: string[] } = {},
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
      if (o.mentions === 'all') chat.allCount++;
    }
    chat.allCounts[h.seq] = chat.allCount;
    const m: Message = {
      ...{ conversation: id, seq: h.seq, rev: h.rev, count: h.count, id: `m${h.seq}`, clientId, from },
      ...{
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
    member.seenAll = chat.allCount;
    if (member.read === h.seq - 1) member.read = h.seq;
    this.accepted.set(`${from} ${clientId}`, m);
    if (opened) this.emit(chat, 'conversation', { ...h });
    this.emit(chat, 'message', m, o.origin);
    return m;
  }

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

  mark(conversation: string, user: string, read: number, origin?: FakeSession) {
    const chat = this.chat(conversation);
    const m = chat.members.get(user) as Member;
    if (Math.min(read, chat.head.seq) > m.read) {
      m.read = Math.min(read, chat.head.seq);
      m.seenAll = Math.max(m.seenAll, chat.allCounts[m.read] as number);
      m.seen = Math.max(m.seen, chat.messages.find((x) => x.seq === m.read)?.count ?? 0);
      m.own++;
      chat.version = ++this.version;
      const self = this.own(chat, user);
      for (const s of this.sessions) if (s.user === user && s !== origin) s.notify('self', self);
      for (const s of this.sessions) {
        if (s.user !== user && chat.members.has(s.user))
          s.notify('receipt', { conversation, user, read: m.read, delivered: m.read });
      }
    }
    const { own, seen, unread } = this.view(chat, user);
    return { read: m.read, delivered: m.read, own, seen, unread };
  }

  own(chat: Chat, user: string): OwnResult {
    const { id, own, seen, unread, mentionsUnread, readSeq } = this.view(chat, user);
    return { conversation: id, own, seen, unread, mentionsUnread, readSeq };
  }

  emit(chat: Chat, method: string, params: unknown, origin?: FakeSession): void {
    for (const s of this.sessions) {
      const member = chat.members.get(s.user);
      if (s !== origin && member && !member.left) s.notify(method, params);
    }
  }

  /** One operation. */
  run(op: string, p: Request['params'], s: FakeSession): unknown {
    const user = s.user;
    switch (op) {
      case 'ping':
        return { serverTime: Date.now() };
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
          this.emit(chat, 'message', chat.messages[m.seq - 1], s); // its first event may be lost
        }
        const { conversation, seq, rev, count, id, time } = m;
        return { conversation, seq, rev, count, id, time, ...(stored ? { duplicate: true } : {}) };
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
        const from = Math.max(1, p.after !== undefined ? p.after + 1 : to - limit + 1);
        const page = messages.filter((m) => m.seq >= from && m.seq <= to);
        return {
          messages: page,
          from,
          to,
          firstSeq: 1,
          rev: head.rev,
          more: p.after !== undefined ? to < head.seq : from > 1,
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
          seenAll: chat.allCount,
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

  member(conversation: string, user: string): Chat {
    const chat = this.chat(conversation);
    const m = chat.members.get(user);
    if (!m || m.left) throw new Refusal('not_found');
    return chat;
  }
}

/** The server's end of a connection. */
export class FakeSession {
  user = '';
  /** Events that wait for the first sync's answer. */
  private held: string[] | null = [];

  constructor(
    private readonly server: Server,
    readonly socket: FakeSocket,
  ) {}

  notify(method: string, params: unknown): void {
    if (!this.user || this.server.lose(method, params)) return;
    const frame = JSON.stringify({ jsonrpc: '2.0', method, params });
    if (['reauth', 'goaway', 'kicked'].includes(method)) return this.socket.deliver(frame);
    for (const ms of this.server.fate(method)) {
      if (ms) setTimeout(() => this.event(frame), ms);
      else this.event(frame);
    }
  }

  private event(frame: string): void {
    if (this.held) this.held.push(frame);
    else this.socket.deliver(frame);
  }

  receive(frame: string): void {
    this.server.frames++;
    const parsed: Request | Request[] = JSON.parse(frame);
    for (const r of Array.isArray(parsed) ? parsed : [parsed]) void this.answer(r);
  }

  private async answer(r: Request): Promise<void> {
    const { server } = this;
    server.lastId = r.id;
    server.requests.push({ op: r.method, params: r.params, session: this });
    if (server.mute) return;
    let answer: object;
    try {
      let result = server.intercept(r.method, r.params, this);
      if (result === 'hang') return;
      if (r.method === 'session.open') result ??= this.open(r.params);
      else if (!this.user) throw new Refusal('unauthenticated');
      else result ??= server.run(r.method, r.params, this);
      answer = { result: await result };
    } catch (e) {
      if (!(e instanceof Refusal)) throw e;
      answer = {
        error: {
          code: codes[e.reason] ?? server.code,
          message: e.reason,
          data: { reason: e.reason, ...e.more },
        },
      };
    }
    this.socket.deliver(JSON.stringify({ jsonrpc: '2.0', id: r.id, ...answer }));
    if (r.method === 'sync') {
      for (const f of this.held ?? []) this.socket.deliver(f);
      this.held = null;
    }
  }

  private open({ appId, token, device }: Request['params']): Session {
    if (appId !== 'YOUR_APP_ID') throw new Refusal('app_unknown');
    const user = this.server.tokens.get(token ?? '');
    if (!user) throw new Refusal('unauthenticated');
    this.user = user;
    return {
      ...{ session: 's', user, device, serverTime: Date.now(), epoch: this.server.epoch, features: [] },
      limits: {
        ...{ frameBytes: 262144, contentBytes: 65536, batch: 64, page: 50, maxPage: 100, titleBytes: 256 },
        ...{
          membersPerCall: 500,
          members: 5000,
          mentions: 50,
          sessionsPerUser: 20,
          newDirectPeersPerHour: 60,
        },
      },
    };
  }
}

/** A WebSocket whose other end is a Server. */
export class FakeSocket implements SocketLike {
  onopen: ((e: never) => unknown) | null = null;
  onmessage: ((e: never) => unknown) | null = null;
  onclose: ((e: never) => unknown) | null = null;
  onerror: ((e: never) => unknown) | null = null;
  private readonly session: FakeSession;
  private isOpen = false;
  private isClosed = false;

  constructor(
    private readonly server: Server,
    readonly url: string,
    readonly protocol: string,
  ) {
    this.session = new FakeSession(server, this);
    server.connections++;
    this.later(() => {
      if (server.down) return this.closed(1006);
      this.isOpen = true;
      server.sessions.add(this.session);
      this.onopen?.({} as never);
    });
  }

  send(data: string): void {
    if (!this.isOpen) throw new Error('InvalidStateError');
    if (!this.isClosed) this.later(() => this.session.receive(data));
  }

  close(code = 1005): void {
    this.server.sessions.delete(this.session);
    this.later(() => this.closed(code));
  }

  deliver(frame: string): void {
    this.later(() => this.isClosed || this.onmessage?.({ data: frame } as never));
  }

  closed(code: number, reason = ''): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.server.sessions.delete(this.session);
    this.onclose?.({ code, reason } as never);
  }

  private later(fn: () => void): void {
    setTimeout(fn, this.server.latencyMs);
  }
}
