import type { Core } from './core.js';
import type { IMError } from './errors.js';
import type { Outgoing } from './outbox.js';
import type { ListParams, ListResult, Message } from './protocol.js';
import { readRecent, writeRecent } from './recent.js';
import type { Wait } from './wait.js';

/** Seqs that are not loaded, both ends included. */
export interface GapItem {
  type: 'gap';
  key: string;
  from: number;
  to: number;
}

/** What a timeline shows, oldest first. key stays the same while a message is sent and acknowledged. */
export type TimelineItem =
  | { type: 'message'; key: string; message: Message }
  | GapItem
  | { type: 'outgoing'; key: string; outgoing: Outgoing };

type Range = [from: number, to: number];

/**
 * The messages of one conversation, in order and alive: new ones, new states of
 * old ones, and what is being sent. It starts with the newest page. What is not
 * loaded between two parts that are is an item of its own, never a silent hole.
 */
export class Timeline {
  /** The newest page could not be loaded; null: it could, or is on its way. */
  error: IMError | null = null;
  /** The newest page is here. */
  loaded = false;
  /** Whatever is being loaded right now. */
  loading = false;

  readonly #core: Core;
  readonly #messages = new Map<number, Message>();
  /** What was loaded: disjoint, ascending, never adjacent. */
  #ranges: Range[] = [];
  /** There is nothing to read before this seq. */
  #firstSeq = 1;
  /** What came while a page was on its way, which may have been read before it. */
  readonly #fresh = new Map<number, Message>();
  #loads = 0;
  /** How often it began anew: a page that was asked for before is not its any more. */
  #life = 0;
  #older: Promise<void> | undefined;
  #items: readonly TimelineItem[] | undefined;
  #changing = false;
  #closed = false;
  /** What was stored of it is being looked for. */
  #restoring = false;
  /** Nothing here is another than what was stored. */
  #saved = true;
  readonly #off: () => void;
  readonly #listeners = new Set<(items: readonly TimelineItem[]) => void>();

