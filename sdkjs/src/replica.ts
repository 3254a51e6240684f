import type { Core } from './core.js';
import { toIMError } from './errors.js';
import type { Conversation, Message, ServerEvents, SyncResult } from './protocol.js';
import type { Rpc } from './rpc.js';
import type { Timeline } from './timeline.js';
import { mergeMessage, mergeOwn, mergeReceipt, mergeRow } from './view.js';
import { later, retrying } from './wait.js';

/** Messages that were left out because the client was too far behind. */
export interface Gap {
  conversation: string;
  /** The first and the last seq that onMessage was not called for. */
  from: number;
  to: number;
}

/** What a change of the list of conversations touched. */
export interface ConversationsChange {
  changed: Conversation[];
  /** The ids of those that are no longer mine. */
  removed: string[];
}

/** What is held of the conversations at one moment, newest first; without a cursor it is not all. */
export interface Saved {
  epoch: string;
  cursor: string;
  /** Of each what is known, and the rev up to which every change was applied. */
  conversations: Array<{ view: Conversation; rev: number }>;
}

/** One conversation as it is known here. */
interface Entry {
  view: Conversation;
  /** Every change up to this one was applied. */
  rev: number;
  /** A change up to this one was told before. */
  past: number;
  /** A rev that is known to exist. */
  target: number;
  /** Every message up to this seq was given to onMessage, or is older than what it wants. */
  told: number;
  /** It is from the cache: what came before this client is history. */
  restored: boolean;
  /** Events that came before their turn: the message, or null where it is not for us. */
  held: Map<number, Message | null>;
  /** The hole may close by itself for a while yet. */
  waiting: boolean;
  repair: Promise<void> | undefined;
}

/** One change of a conversation. */
interface Step {
  rev: number;
  /** Null: it is not for us. */
  message: Message | null;
}

/** The events that are about conversations. */
type Applied = 'message' | 'skip' | 'conversation' | 'self' | 'receipt' | 'member' | 'gap';

/** Revs arrive in order unless one was lost; how long to wait before that is believed. */
const holdMs = 300;
/** Further behind than so many pages the client takes the newest page and leaves a gap. */
const maxPages = 5;
const limit = 100;
const maxWithin = 16;

/**
 * What this client knows of its conversations, kept by revision: every event
 * carries the rev of its conversation, mine+1 is applied, what is not above
 * mine is old, what is further above is a hole and message.changes fills it.
 * So events may be lost, doubled and reordered, and overlap with any answer.
 * @internal
 */
export class Replica {
  /** What is shown, and so must be kept up to date. */
  readonly timelines = new Set<Timeline>();
  readonly #core: Core;
  readonly #entries = new Map<string, Entry>();
  /** Events of conversations that are not known yet. */
  readonly #unknown = new Map<string, Step[]>();
  /** Events that came before a sync was answered; null: it was. */
  #early: Array<[string, unknown]> | null = [];
  #cursor = '';
  epoch = '';
  /** The server's time when this client first came: what is older is history. */
  #since = 0;
  /** There was a sync. */
  #synced = false;
  /** Conversations that changed and were not announced yet. */
  readonly #touched = new Set<string>();

  constructor(core: Core) {
    this.#core = core;
  }

  get(id: string): Conversation | undefined {
    return this.#entries.get(id)?.view;
  }

