// What the page shows, kept by the SDK: this is the only module that knows it.

import { IMClient } from '/im/sdk/index.js';

/** So many timelines stay alive while other conversations are open. */
const keptTimelines = 6;
/** Messages that come together are marked as delivered together, in ms. */
const deliveredAfter = 300;

/** Signs in, and leaves the cookie aside: another tab may be another user. */
async function tokenOf(user) {
  const response = await fetch('/login', {
    method: 'POST',
    credentials: 'omit',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ user }),
  });
  const { token, error } = await response.json();
  // With a reason that trying again does not change the SDK gives up, and says so.
  if (error) throw new IMClient.IMError(error.data.reason, error.message);
  return token;
}

/** The chat of one user. Its events: connection, list, profiles, markers, message, member. */
export class Chat {
  #client;
  #listeners = new Map();
  #timelines = new Map();
  #people = new Map();
  #asked = new Set();
  #wanted = [];
  #outgoing = new Map();
  #reading = new Map();
  #delivered = new Map();

  constructor(user) {
    this.me = { id: user };
    this.connection = { state: 'connecting', retryAt: 0 };
    /** 'loading', 'ready' or 'failed'. */
    this.listState = 'loading';
    this.listError = null;
    /** The one with the newest message first, those on their way included. */
    this.conversations = [];
    // The token stays in the memory of this tab. With the user's name the SDK finds
    // what it kept of him before, and without, the server: the list, and what is to be sent.
    this.#client = new IMClient({ appId: 'demo', user, getToken: () => tokenOf(user) });
  }

  start() {
    const client = this.#client;
    client.on('state', ({ state, retryAtMs, error }) => {
      this.connection = { state, retryAt: retryAtMs ?? 0 };
      if (state === 'online') this.listState = 'ready';
      else if (this.listState === 'loading' && (state === 'unauthorized' || state === 'kicked')) {
        this.listState = 'failed';
        this.listError = error ?? null;
      }
      this.#emit('connection');
      this.#emit('list');
    });
    client.on('conversations', ({ changed, removed }) => {
      for (const id of removed) {
        this.#timelines.get(id)?.close();
        this.#timelines.delete(id);
      }
      this.#list();
      for (const c of changed) if (c.kind === 'direct') this.#emit('markers', c.id);
    });
    client.on('outgoing', (outgoing) => {
      const waits = ['queued', 'sending', 'failed'].includes(outgoing.status);
      if (waits) this.#outgoing.set(outgoing.clientId, outgoing);
      else this.#outgoing.delete(outgoing.clientId);
      this.#list();
    });
    client.on('member', ({ conversation }) => this.#emit('member', conversation));
    client.on('session', () => {
      this.#ask(this.me.id);
      for (const c of this.conversations) if (c.unread > 0) this.#deliver(c.id, c.seq);
    });
    client.onMessage((message) => {
      this.#emit('message', message);
      if (message.from !== this.me.id) this.#deliver(message.conversation, message.seq);
    });
    client.init();
  }

  #list() {
    const time = (c) => Math.max(c.lastMessage?.time ?? c.createdAt ?? 0, this.lastOf(c.id)?.message.time ?? 0);
    this.conversations = this.#client.conversations.list().sort((a, b) => time(b) - time(a));
    this.#emit('list');
  }

