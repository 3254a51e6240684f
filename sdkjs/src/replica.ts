import { toIMError } from './errors.js';
import type { Conversation, MarkResult, Message, OwnResult, ServerEvents, SyncResult } from './protocol.js';
import type { Operation, Params, Result, Rpc } from './rpc.js';
import type { Timeline } from './timeline.js';
import { mergeMark, mergeMessage, mergeOwn, mergeReceipt, mergeRow } from './view.js';
import { sleep, type Wait } from './wait.js';

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

/** @internal */
export interface ReplicaHost {
  call<O extends Operation>(op: O, params: Params<O>, wait?: Wait): Promise<Result<O>>;
  me(): string;
  /** This client sent the message with this clientId itself. */
  sentHere(clientId: string): boolean;
  /** A message that this client sent has its place now. */
  placed(clientId: string): void;
  /** Somebody wants to hear of every message. */
  listening(): boolean;
  message(m: Message): void;
  changed(m: Message): void;
  conversations(c: ConversationsChange): void;
  event<K extends 'receipt' | 'member'>(type: K, e: ServerEvents[K]): void;
  gap(g: Gap): void;
  /** Events of any conversation may be lost: sync. */
  lost(): void;
}

/** One conversation as it is known here. */
interface Entry {
  view: Conversation;
  /** Every change up to this one was applied. */
  rev: number;
  /** Every message up to this seq was given to onMessage, or is older than what it wants. */
  told: number;
  /** A rev that is known to exist. */
  target: number;
  /** Events that came before their turn. */
  held: Map<number, Message | null>;
  holding: boolean;
  repair: Promise<void> | undefined;
}

/** An event of one conversation: rev, and the message or null where it is not for us. */
type Step = { rev: number; message: Message | null };

/** The events that are about conversations. */
type Applied = 'message' | 'skip' | 'conversation' | 'self' | 'receipt' | 'member' | 'gap';

/** Revs arrive in order unless one was lost; how long to wait before that is believed. */
const holdMs = 300;
/** Further behind than so many pages the client takes the newest page and leaves a gap. */
const maxPages = 5;
const pageLimit = 100;
const maxWithin = 16;
const repairRetryMs = 1000;

/**
 * What this client knows of its conversations, kept by revision: every event
 * carries the rev of its conversation, mine+1 is applied, what is not above
 * mine is old, what is further above is a hole and message.changes fills it.
 * So events may be lost, doubled and reordered, and overlap with any answer.
 * @internal
 */
export class Replica {
  readonly timelines = new Map<string, Set<Timeline>>();
  readonly #entries = new Map<string, Entry>();
  readonly #peers = new Map<string, string>();
  /** Events of conversations that are not known yet. */
  readonly #unknown = new Map<string, Step[]>();
  /** Events that came before the first sync was answered. */
  #early: Array<[string, unknown]> | null = [];
  #cursor = '';
  #epoch = '';
  /** The server's time when this client first came: what is older is history. */
  #since = 0;
  #touched = new Set<string>();
  #removed = new Set<string>();
  #announcing = false;

  constructor(private readonly host: ReplicaHost) {}

  get(id: string): Conversation | undefined {
    return this.#entries.get(id)?.view;
  }

  /** The direct conversation with a user, where it is known. */
  withPeer(user: string): string | undefined {
    return this.#peers.get(user);
  }

