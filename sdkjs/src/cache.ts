import type { Core } from './core.js';
import { onHide } from './platform.js';
import type { Profile } from './protocol.js';
import type { Saved } from './replica.js';
import { later } from './wait.js';

/** The list of conversations as it was held at one moment. Exported for the sake of its names: see OutboxRow. */
export interface Heads extends Saved {
  v: typeof version;
  profiles: Profile[];
}

/** Another layout is dropped: it is a cache. */
const version = 1;
const maxConversations = 1_000;
const maxLength = 4_000_000;
const saveAfterMs = 1_000;

/**
 * What is shown before the server has said anything, and without it: the list
 * of conversations, and the newest messages of those that were opened last.
 *
 *     <owner>cache/heads        the list and the cursor: one value, so that they are always of one moment
 *     <owner>cache/page/<id>    the messages of a conversation, with the rev that they are true for
 *     <owner>cache/used/<id>    when they were stored: the oldest go first
 *
 * Nothing in it is believed for longer than until the server answers: sync from
 * the cursor and message.changes from the rev tell everything that is not in it.
 * @internal
 */
export class Cache {
  readonly #core: Core;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #off: (() => void) | undefined;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Something is another: it is stored soon, or at once when the page may end. */
  touch(): void {
    if (this.#timer || !this.#core.owner) return;
    this.#timer = later(saveAfterMs, () => this.save());
    this.#off = onHide(this.#core.platform, () => this.save());
  }

  async restore(isCurrent: () => boolean): Promise<void> {
    const { store, replica, profiles } = this.#core;
    const stored = await store.read(this.key('heads'));
    if (stored === undefined || !isCurrent()) return;
    try {
      const heads: Heads = JSON.parse(stored as string);
      if (heads.v !== version) return await this.drop();
      replica.restore(heads);
      for (const p of heads.profiles) profiles.recall(p);
    } catch (e) {
      store.failed(e);
      await this.drop();
    }
  }

  /** Stores what is another. */
  save(): void {
    if (!this.#timer) return;
    this.clear();
    const { store, replica } = this.#core;
    for (const t of replica.timelines) t.save();
    void store.write([{ key: this.key('heads'), value: this.#heads() }]);
  }

  /** Forgets the messages of conversations. */
  remove(ids: string[]): void {
    if (!this.#core.owner) return;
    const keys = ids.flatMap((id) => [this.key('page', id), this.key('used', id)]);
    void this.#core.store.write(keys.map((key) => ({ key })));
  }

  /** Forgets what is stored. */
  drop(): Promise<void> {
    return this.#core.store.wipe(this.key());
  }

  /** Stores nothing for now. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#off?.();
    this.#timer = this.#off = undefined;
  }

  key(...path: string[]): string {
    return `${this.#core.owner?.prefix}cache/${path.join('/')}`;
  }

  #heads(): string {
    const { replica, profiles } = this.#core;
    for (let max = maxConversations; ; max >>= 1) {
      const saved = replica.saved(max);
      const people = saved.conversations.flatMap(({ view }) => profiles.peek(view.peer ?? '') ?? []);
      const heads: Heads = { v: version, ...saved, profiles: people };
      const text = JSON.stringify(heads);
      if (text.length <= maxLength || !max) return text;
    }
  }
}