  /** Calls listener for an event. Returns off. */
  on(type, listener) {
    const all = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, all.add(listener));
    return () => all.delete(listener);
  }

  #emit(type, detail) {
    for (const listener of [...(this.#listeners.get(type) ?? [])]) listener(detail);
  }

  /** Ends a wait for the next attempt: the SDK tries at once when the browser comes back online. */
  connectNow() {
    dispatchEvent(new Event('online'));
  }

  async leaveApp() {
    await this.#client.logout();
    location.assign('/');
  }

  // --- people

  /** A profile {id, name, avatar}: what is known now; 'profiles' tells when there is more. */
  profile(id) {
    const known = this.#client.contacts.peek(id);
    this.#ask(id);
    const { name, avatar } = known?.name ? known : (this.#people.get(id) ?? {});
    return { id, name: name || id, avatar };
  }

  /** Asks once for each, and for all of one moment together: a list of hundreds is drawn once more, not hundreds of times. */
  #ask(id) {
    if (this.#asked.has(id)) return;
    this.#asked.add(id);
    if (this.#wanted.push(id) > 1) return;
    queueMicrotask(() => {
      const ids = this.#wanted.splice(0);
      this.#client.contacts.profiles(ids).then(
        () => this.#emit('profiles'),
        () => ids.forEach((failed) => this.#asked.delete(failed)),
      );
    });
  }

  /** Whom one may want to write to. */
  knownPeople() {
    const all = new Map(this.#people);
    for (const c of this.conversations) if (c.peer && !all.has(c.peer)) all.set(c.peer, this.profile(c.peer));
    return [...all.values()];
  }

  async loadPeople() {
    if (this.#people.size > 0) return;
    const list = await fetch('/people').then(
      (r) => (r.ok ? r.json() : []),
      () => [],
    );
    for (const p of list) this.#people.set(p.id, p);
  }

  // --- conversations

  conversation(id) {
    return this.#client.conversations.peek(id);
  }

  title(c) {
    return c.kind === 'direct' ? this.profile(c.peer).name : c.title || c.id;
  }

  /** The newest message of a conversation, those on their way included, as an item; or undefined. */
  lastOf(id) {
    let last;
    for (const o of this.#outgoing.values()) if (o.params.to.conversation === id) last = o;
    if (last) return this.#itemOf({ type: 'outgoing', key: last.clientId, outgoing: last });
    const message = this.conversation(id)?.lastMessage;
    return message && { kind: 'message', key: '', message, status: 'sent', error: null };
  }

  async createDirect(user) {
    return (await this.#client.conversations.open({ user })).id;
  }

  async createGroup(title, members) {
    return (await this.#client.groups.create({ title, members })).id;
  }

  markRead(id, seq) {
    const c = this.conversation(id);
    if (!c || c.unread === 0 || seq <= Math.max(c.readSeq, this.#reading.get(id) ?? 0)) return;
    this.#reading.set(id, seq);
    const ended = () => this.#reading.get(id) === seq && this.#reading.delete(id);
    this.#client.conversations.markRead(id, seq).then(ended, ended); // after a failure the next look repeats it
  }

  /** How far the other one of a direct conversation has come. */
  peerMarker(id) {
    return this.conversation(id)?.markers?.[0] ?? { read: 0, delivered: 0 };
  }

  /** Tells the other one of a direct conversation that his messages are here. */
  #deliver(id, seq) {
    if (this.conversation(id)?.kind !== 'direct') return;
    const waiting = this.#delivered.has(id);
    this.#delivered.set(id, Math.max(seq, this.#delivered.get(id) ?? 0));
    if (waiting) return;
    setTimeout(() => {
      const delivered = this.#delivered.get(id);
      this.#delivered.delete(id);
      this.#client.call('conversation.mark', { conversation: id, delivered }).catch(() => {});
    }, deliveredAfter);
  }

  // --- members

  /** The members of a group: {list, count, error, load(), onChange(fn)}. */
  members(id) {
    const chat = this;
    let shown = () => {};
    return {
      list: [],
      error: null,
      get count() {
        return chat.conversation(id)?.members ?? this.list.length;
      },
      async load() {
        try {
          this.list = (await chat.#client.groups.members(id)).filter((m) => !m.left);
          this.error = null;
        } catch (error) {
          this.error = error;
        }
        shown();
      },
      onChange(listener) {
        shown = listener;
        const off = chat.on('member', (conversation) => conversation === id && this.load());
        return () => {
          shown = () => {};
          off();
        };
      },
    };
  }

  /** {changed, reason} */
  async addMember(id, user) {
    const [result] = await this.#client.groups.addMembers(id, [user]);
    return result;
  }

  removeMember(id, user) {
    return this.#client.groups.removeMembers(id, [user]);
  }

  leave(id) {
    return this.removeMember(id, this.me.id);
  }

  // --- messages

  send(id, text) {
    this.#client.sendMessage({ to: { conversation: id }, content: text }).then(null, () => {}); // the item tells
  }

  retry(item) {
    this.#client.messages.resend(item.key).then(null, () => {});
  }

  discard(item) {
    this.#client.messages.discard(item.key);
  }

  /**
   * The messages of a conversation: {items, more, loading, error, older(),
   * fill(gap), onChange(fn)}. An item is a gap {kind, from, to} or a message
   * {kind, key, message, status, error}.
   */
  timeline(id) {
    const kept = this.#timelines.get(id) ?? this.#newTimeline(id);
    this.#timelines.delete(id);
    this.#timelines.set(id, kept); // the newest is last
    for (const [old, t] of this.#timelines) {
      if (this.#timelines.size <= keptTimelines) break;
      this.#timelines.delete(old);
      t.close();
    }
    return kept;
  }

  #newTimeline(id) {
    const source = this.#client.messages.timeline(id);
    const itemOf = (item) => this.#itemOf(item);
    let from;
    let items = [];
    let olderError = null;
    const listeners = new Set();
    const tell = () => {
      for (const listener of [...listeners]) listener();
    };
    source.subscribe(tell);
    return {
      get items() {
        if (from !== source.items) {
          from = source.items;
          items = from.map(itemOf);
        }
        return items;
      },
      get more() {
        return source.hasOlder;
      },
      get loading() {
        return source.loading || (!source.loaded && !source.error);
      },
      get error() {
        return source.loaded ? olderError : source.error;
      },
      async older() {
        olderError = null;
        try {
          await source.loadOlder();
        } catch (error) {
          olderError = error;
          tell();
        }
      },
      fill: (gap) => source.fill(gap).catch(() => {}),
      onChange(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      close: () => source.close(),
    };
  }

  #itemOf(item) {
    if (item.type === 'gap') return { kind: 'gap', key: item.key, from: item.from, to: item.to };
    if (item.type === 'message')
      return { kind: 'message', key: item.key, message: item.message, status: 'sent', error: null };
    const { clientId, params, time, status, error } = item.outgoing;
    const content = typeof params.content === 'string' ? { text: params.content } : params.content;
    return {
      kind: 'message',
      key: item.key,
      message: { clientId, from: this.me.id, time, type: params.type ?? 'text', content },
      status: status === 'failed' ? 'failed' : 'sending',
      error: error ?? null,
    };
  }
}