  /** @internal */
  constructor(
    core: Core,
    readonly conversation: string,
  ) {
    this.#core = core;
    // A conversation that was lost and is mine again.
    this.#off = core.emitter.on('conversations', ({ changed }) => {
      const mine = changed.find((c) => c.id === conversation);
      if (!mine) return;
      this.#begin(mine.firstSeq);
      this.retry();
    });
    void this.restore();
  }

  /** Begins with what is stored of it, if anything is, and else with the newest page. @internal */
  async restore(): Promise<void> {
    if (this.loaded || this.#restoring) return;
    const { replica } = this.#core;
    const life = this.#life;
    this.#restoring = true;
    const page = await readRecent(this.#core, this.conversation);
    this.#restoring = false;
    if (this.#closed) return;
    const rev = replica.revOf(this.conversation);
    if (page && rev !== undefined && !this.loaded && life === this.#life) {
      this.page(page);
      this.#begin(page.firstSeq);
      this.#begin(replica.get(this.conversation)?.firstSeq);
      void replica.rewind(this.conversation, page.rev);
    } else this.retry();
  }

  /** Gives what is loaded to the cache. @internal */
  save(): void {
    const { owner, replica } = this.#core;
    const rev = replica.revOf(this.conversation);
    const newest = this.#ranges.at(-1);
    if (!owner || this.#saved || !this.loaded || rev === undefined || !newest) return;
    this.#saved = true;
    const [from, to] = newest;
    const messages = [...this.#messages.values()].filter((m) => m.seq >= from);
    messages.sort((a, b) => a.seq - b.seq);
    const { epoch } = replica;
    const recent = { epoch, rev, from, to, firstSeq: this.#firstSeq, messages };
    void writeRecent(this.#core, this.conversation, recent);
  }

  /** What to show. A new array after every change, the same one between changes. */
  get items(): readonly TimelineItem[] {
    this.#items ??= this.#compose();
    return this.#items;
  }

  /** There are older messages than the first item. */
  get hasOlder(): boolean {
    const first = this.#ranges[0];
    return first !== undefined && first[0] > this.#firstSeq;
  }

  /** Calls fn after every change, once for all changes of one moment. Returns off. */
  subscribe(fn: (items: readonly TimelineItem[]) => void): () => void {
    const listener = (items: readonly TimelineItem[]) => fn(items);
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Loads the page before the first item. Calls at the same time share it. */
  loadOlder(wait: Wait & { limit?: number } = {}): Promise<void> {
    const first = this.#ranges[0];
    if (this.loaded && !this.hasOlder) return Promise.resolve();
    const { limit, ...own } = wait;
    this.#older ??= this.#load(first ? { before: first[0] } : {}, limit, () => {
      this.#older = undefined;
    });
    return this.#core.shared(this.#older, own);
  }

  /** Loads a page into a gap, from its newer end. */
  fill(gap: { to: number }, wait: Wait & { limit?: number } = {}): Promise<void> {
    const { limit, ...own } = wait;
    return this.#core.shared(this.#load({ before: gap.to + 1 }, limit), own);
  }

  /** Ends it: no more changes, nothing is kept. */
  close(): void {
    if (this.#closed) return;
    this.save();
    this.#closed = true;
    this.#off();
    this.#listeners.clear();
    this.#core.replica.timelines.delete(this);
  }

  /** Loads the newest page, if it could not be loaded before. @internal */
  retry(): void {
    if (this.loaded || this.#older || this.#restoring) return;
    this.error = null;
    this.loadOlder().catch((e: IMError) => {
      this.error = e;
      this.changed();
    });
  }

  /** A message, new or in a new state. @internal */
  merge(m: Message): void {
    const newest = this.#ranges.at(-1);
    if (this.#ranges.some(([from, to]) => from <= m.seq && m.seq <= to)) this.#put(m);
    else if (this.loaded && m.seq > (newest?.[1] ?? 0)) {
      this.#cover(m.seq, m.seq);
      this.#put(m);
    } else if (this.#loads > 0) {
      const other = this.#fresh.get(m.seq);
      if (!other || m.rev >= other.rev) this.#fresh.set(m.seq, m);
    }
  }

  /** A page of messages, the newest one or another. @internal */
  page({ messages, from, to }: Pick<ListResult, 'messages' | 'from' | 'to'>, newest = true): void {
    if (newest) {
      this.loaded = true;
      this.error = null;
    }
    if (from <= to) this.#cover(from, to);
    for (const m of messages) this.#put(m);
    this.changed();
  }

  /** What is loaded. @internal */
  ranges(): Range[] {
    return this.#ranges.map(([from, to]) => [from, to]);
  }

  /** Forgets everything, and begins anew unless the conversation is gone. @internal */
  reset(gone = false): void {
    this.#life++;
    this.#messages.clear();
    this.#fresh.clear();
    this.#ranges = [];
    this.loaded = false;
    this.changed();
    if (!gone)
      void (this.#older ?? Promise.resolve()).then(
        () => this.retry(),
        () => this.retry(),
      );
  }

  /** Tells the listeners, soon. @internal */
  changed(): void {
    this.#items = undefined;
    this.#saved = false;
    this.#core.cache.touch();
    if (this.#changing) return;
    this.#changing = true;
    queueMicrotask(() => {
      this.#changing = false;
      for (const listener of [...this.#listeners]) {
        try {
          if (this.#listeners.has(listener)) listener(this.items); // another may have ended it
        } catch (e) {
          this.#core.logger.error('IMClient: a listener failed', e);
        }
      }
    });
  }

  async #load(
    where: Pick<ListParams, 'before'>,
    limit: number | undefined,
    ended?: () => void,
  ): Promise<void> {
    this.#loads++;
    this.loading = true;
    this.changed();
    const newest = where.before === undefined;
    const life = this.#life;
    try {
      const params = { conversation: this.conversation, ...where, limit };
      const page = await this.#core.connection.call('message.list', params);
      if (life !== this.#life) return;
      this.page(page, newest);
      this.#begin(page.firstSeq);
      if (!page.more && this.#ranges[0]?.[0] === page.from) this.#firstSeq = page.from;
      for (const m of [...this.#fresh.values()].sort((a, b) => a.seq - b.seq)) this.merge(m);
    } finally {
      ended?.(); // before the listeners hear of it: they may ask for more
      this.#loads--;
      this.loading = this.#loads > 0;
      if (!this.loading) this.#fresh.clear();
      this.changed();
    }
  }

  /** Forgets what is before the first seq that the server keeps. */
  #begin(firstSeq = 1): void {
    if (firstSeq <= this.#firstSeq) return;
    this.#firstSeq = firstSeq;
    this.#ranges = this.#ranges.flatMap(([from, to]) =>
      to < firstSeq ? [] : [[Math.max(from, firstSeq), to]],
    );
    for (const seq of this.#messages.keys()) if (seq < firstSeq) this.#messages.delete(seq);
    this.changed();
  }

  #put(m: Message): void {
    const known = this.#messages.get(m.seq);
    if (known && known.rev > m.rev) return;
    this.#messages.set(m.seq, m);
    this.changed();
  }

  /** Adds a range, joined with what it touches. */
  #cover(from: number, to: number): void {
    const joined: Range = [from, to];
    const apart = this.#ranges.filter((r) => {
      if (r[1] + 1 < joined[0] || joined[1] + 1 < r[0]) return true;
      joined[0] = Math.min(joined[0], r[0]);
      joined[1] = Math.max(joined[1], r[1]);
      return false;
    });
    this.#ranges = [...apart, joined].sort((a, b) => a[0] - b[0]);
  }

  #compose(): TimelineItem[] {
    const items: TimelineItem[] = [];
    const me = this.#core.me();
    const mine = new Set<string>();
    const messages = [...this.#messages.values()].sort((a, b) => a.seq - b.seq);
    let next = 0;
    this.#ranges.forEach(([from, to], i) => {
      const before = this.#ranges[i - 1];
      if (before) {
        const gap = { from: before[1] + 1, to: from - 1 };
        items.push({ type: 'gap', key: `gap-${gap.to}`, ...gap });
      }
      for (let m = messages[next]; m && m.seq <= to; m = messages[++next]) {
        if (m.from === me) mine.add(m.clientId);
        items.push({ type: 'message', key: m.from === me ? m.clientId : `${m.seq}`, message: m });
      }
    });
    for (const outgoing of this.#core.outbox.of(this.conversation)) {
      if (!mine.has(outgoing.clientId)) items.push({ type: 'outgoing', key: outgoing.clientId, outgoing });
    }
    return items;
  }
}
