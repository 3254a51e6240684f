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
  readonly #queue: Array<{ id: string; resolve(p: Profile): void; reject(e: unknown): void }> = [];

  constructor(core: Core) {
    this.#core = core;
  }

  peek(id: string): Profile | undefined {
    return this.#known.get(id)?.profile;
  }

  learn(profile: Profile): void {
    this.#keep(profile.id, { at: now(), profile, asked: Promise.resolve(profile) });
  }

  clear(): void {
    this.#known.clear();
  }

  get(id: string): Promise<Profile> {
    const old = this.#known.get(id);
    if (old && now() - old.at < freshMs) return old.asked;
    const asked = new Promise<Profile>((resolve, reject) => {
      if (!this.#queue.length) queueMicrotask(() => this.#flush());
      this.#queue.push({ id, resolve, reject });
    });
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

  #flush(): void {
    const batch = this.#queue.splice(0, maxUsers);
    this.#core.connection.call('user.get', { users: batch.map(({ id }) => id) }).then(
      ({ profiles }) => {
        // Who may not be seen has an id and nothing else.
        for (const { id, resolve } of batch) resolve(profiles.find((p) => p.id === id) ?? { id });
      },
      (e) => {
        for (const { reject } of batch) reject(e);
      },
    );
    if (this.#queue.length) this.#flush();
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
