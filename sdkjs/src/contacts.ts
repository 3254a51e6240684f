import type { Core } from './core.js';
import { IMError, toIMError } from './errors.js';
import type { Profile, UsersResult } from './protocol.js';
import { guard, type Wait } from './wait.js';

/** How long a profile counts as fresh. */
const freshMs = 5 * 60_000;
const maxUsers = 100;

interface Asked {
  resolve(p: Profile): void;
  reject(e: IMError): void;
}

/** Profiles by user: asked once, together, and kept for a while. @internal */
export class Profiles {
  readonly #known = new Map<string, { profile: Profile; at: number }>();
  readonly #asking = new Map<string, Promise<Profile>>();
  readonly #queue = new Map<string, Asked>();

  constructor(private readonly ask: (users: string[]) => Promise<UsersResult>) {}

  peek(id: string): Profile | undefined {
    return this.#known.get(id)?.profile;
  }

  learn(profile: Profile): void {
    this.#known.set(profile.id, { profile, at: Date.now() });
  }

  clear(): void {
    this.#known.clear();
  }

  get(id: string): Promise<Profile> {
    const known = this.#known.get(id);
    if (known && Date.now() - known.at < freshMs) return Promise.resolve(known.profile);
    const asking = this.#asking.get(id);
    if (asking) return asking;
    const asked = new Promise<Profile>((resolve, reject) => {
      if (this.#queue.size === 0) queueMicrotask(() => this.#flush());
      this.#queue.set(id, { resolve, reject });
    });
    this.#asking.set(id, asked);
    return asked;
  }

  #flush(): void {
    const all = [...this.#queue];
    this.#queue.clear();
    for (let i = 0; i < all.length; i += maxUsers) void this.#fetch(all.slice(i, i + maxUsers));
  }

  async #fetch(batch: Array<[string, Asked]>): Promise<void> {
    try {
      const { profiles } = await this.ask(batch.map(([id]) => id));
      for (const p of profiles) this.learn(p);
      for (const [id, { resolve }] of batch) {
        // Who may not be seen has an id and nothing else.
        if (!profiles.some((p) => p.id === id)) this.learn({ id });
        resolve(this.peek(id) as Profile);
      }
    } catch (e) {
      for (const [, { reject }] of batch) reject(toIMError(e));
    } finally {
      for (const [id] of batch) this.#asking.delete(id);
    }
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
    const late = () => new IMError('timeout', 'no profiles in time');
    const all = guard<Profile[]>(wait, late, (resolve, reject) => {
      Promise.all(ids.map((id) => this.#core.profiles.get(id))).then(resolve, reject);
    });
    return this.#core.watched(all);
  }

  /** A profile that is known here, be it old. */
  peek(id: string): Profile | undefined {
    return this.#core.profiles.peek(id);
  }
}
