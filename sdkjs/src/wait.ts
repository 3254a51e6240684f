import { IMError, toIMError } from './errors.js';

/** How long to wait, and a way to stop waiting. Everything that waits takes it. */
export interface Wait {
  signal?: AbortSignal | undefined;
  timeoutMs?: number | undefined;
}

/** A timer cannot wait for longer: it would end at once. */
const maxTimerMs = 2 ** 31 - 1;

/** Calls fn after ms. @internal */
export const later = (ms: number, fn: () => unknown) => setTimeout(fn, Math.min(ms, maxTimerMs));

/** Milliseconds of a clock that nobody sets, as Date's may be. @internal */
export const now = (): number => (globalThis.performance ?? Date).now();

/** @internal */
export const aborted = () => new IMError('aborted', 'the caller stopped waiting');

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
    const settle = (how: () => void) => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      cleanup?.();
      how();
    };
    const fail = (e: IMError) => settle(() => reject(e));
    const abort = () => fail(aborted());
    if (signal?.aborted) return abort();
    signal?.addEventListener('abort', abort);
    if (timeoutMs !== undefined) timer = later(timeoutMs, () => fail(late()));
    cleanup = start((value) => settle(() => resolve(value)), fail);
    if (over) cleanup?.();
  });
}

/** Waits ms, or until the signal ends. @internal */
export const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
  guard<void>({ signal, timeoutMs: ms }, aborted, () => {}).catch(() => {});

/**
 * How long to wait before the next attempt: full jitter, so that clients that
 * fall together do not rise together.
 * @internal
 */
export const backoffMs = (attempt: number) => Math.random() * Math.min(30_000, 300 * 2 ** attempt);

/** Does work until it succeeds or repeating it does not help. @internal */
export async function retrying(work: () => Promise<unknown>): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await work();
      return;
    } catch (thrown) {
      const e = toIMError(thrown);
      if (!e.retryable) throw e;
      await sleep((e.retryAfterMs ?? 0) + backoffMs(attempt));
    }
  }
}

/**
 * A promise whose rejection never becomes an unhandled one: where nobody has
 * asked for its result, the rejection is reported instead.
 * @internal
 */
export class Watched<T> extends Promise<T> {
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
