import type { Core } from './core.js';
import type { Profile } from './protocol.js';
import { now, type Wait } from './wait.js';

/** How long a profile counts as fresh. */
const freshMs = 5 * 60_000;
const maxUsers = 100;
/** How many profiles are kept. */
const maxKnown = 10_000;

interface Known {
  at: number;
  /** What is known, be it old. */
  profile?: Profile | undefined;
  asked: Promise<Profile>;
}

/** Profiles by user: asked once, together, and kept for a while. @internal */
export class Profiles {
  readonly #core: Core;
  readonly #known = new Map<string, Known>();
  /** Whom the next question is about, and its answer. */
  #batch: { ids: string[]; answer: Promise<Profile[]> } | undefined;

  constructor(core: Core) {
    this.#core = core;
  }

  peek(id: string): Profile | undefined {
    return this.#known.get(id)?.profile;
  }

  learn(profile: Profile): void {
    this.#keep(profile.id, { at: now(), profile, asked: Promise.resolve(profile) });
  }

  /** What was known of a user before: it is old. */
  recall(profile: Profile): void {
    if (!this.#known.has(profile.id))
      this.#keep(profile.id, { at: -freshMs, profile, asked: Promise.resolve(profile) });
  }

  clear(): void {
    this.#known.clear();
  }

  get(id: string): Promise<Profile> {
    const old = this.#known.get(id);
    if (old && now() - old.at < freshMs) return old.asked;
    const asked = this.#ask(id);
    const known = { at: now(), profile: old?.profile, asked };
    this.#keep(id, known);
    asked.then(
      (profile) => {
        known.profile = profile;
      },
      () => {
        known.at = -freshMs; // the next one asks again
      },
    );
    return asked;
  }

  #keep(id: string, known: Known): void {
    this.#known.delete(id); // what is kept anew is the newest
    const [oldest] = this.#known.set(id, known).keys();
    if (this.#known.size > maxKnown) this.#known.delete(oldest as string);
  }

  /** Asks for a profile, together with the others of this moment. */
  async #ask(id: string): Promise<Profile> {
    if (!this.#batch || this.#batch.ids.length === maxUsers) {
      const ids: string[] = [];
      this.#batch = { ids, answer: this.#answer(ids) };
    }
    const { ids, answer } = this.#batch;
    ids.push(id);
    // Who may not be seen has an id and nothing else.
    return (await answer).find((p) => p.id === id) ?? { id };
  }

  async #answer(users: string[]): Promise<Profile[]> {
    await Promise.resolve(); // until the list is complete
    if (this.#batch?.ids === users) this.#batch = undefined;
    return (await this.#core.connection.call('user.get', { users })).profiles;
  }
}

/** The people one talks with, as the host describes them. */
export class ContactsApi {
  readonly #core: Core;

  /** @internal */
  constructor(core: Core) {
    this.#core = core;
  }

  /**
   * The profiles of users, in their order; of one that may not be seen the id
   * alone. They are kept for five minutes, and calls of one moment ask together.
   */
  profiles(ids: string[], wait: Wait = {}): Promise<Profile[]> {
    return this.#core.shared(Promise.all(ids.map((id) => this.#core.profiles.get(id))), wait);
  }

  /** A profile that is known here, be it old. */
  peek(id: string): Profile | undefined {
    return this.#core.profiles.peek(id);
  }
}