  all(): Conversation[] {
    return [...this.#entries.values()].map((e) => e.view);
  }

  clear(): void {
    for (const id of [...this.#entries.keys()]) this.#forget(id);
    this.#unknown.clear();
    this.#cursor = this.#epoch = '';
    this.disconnected();
  }

  /** From now on events wait until a sync has been answered. */
  disconnected(): void {
    this.#early ??= [];
  }

  /** Catches up with the server: at the beginning of a session, and now and then. */
  async sync(rpc: Pick<Rpc, 'call'>, session: { epoch: string; serverTime: number }): Promise<void> {
    if (this.#epoch !== session.epoch) {
      for (const id of [...this.#entries.keys()]) this.#drop(id);
      this.#cursor = '';
      this.#epoch = session.epoch;
      this.#since = session.serverTime;
    }
    const first = this.#cursor === '';
    let cursor = this.#cursor;
    let snapshot: Set<string> | null = first ? new Set() : null;
    let page: SyncResult;
    do {
      page = await rpc.call(
        'sync',
        { limit: pageLimit, ...(cursor ? { cursor } : {}) },
        { timeoutMs: 15_000 },
      );
      if (page.reset) snapshot = new Set();
      for (const row of page.conversations) {
        snapshot?.add(row.id);
        this.#row(row, first);
      }
      cursor = page.cursor;
    } while (page.more);
    this.#cursor = cursor;
    if (snapshot) for (const id of [...this.#entries.keys()]) if (!snapshot.has(id)) this.#forget(id);
    const early = this.#early ?? [];
    this.#early = null;
    for (const [name, params] of early) this.event(name, params);
    for (const e of this.#entries.values()) if (e.rev < e.target) void this.#repair(e);
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
      if (c.left || c.role || this.#entries.has(c.id)) this.#row(c, false);
      else this.#discover(c.id); // the head alone: my own state of it must be asked for
    },
    self: (o) => this.own(o.conversation, o),
    receipt: (e) => {
      this.#update(e.conversation, (c) => mergeReceipt(c, e));
      this.host.event('receipt', e);
    },
    member: (e) => {
      const { memberRev, members } = e;
      this.#update(e.conversation, (c) => (memberRev >= c.memberRev ? { ...c, memberRev, members } : c));
      this.host.event('member', e);
    },
    gap: ({ conversation, rev }) => {
      const e = this.#entries.get(conversation ?? '');
      if (e) this.#behind(e, rev ?? e.rev + 1, 0);
      else if (conversation) this.#discover(conversation);
      else this.host.lost();
    },
  };

  /** A receipt or an event: one more change of a conversation. */
  step(id: string, s: Step): void {
    const e = this.#entries.get(id);
    if (!e) return this.#discover(id, s);
    if (s.rev <= e.rev) {
      if (s.message) this.#keep(e, s.message);
      return;
    }
    e.held.set(s.rev, s.message);
    this.#advance(e);
    if (e.held.size === 0) return;
    if (this.#wanted(e)) this.#behind(e, s.rev, holdMs);
    else this.#leap(e, s.rev);
  }

  own(id: string, o: OwnResult): void {
    this.#update(id, (c) => mergeOwn(c, o));
  }

  marked(id: string, m: MarkResult): void {
    this.#update(id, (c) => mergeMark(c, m));
  }

  /** A conversation that an operation answered. */
  learn(c: Conversation): Conversation {
    this.#row(c, false);
    return this.get(c.id) ?? c;
  }

  // Rows

  #row(row: Conversation, first: boolean): void {
    if (row.left) return this.#forget(row.id);
    const known = this.#entries.get(row.id);
    if (known) {
      this.#update(row.id, (c) => mergeRow(c, row));
      this.#behind(known, row.rev, holdMs);
      return;
    }
    this.#add(row, first, []);
  }

  /**
   * A conversation that was not known. What it has is history, except what the
   * user has not seen of one that appeared while the client ran, and what came
   * between the session's beginning and its first sync.
   */
  #add(row: Conversation, first: boolean, steps: Step[]): Entry {
    const view = mergeRow(undefined, row);
    const e: Entry = {
      ...{ view, rev: view.rev, told: view.seq, target: view.rev, held: new Map(), holding: false },
      repair: undefined,
    };
    this.#entries.set(view.id, e);
    if (view.peer && view.kind === 'direct') this.#peers.set(view.peer, view.id);
    this.#announce(view.id);
    const recent = (view.lastMessage?.time ?? 0) >= this.#since;
    const arrived = Math.min(...steps.map((s) => s.message?.seq ?? Infinity));
    if (this.#wanted(e) && (arrived <= view.seq || (first ? recent : view.unread > 0 || recent))) {
      e.told = 0; // decided when the newest page is here
      e.repair = this.#attempt(e, () => this.#news(e, first, arrived)).then(() => this.#repaired(e));
    }
    return e;
  }

  /** Tells what is new in a conversation that is new itself. */
  async #news(e: Entry, first: boolean, arrived: number): Promise<void> {
    const { id, kind, seen } = e.view;
    const page = await this.host.call('message.list', { conversation: id, limit: pageLimit });
    const me = this.host.me();
    const isNew = (m: Message) => {
      if (m.seq >= arrived) return true;
      const recent = m.time >= this.#since;
      if (first) return recent;
      return (m.from !== me && m.count > seen) || (recent && (kind === 'direct' || m.from === me));
    };
    const news = page.messages.find(isNew);
    e.told = news ? news.seq - 1 : page.to;
    for (const m of page.messages) this.#show(e, m);
    e.told = Math.max(e.told, page.to);
  }

  #drop(id: string, gone = false): void {
    const e = this.#entries.get(id);
    if (!e) return;
    e.held.clear();
    this.#entries.delete(id);
    if (e.view.peer) this.#peers.delete(e.view.peer);
    for (const t of this.timelines.get(id) ?? []) t.reset(gone);
  }

  #forget(id: string): void {
    if (!this.#entries.has(id)) return;
    this.#drop(id, true);
    this.#touched.delete(id);
    this.#removed.add(id);
    this.#announceSoon();
  }

  /** Asks for a conversation that an event names, and applies the event then. */
  #discover(id: string, step?: Step): void {
    const waiting = this.#unknown.get(id);
    if (waiting) {
      if (step) waiting.push(step);
      return;
    }
    const steps = step ? [step] : [];
    this.#unknown.set(id, steps);
    const ask = async () => {
      for (;;) {
        try {
          return await this.host.call('conversation.get', { conversation: id });
        } catch (thrown) {
          const e = toIMError(thrown);
          if (!e.retryable) return undefined; // not mine, or not any more
          await sleep(e.retryAfterMs ?? repairRetryMs);
        }
      }
    };
    void ask().then((row) => {
      this.#unknown.delete(id);
      if (!row) return;
      if (!this.#entries.has(id)) this.#add(row, false, steps);
      else this.#row(row, false);
      for (const s of steps) this.step(id, s);
    });
  }

  // Changes

  /** Somebody looks at the conversation or hears its messages. */
  #wanted(e: Entry): boolean {
    return this.host.listening() || this.timelines.has(e.view.id);
  }

  /** Applies what is held, as far as it is contiguous. */
  #advance(e: Entry): void {
    if (e.repair) return; // its result comes first: seqs are told in order
    for (const rev of e.held.keys()) if (rev <= e.rev) e.held.delete(rev);
    for (let m = e.held.get(e.rev + 1); m !== undefined; m = e.held.get(e.rev + 1)) {
      e.held.delete(++e.rev);
      if (m) this.#show(e, m);
    }
  }

  /** Applies what is held although something is missing: nobody looks. */
  #leap(e: Entry, rev: number): void {
    for (const [, m] of [...e.held].sort(([a], [b]) => a - b)) if (m) this.#show(e, m);
    e.held.clear();
    e.rev = Math.max(e.rev, rev);
    e.told = Math.max(e.told, e.view.seq);
  }

  /** One message in its new state. */
  #show(e: Entry, m: Message): void {
    this.#keep(e, m);
    if (m.seq <= e.told) {
      if (m.editedAt || m.recalled) this.host.changed(m);
      return;
    }
    e.told = m.seq;
    if (!this.host.sentHere(m.clientId)) this.host.message(m);
  }

  /** A message that was applied before, or is older than what was: its newest state counts. */
  #keep(e: Entry, m: Message): void {
    this.#update(e.view.id, (c) => mergeMessage(c, m, this.host.me()));
    for (const t of this.timelines.get(e.view.id) ?? []) t.merge(m);
    if (this.host.sentHere(m.clientId)) this.host.placed(m.clientId);
  }

