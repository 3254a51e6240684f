import type { Core } from './core.js';
import type { CancelResult, SendHandle } from './outbox.js';
import type { ListResult } from './protocol.js';
import { Timeline } from './timeline.js';
import type { Wait } from './wait.js';

/** Messages of conversations. */
export class MessagesApi {
  readonly #core: Core;

  /** @internal */
  constructor(core: Core) {
    this.#core = core;
  }

  /**
   * One page of messages, ascending by seq: the newest, or the one before a seq,
   * after it, or around it. It covers the seqs from to to: what is absent inside is gone.
   */
  history(
    page: { conversation: string; before?: number; after?: number; around?: number; limit?: number } & Wait,
  ): Promise<ListResult> {
    const { signal, timeoutMs, ...params } = page;
    return this.#core.ask('message.list', params, { signal, timeoutMs });
  }

  /** The messages of a conversation, alive, with what is being sent. Close it when it is no longer shown. */
  timeline(conversation: string): Timeline {
    const t = new Timeline(this.#core, conversation);
    this.#core.replica.timelines.add(t);
    return t;
  }

  /**
   * Sends a message that failed again, under the same clientId: it is never
   * stored twice, unless it failed because it "expired". Look for it first then.
   */
  resend(clientId: string, wait: Wait = {}): SendHandle {
    return this.#core.outbox.resend(clientId, wait);
  }

  /** Forgets a message that failed, or gives up one that is still to be sent, and tells what became of it. */
  cancel(clientId: string): CancelResult {
    return this.#core.outbox.cancel(clientId);
  }

  /** The same as cancel, for whom what became of it does not matter. */
  discard(clientId: string): void {
    this.#core.outbox.cancel(clientId);
  }
}