  /** The direct conversation with a user, where it is known. */
  withPeer(user: string): string | undefined {
    for (const { view } of this.#entries.values()) if (view.peer === user) return view.id;
    return undefined;
  }

  all(): Conversation[] {
    return [...this.#entries.values()].map((e) => e.view);
  }

  clear(): void {
    for (const id of this.#entries.keys()) this.#forget(id, true);
    this.#unknown.clear();
    this.#begin('', 0);
  }

  /** Another history begins: no rev and no cursor is of it. */
  #begin(epoch: string, since: number): void {
    this.epoch = epoch;
    this.#since = since;
    this.#cursor = '';
    this.#synced = false;
  }

  /** What to keep, of at most so many conversations. Without all of them the cursor would hide the others. */
  saved(max: number): Saved {
    const time = ({ view }: Entry) => view.lastMessage?.time ?? view.createdAt ?? 0;
    const all = [...this.#entries.values()].sort((a, b) => time(b) - time(a));
    const conversations = all.slice(0, max).map(({ view, rev }) => ({ view, rev }));
    return { epoch: this.epoch, cursor: all.length > max ? '' : this.#cursor, conversations };
  }

  /** Begins with what was held before, until a sync has told what changed since. */
  restore({ epoch, cursor, conversations }: Saved): void {
    if (this.epoch || this.#entries.size) return;
    for (const { view, rev } of conversations) {
      if (!Number.isInteger(rev + view.rev)) throw new Error('a conversation without a rev');
      this.#entry(mergeRow(view, view), rev).restored = true;
      this.#announce(view.id);
    }
    this.epoch = epoch;
    this.#cursor = cursor;
  }

  /** What is shown of a conversation is of that rev: what came since is applied again. */
  async rewind(id: string, rev: number): Promise<void> {
    const e = this.#entries.get(id);
    if (!e) return;
    while (e.repair) await e.repair; // it began later
    if (rev >= e.rev || !this.#valid(e)) return;
    e.past = Math.max(e.past, e.rev);
    e.rev = rev;
    this.#behind(e, e.past, 0);
  }

  /** The rev of a conversation up to which everything was applied. */
  revOf(id: string): number | undefined {
    return this.#entries.get(id)?.rev;
  }

  /** From now on events wait until a sync has been answered; what waited before is told by it. */
  disconnected(): void {
    this.#early = [];
  }

  /** Catches up with the server: at the beginning of a session, and now and then. */
  async sync(
    rpc: Pick<Rpc, 'call'>,
    session: { user: string; epoch: string; serverTime: number },
  ): Promise<void> {
    await this.#core.identify(session.user);
    if (this.epoch !== session.epoch) {
      for (const id of this.#entries.keys()) this.#forget(id); // no rev of ours is valid
      if (this.epoch) await this.#core.cache.drop();
      this.#begin(session.epoch, session.serverTime);
    }
    this.#since ||= session.serverTime;
    const first = !this.#synced;
    let snapshot = this.#cursor ? null : new Set<string>();
    let cursor = this.#cursor;
    let page: SyncResult;
    let pages = 0;
    let rows = 0;
    do {
      page = await rpc.call('sync', { limit, cursor: cursor || undefined }, { timeoutMs: 15_000 }, (p) => {
        if (p.reset) snapshot = new Set();
        for (const row of p.conversations) {
          snapshot?.add(row.id);
          this.#row(row, first);
        }
        return p;
      });
      cursor = page.cursor;
      rows += page.conversations.length;
      this.#core.emitter.emit('syncing', { pages: ++pages, rows, done: !page.more });
    } while (page.more);
    this.#cursor = cursor;
    this.#synced = true;
    if (snapshot) for (const id of this.#entries.keys()) if (!snapshot.has(id)) this.#forget(id, true);
    const early = this.#early ?? [];
    this.#early = null;
    for (const e of this.#entries.values()) if (first && e.restored) this.#history(e);
    for (const [name, params] of early) this.event(name, params);
    this.#core.cache.touch();
    for (const e of this.#entries.values()) this.#behind(e, e.rev, 0);
  }

  /** An event of the server. False: it is not one of conversations. */
  event(name: string, params: unknown): boolean {
    if (!Object.hasOwn(this.#events, name)) return false;
    if (this.#early) this.#early.push([name, params]);
    else (this.#events[name as Applied] as (e: unknown) => void)(params);
    return true;
  }

  readonly #events: { [K in Applied]: (e: ServerEvents[K]) => void } = {
    message: (m) => this.step(m.conversation, { rev: m.rev, message: m }),
    skip: (e) => this.step(e.conversation, { rev: e.rev, message: null }),
    conversation: (c) => {
      if (c.left || c.role || this.#entries.has(c.id)) this.#row(c);
      else this.#discover(c.id); // the head alone: my own state of it must be asked for
    },
    self: (o) => this.update(o.conversation, (c) => mergeOwn(c, o)),
    receipt: (e) => {
      this.update(e.conversation, (c) => mergeReceipt(c, e));
      this.#core.emitter.emit('receipt', e);
    },
    member: (e) => {
      const { memberRev, members } = e;
      this.update(e.conversation, (c) => (memberRev < c.memberRev ? c : { ...c, memberRev, members }));
      this.#core.emitter.emit('member', e);
    },
    gap: ({ conversation, rev = 0 }) => {
      const e = this.#entries.get(conversation ?? '');
      if (e) this.#behind(e, rev, 0);
      else if (conversation) this.#discover(conversation);
      else this.#core.resync();
    },
  };

  /** A receipt or an event: one more change of a conversation. */
  step(id: string, { rev, message }: Step): void {
    const e = this.#entries.get(id);
    if (!e) return void this.#discover(id, { rev, message });
    if (rev > e.rev) {
      e.held.set(rev, message);
      this.#advance(e);
      if (e.held.size) this.#behind(e, rev, holdMs);
    } else if (message) this.#keep(e, message);
  }

  /** Something about a conversation is another. */
  update(id: string, change: (c: Conversation) => Conversation): void {
    const e = this.#entries.get(id);
    if (!e) return;
    const { markers } = e.view;
    e.view = change(e.view);
    if (e.view.markers !== markers) this.#core.outbox.marked(e.view);
    this.#announce(id);
  }

  /** A conversation that an operation answered. */
  learn(c: Conversation): Conversation {
    this.#row(c);
    return this.get(c.id) ?? c;
  }

  #row(row: Conversation, first = false): void {
    const { id, rev, left } = row;
    const e = this.#entries.get(id);
    if (left) return this.#forget(id, true);
    if (!e) return this.#add(row, first);
    this.update(id, (c) => mergeRow(c, row));
    this.#behind(e, rev, holdMs);
  }

  /**
   * A conversation that was not known. What it has is history, except what the
   * user has not seen of one that appeared while the client ran, and what came
   * between the session's beginning and its first sync.
   */
  #add(row: Conversation, first: boolean, steps: Step[] = []): void {
    const view = mergeRow(row, row);
    const { id, kind, rev, seq, seen, unread, lastMessage } = view;
    const e = this.#entry(view, rev);
    this.#announce(id);

    const arrived = Math.min(...steps.map((s) => s.message?.seq ?? Infinity));
    const isRecent = (m?: Message) => m && m.time >= this.#since;
    if (!this.#wanted(e) || !(arrived <= seq || isRecent(lastMessage) || (unread && !first))) return;
    const me = this.#core.me();
    const isNews = (m: Message) =>
      m.seq >= arrived ||
      (isRecent(m) && (first || kind === 'direct' || m.from === me)) ||
      (!first && m.from !== me && m.count > seen);
    this.#attempt(e, async () => {
      const { messages, from, to, firstSeq } = await this.#core.connection.call('message.list', {
        conversation: id,
        limit,
      });
      const news = messages.find(isNews);
      e.told = (news?.seq ?? to + 1) - 1;
      const older = news && news === messages[0] ? news.count - 1 - seen : 0; // of what was not seen
      if (older > 0) this.#gap(id, Math.max(firstSeq, from - older), from);
      for (const m of messages) this.#show(e, m);
    });
  }

  #entry(view: Conversation, rev: number): Entry {
    const e: Entry = {
      ...{ view, rev, past: 0, target: Math.max(rev, view.rev), told: view.seq, restored: false },
      ...{ held: new Map(), waiting: false, repair: undefined },
    };
    this.#entries.set(view.id, e);
    return e;
  }

  /** What the cache lacks and nobody looks at is not asked for, unless it has come since this client did. */
  #history(e: Entry): void {
    const { lastMessage, rev, seq } = e.view;
    if ((lastMessage?.time ?? 0) >= this.#since) return;
    e.told = seq;
    if (!this.#shown(e.view.id).length) e.rev = Math.max(e.rev, rev);
  }

  /** A conversation that is no longer mine, or of which nothing known is valid. */
  #forget(id: string, gone = false): void {
    if (!this.#entries.delete(id)) return;
    for (const t of this.#shown(id)) t.reset(gone);
    this.#core.cache.remove([id]);
    this.#announce(id);
  }

  /** Asks for a conversation that an event names, and applies the event then. */
  async #discover(id: string, step?: Step): Promise<void> {
    const steps = this.#unknown.get(id) ?? [];
    if (step) steps.push(step);
    if (this.#unknown.has(id)) return;
    this.#unknown.set(id, steps);
    await retrying(() => this.#look(id, steps)).catch(() => {}); // it is not mine, or not any more
    this.#unknown.delete(id);
    if (this.#entries.has(id)) for (const s of steps) this.step(id, s);
  }

  /** Asks for a conversation. */
  #look(id: string, steps?: Step[]): Promise<void> {
    return this.#core.connection.call('conversation.get', { conversation: id }, {}, (row) => {
      if (this.#entries.has(id)) this.#row(row);
      else this.#add(row, false, steps);
    });
  }

  #shown(id: string): Timeline[] {
    return [...this.timelines].filter((t) => t.conversation === id);
  }

  /** Somebody looks at the conversation or hears its messages. */
  #wanted(e: Entry): boolean {
    return this.#core.emitter.has('message') || this.#shown(e.view.id).length > 0;
  }

  /** Applies what is held, as far as it is contiguous. */
  #advance(e: Entry): void {
    if (e.repair) return; // its result comes first: messages are told in the order of seq
    for (const rev of e.held.keys()) if (rev <= e.rev) e.held.delete(rev);
    for (let m = e.held.get(e.rev + 1); m !== undefined; m = e.held.get(e.rev + 1)) {
      if (m) this.#show(e, m);
      e.held.delete(++e.rev);
    }
  }

  /** rev exists: if it does not come by itself in time, it is asked for. */
  #behind(e: Entry, rev: number, waitMs: number): void {
    e.target = Math.max(e.target, rev);
    if (e.rev >= e.target || this.#early || !this.#valid(e)) return;
    const wanted = this.#wanted(e);
    if (!wanted && e.view.rev >= e.target) this.#leap(e);
    else if (!waitMs) this.#attempt(e, () => (wanted ? this.#fill(e) : this.#look(e.view.id)));
    else if (!e.waiting) {
      e.waiting = true;
      later(waitMs, () => {
        e.waiting = false;
        this.#behind(e, rev, 0);
      });
    }
  }

  /** Its id does not name another by now. */
  #valid(e: Entry): boolean {
    return this.#entries.get(e.view.id) === e;
  }

  /** Gives up what is missing. */
  #leap(e: Entry): void {
    for (const [, m] of [...e.held].sort(([a], [b]) => a - b)) if (m) this.#show(e, m);
    e.held.clear();
    e.rev = e.target;
    e.told = Math.max(e.told, e.view.seq);
  }

  /** One message in its new state, before the rev of the conversation moves. */
  #show(e: Entry, m: Message): void {
    const { emitter, outbox, me } = this.#core;
    this.#keep(e, m);
    if (m.seq > e.told) {
      e.told = m.seq;
      const isHistory = e.restored && m.time < this.#since;
      if (!isHistory && (m.from !== me() || !outbox.sentHere(m.clientId))) emitter.emit('message', m);
    } else if (m.rev > Math.max(e.rev, e.past) && (m.editedAt || m.recalled))
      emitter.emit('messageChanged', m);
  }

  /** A message that may have been applied before: its newest state counts. */
  #keep(e: Entry, m: Message): void {
    const me = this.#core.me();
    this.update(e.view.id, (c) => mergeMessage(c, m, me));
    for (const t of this.#shown(e.view.id)) t.merge(m);
    if (m.from === me) this.#core.outbox.placed(m);
  }

  #gap(conversation: string, from: number, to: number): void {
    if (from < to) this.#core.emitter.emit('gap', { conversation, from, to: to - 1 });
  }

  /** Does a repair of the conversation, one at a time, until it works or the conversation is not ours any more. */
  #attempt(e: Entry, work: () => Promise<void>): void {
    const { id } = e.view;
    const valid = () => this.#valid(e);
    e.repair ??= retrying(async () => {
      if (!valid()) return;
      const asked = e.target;
      await work();
      // An event never comes before what it tells: what the answer lacks does not exist.
      for (const rev of e.held.keys()) if (rev <= asked) e.held.delete(rev);
      if (e.target === asked) e.target = Math.max(e.rev, e.view.rev);
    })
      .catch((thrown) => {
        if (toIMError(thrown).reason === 'not_found') this.#forget(id, true);
        else if (this.#core.connection.rpc) {
          this.#leap(e);
          for (const t of this.#shown(id)) t.reset(); // what it shows is not true for that rev
        } // else the next sync finds it again
      })
      .then(() => {
        e.repair = undefined;
        if (!valid()) return;
        this.#advance(e);
        this.#behind(e, Math.max(0, ...e.held.keys()), holdMs);
      });
  }

  /** Asks what changed since mine, and applies it; far behind, it takes the newest page and leaves a gap. */
  async #fill(e: Entry): Promise<void> {
    const { id } = e.view;
    if (e.target - e.rev <= maxPages * limit) {
      const all = await this.#changes(e);
      if (all) return this.#apply(e, all.messages, all.rev);
    }
    const within = this.#shown(id).flatMap((t) => t.ranges());
    within.sort((a, b) => b[1] - a[1]).splice(maxWithin);
    const loaded = within.length ? await this.#changes(e, within) : null;
    await this.#look(id);
    const page = await this.#core.connection.call('message.list', { conversation: id, limit });
    for (const t of this.#shown(id)) {
      for (const m of loaded?.messages ?? []) t.merge(m);
      t.page(page);
    }
    this.#gap(id, e.told + 1, page.from);
    this.#apply(e, page.messages, loaded?.rev ?? page.rev);
  }

  /** All changes since mine; null: too many, and what is loaded is not valid any more. */
  async #changes(
    e: Entry,
    within?: Array<[number, number]>,
  ): Promise<{ messages: Message[]; rev: number } | null> {
    const { id } = e.view;
    const messages: Message[] = [];
    let { rev } = e;
    for (;;) {
      const page = await this.#core.connection.call('message.changes', {
        conversation: id,
        rev,
        limit,
        within,
      });
      if (page.rev < rev) {
        this.#forget(id); // ours is of another history
        void this.#discover(id);
        return { messages: [], rev };
      }
      if (page.reset) {
        for (const t of this.#shown(id)) t.reset();
        return null;
      }
      const { conversation } = page;
      if (conversation) this.update(id, (c) => mergeRow(c, conversation));
      messages.push(...page.messages);
      rev = page.rev;
      if (!page.more) return { messages, rev };
    }
  }

  #apply(e: Entry, messages: Message[], rev: number): void {
    for (const m of messages.sort((a, b) => a.seq - b.seq)) this.#show(e, m);
    e.rev = Math.max(e.rev, rev);
  }

  /** Tells that a conversation changed or is gone: once for all that happens in the same breath. */
  #announce(id: string): void {
    this.#core.cache.touch();
    if (!this.#touched.size) {
      queueMicrotask(() => {
        const ids = [...this.#touched];
        this.#touched.clear();
        const changed = ids.flatMap((i) => this.get(i) ?? []);
        this.#core.emitter.emit('conversations', { changed, removed: ids.filter((i) => !this.get(i)) });
      });
    }
    this.#touched.add(id);
  }
}
