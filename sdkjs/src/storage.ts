import type { Core } from './core.js';
import { IMError } from './errors.js';
import { indexedDBStorage } from './idb.js';
import { indexedDBOf } from './platform.js';
import { guard } from './wait.js';

/** A key's new value; without a value the key is removed. */
export interface StorageChange {
  key: string;
  value?: unknown;
}

/**
 * Where the client keeps what must outlive the page: messages that are still to
 * be sent, and a cache of conversations. Keys are strings; values are whatever
 * can be cloned as for postMessage, not undefined, and neither side changes one
 * that it has handed over. Several pages may use the same storage at a time. A
 * promise may reject: the client goes on without. It never stores a token.
 */
export interface StorageAdapter {
  /** The value of a key; undefined where there is none. */
  get(key: string): Promise<unknown>;
  /** All keys that begin with prefix and their values, ascending as strings compare. */
  list(prefix: string): Promise<Array<[key: string, value: unknown]>>;
  /** Makes all changes in their order, or none, and resolves when they are stored. */
  write(changes: readonly StorageChange[]): Promise<void>;
}

/** A storage that ends with the page. */
export function memoryStorage(): StorageAdapter {
  const rows = new Map<string, unknown>();
  return {
    get: async (key) => rows.get(key),
    list: async (prefix) =>
      [...rows].filter(([key]) => key.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1)),
    write: async (changes) => {
      for (const { key, value } of changes) {
        if (value === undefined) rows.delete(key);
        else rows.set(key, value);
      }
    },
  };
}

/** What a storage may take for an answer. One that does not answer is not waited for again. */
const answerMs = 2_000;

/**
 * A storage that never fails and always answers: what cannot be kept is told
 * once, and is then kept in memory alone. One thing at a time, in order.
 * @internal
 */
export class Store {
  readonly #core: Core;
  readonly #given: StorageAdapter | 'auto' | 'memory';
  #adapter: StorageAdapter | undefined;
  /** One that did not answer in time: it is still told, for it may yet hear. */
  #deaf: StorageAdapter | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #changes: StorageChange[] = [];
  #writing: Promise<boolean> | undefined;
  #told = false;

  constructor(core: Core, given: StorageAdapter | 'auto' | 'memory' = 'auto') {
    this.#core = core;
    this.#given = given;
  }

  read(key: string): Promise<unknown> {
    return this.#ask((a) => a.get(key), undefined);
  }

  list(prefix: string): Promise<Array<[string, unknown]>> {
    return this.#ask((a) => a.list(prefix), []);
  }

  /** Changes of one moment go together. Answers whether they are stored. */
  write(changes: StorageChange[]): Promise<boolean> {
    this.#changes.push(...changes);
    this.#writing ??= Promise.resolve().then(() => {
      const all = this.#changes;
      this.#changes = [];
      this.#writing = undefined;
      return this.#ask((a) => {
        this.#deaf?.write(all).catch(() => {});
        return a.write(all).then(() => true);
      }, false);
    });
    return this.#writing;
  }

  /** Removes whatever begins with prefix. */
  async wipe(prefix: string): Promise<void> {
    const deaf = this.#deaf;
    const keys = (rows: Array<[string, unknown]>) => rows.map(([key]) => ({ key }));
    deaf
      ?.list(prefix)
      .then((rows) => deaf.write(keys(rows)))
      .catch(() => {});
    await this.#writing; // it may be of that
    await this.write(keys(await this.list(prefix)));
  }

  /** Something that was kept cannot be used, or something cannot be kept: the first time it is told. */
  failed(cause: unknown): void {
    if (this.#told) return;
    this.#told = true;
    const text = (cause as Error)?.message ?? cause;
    this.#core.failed(new IMError('storage', `not everything is kept: ${text}`, { cause }));
  }

  #ask<T>(work: (a: StorageAdapter) => Promise<T>, otherwise: T): Promise<T> {
    const ask = async () => {
      this.#adapter ??= this.#choose();
      const adapter = this.#adapter;
      const late = () => new IMError('timeout', 'the storage does not answer');
      try {
        return await guard<T>({ timeoutMs: answerMs }, late, (resolve, reject) => {
          (async () => work(adapter))().then(resolve, reject);
        });
      } catch (e) {
        if (e instanceof IMError) {
          this.#deaf ??= adapter;
          this.#adapter = memoryStorage();
        }
        this.failed(e);
        return otherwise;
      }
    };
    const asked = this.#last.then(ask);
    this.#last = asked;
    return asked;
  }

  #choose(): StorageAdapter {
    if (typeof this.#given === 'object') return this.#given;
    try {
      const factory = this.#given === 'auto' && indexedDBOf();
      if (factory) return indexedDBStorage(undefined, factory);
    } catch (e) {
      this.failed(e); // some surroundings throw at the first touch
    }
    return memoryStorage();
  }
}
