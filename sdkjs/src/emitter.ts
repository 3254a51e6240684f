/** A typed list of listeners. A listener that throws harms no other. @internal */
export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<(e: never) => void>>();

  constructor(private readonly failed: (e: unknown) => void) {}

  on<K extends keyof Events>(type: K, fn: (e: Events[K]) => void, signal?: AbortSignal): () => void {
    if (signal?.aborted) return () => {};
    const listener = (e: Events[K]) => fn(e); // the same function may listen twice
    const set = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, set.add(listener));
    const off = () => {
      set.delete(listener);
      signal?.removeEventListener('abort', off);
    };
    signal?.addEventListener('abort', off);
    return off;
  }

  has(type: keyof Events): boolean {
    return (this.#listeners.get(type)?.size ?? 0) > 0;
  }

  emit<K extends keyof Events>(type: K, e: Events[K]): void {
    const set = this.#listeners.get(type) ?? new Set();
    for (const listener of [...set]) {
      try {
        if (set.has(listener)) (listener as (e: Events[K]) => void)(e); // another may have ended it
      } catch (thrown) {
        this.failed(thrown);
      }
    }
  }
}
