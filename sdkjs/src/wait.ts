import { IMError } from './errors.js';

/** How long to wait, and a way to stop waiting. Everything that waits takes it. */
export interface Wait {
  signal?: AbortSignal | undefined;
  timeoutMs?: number | undefined;
}

/** @internal */
export const aborted = (why = 'the caller stopped waiting') => new IMError('aborted', why);

// biome-ignore lint/suspicious/noConfusingVoidType: start may have nothing to clean up
type Cleanup = (() => unknown) | void;

/**
 * A promise that is settled by start, by the signal or by the deadline,
 * whichever comes first. start may return what to clean up.
 * @internal
 */
export function guard<T>(
  { signal, timeoutMs }: Wait,
  late: () => IMError,
  start: (resolve: (value: T) => void, reject: (e: IMError) => void) => Cleanup,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    let cleanup: Cleanup;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let over = false;
    const end = () => {
      over = true;
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      cleanup?.();
    };
    const fail = (e: IMError) => {
      if (over) return;
      end();
      reject(e);
    };
    const abort = () => fail(aborted());
    if (signal?.aborted) return abort();
    signal?.addEventListener('abort', abort);
    if (timeoutMs !== undefined) timer = setTimeout(() => fail(late()), Math.max(0, timeoutMs));
    cleanup = start((value) => {
      if (over) return;
      end();
      resolve(value);
    }, fail);
    if (over) cleanup?.();
  });
}

/** Waits ms, or until the signal ends. @internal */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    if (signal?.aborted) end();
    else signal?.addEventListener('abort', end);
  });
}

/**
 * How long to wait before the next attempt: full jitter, so that clients that
 * fall together do not rise together.
 * @internal
 */
export const backoffMs = (attempt: number) => Math.random() * Math.min(30_000, 300 * 2 ** attempt);

/**
 * A promise whose rejection never becomes an unhandled one: where nobody has
 * asked for its result, the rejection is reported instead.
 * @internal
 */
export class Watched<T> extends Promise<T> {
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  #asked = false;

  static of<T>(promise: Promise<T>, report: (e: IMError) => void): Watched<T> {
    const watched = new Watched<T>((resolve, reject) => promise.then(resolve, reject));
    Promise.prototype.then.call(watched, undefined, (e: IMError) => {
      // A caller that awaits in the same breath has not been heard yet.
      setTimeout(() => watched.#asked || report(e));
    });
    return watched;
  }

  // biome-ignore lint/suspicious/noThenProperty: it is how a promise learns that somebody asks
  override then<A = T, B = never>(
    ok?: ((value: T) => A | PromiseLike<A>) | null,
    failed?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#asked = true;
    return super.then(ok, failed);
  }
}