  /** rev exists: if it does not come by itself in time, it is asked for. */
  #behind(e: Entry, rev: number, waitMs: number): void {
    e.target = Math.max(e.target, rev);
    if (e.rev >= e.target || this.#early) return;
    if (!this.#wanted(e)) return this.#leap(e, e.target);
    if (waitMs === 0) return void this.#repair(e);
    if (e.holding) return;
    e.holding = true;
    void sleep(waitMs).then(() => {
      e.holding = false;
      if (e.rev < e.target) void this.#repair(e);
    });
  }

  #repair(e: Entry): Promise<void> {
    if (this.#entries.get(e.view.id) !== e) return Promise.resolve();
    if (!this.#wanted(e)) {
      this.#leap(e, e.target);
      return Promise.resolve();
    }
    e.repair ??= this.#attempt(e, () => this.#fill(e)).then(() => this.#repaired(e));
    return e.repair;
  }

  #repaired(e: Entry): void {
    e.repair = undefined;
    this.#advance(e);
    e.target = Math.max(e.target, ...e.held.keys());
    if (e.rev < e.target) this.#behind(e, e.target, holdMs);
  }

  /** Tries until it works, or the conversation is not ours any more. */
  async #attempt(e: Entry, work: () => Promise<void>): Promise<void> {
    for (let wait = repairRetryMs; this.#entries.get(e.view.id) === e; wait = Math.min(wait * 2, 30_000)) {
      try {
        return await work();
      } catch (thrown) {
        const error = toIMError(thrown);
        if (error.reason === 'not_found') return this.#forget(e.view.id);
        if (!error.retryable) return this.#leap(e, e.target);
        await sleep(error.retryAfterMs ?? wait);
      }
    }
  }

  /** Asks what changed since mine, and applies it. */
  async #fill(e: Entry): Promise<void> {
    const conversation = e.view.id;
    if (e.target - e.rev > maxPages * pageLimit) return this.#skip(e);
    const messages: Message[] = [];
    let rev = e.rev;
    for (let more = true; more; ) {
      const page = await this.host.call('message.changes', { conversation, rev, limit: pageLimit });
      if (page.reset) {
        for (const t of this.timelines.get(conversation) ?? []) t.reset();
        return this.#skip(e);
      }
      messages.push(...page.messages);
      if (page.conversation)
        this.#update(conversation, (c) => mergeRow(c, page.conversation as Conversation));
      ({ rev, more } = page);
    }
    this.#apply(e, messages, rev);
  }

  /** Takes the newest page, and of what is loaded the changes; what lies between stays a gap. */
  async #skip(e: Entry): Promise<void> {
    const conversation = e.view.id;
    const held = [...(this.timelines.get(conversation) ?? [])].flatMap((t) => t.ranges());
    const within = held.sort((a, b) => b[1] - a[1]).slice(0, maxWithin);
    const changed: Message[] = [];
    let rev = e.rev;
    for (let more = within.length > 0; more; ) {
      const page = await this.host.call('message.changes', { conversation, rev, limit: pageLimit, within });
      if (page.reset) {
        for (const t of this.timelines.get(conversation) ?? []) t.reset();
        within.length = 0;
        break;
      }
      changed.push(...page.messages);
      ({ rev, more } = page);
    }
    const page = await this.host.call('message.list', { conversation, limit: pageLimit });
    for (const m of changed) for (const t of this.timelines.get(conversation) ?? []) t.merge(m);
    for (const t of this.timelines.get(conversation) ?? []) t.page(page);
    const from = e.told + 1;
    if (from < page.from) this.host.gap({ conversation, from, to: page.from - 1 });
    this.#apply(e, page.messages, within.length ? rev : page.rev);
    e.told = Math.max(e.told, page.to);
    e.target = e.rev; // what came later arrives as events
  }

  #apply(e: Entry, messages: Message[], rev: number): void {
    for (const m of messages.sort((a, b) => a.seq - b.seq)) this.#show(e, m);
    e.rev = Math.max(e.rev, rev);
  }

  // Announcements: one for all that changed in the same breath

  #update(id: string, change: (c: Conversation) => Conversation): void {
    const e = this.#entries.get(id);
    if (!e) return;
    e.view = change(e.view);
    this.#announce(id);
  }

  #announce(id: string): void {
    this.#removed.delete(id);
    this.#touched.add(id);
    this.#announceSoon();
  }

  #announceSoon(): void {
    if (this.#announcing) return;
    this.#announcing = true;
    queueMicrotask(() => {
      this.#announcing = false;
      const changed = [...this.#touched].flatMap((id) => this.get(id) ?? []);
      const removed = [...this.#removed];
      this.#touched.clear();
      this.#removed.clear();
      this.host.conversations({ changed, removed });
    });
  }
}
