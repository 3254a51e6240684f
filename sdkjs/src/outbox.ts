import { IMError, toIMError } from './errors.js';
import type { Message, SendParams, SendResult, Target as WireTarget } from './protocol.js';
import type { Rpc } from './rpc.js';
import { aborted, type Wait } from './wait.js';

/** What has become of a message of ours. */
export type SendStatus = 'queued' | 'sending' | 'sent' | 'failed' | 'cancelled';

/** A message on its way. Plain data, replaced as a whole when it changes. */
export interface Outgoing {
  readonly clientId: string;
  readonly status: SendStatus;
  readonly params: SendParams;
  /** When sendMessage was called, by the client's clock. */
  readonly time: number;
  /** Why it failed. */
  readonly error?: IMError;
}

/** A message that is being sent: await it for the stored message, or for the error. */
export interface SendHandle extends PromiseLike<Message> {
  /** The message's idempotency key: it finds the message in a timeline, and for resend. */
  readonly clientId: string;
  readonly status: SendStatus;
  /** Gives up. What was under way may arrive all the same. */
  cancel(): void;
}

/** @internal */
export interface OutboxHost {
  me(): string;
  rpc(): Rpc | null;
  /** The conversation that a target means, where it is known, else a name for it. */
  conversation(to: SendParams['to']): string;
  acknowledged(r: SendResult, m: Message): void;
  changed(o: Outgoing): void;
  /** Nobody waits for the send that failed with e. */
  failed(e: IMError): void;
  contentBytes(): number | undefined;
}

interface Item {
  outgoing: Outgoing;
  promise: Promise<Message>;
  resolve(m: Message): void;
  reject(e: IMError): void;
  cleanup: Array<() => void>;
  /** Why it waits to go again. */
  cause?: IMError;
}

/** A send without a timeoutMs is given up after this, so that every send settles. */
export const sendTimeoutMs = 120_000;
const answerTimeoutMs = 15_000;
const maxInFlight = 16;
const minRetryMs = 500;
const maxRetryMs = 30_000;
/** How many clientIds are remembered, to tell this client's messages from those of my other devices. */
const maxRemembered = 1000;

/**
 * Messages that wait for the server, in the order of their sending. The server
 * keeps the order of one session's requests, so several are under way at once;
 * what a lost connection left without an answer goes again, first, under the
 * same clientId, by which the server knows a repetition.
 * @internal
 */
export class Outbox {
  readonly #items = new Map<string, Item>();
  readonly #recent = new Set<string>();
  /** Conversations where the server asked for a pause. */
  readonly #paused = new Map<string, number>();
  #inFlight = 0;

  constructor(private readonly host: OutboxHost) {}

  /** This client sent, or sends, the message with this clientId. */
  sentHere(clientId: string): boolean {
    return this.#recent.has(clientId);
  }

  /** What is on its way, or failed, to a conversation, oldest first. */
  of(conversation: string): Outgoing[] {
    const all = [...this.#items.values()].map((i) => i.outgoing);
    return all.filter((o) => this.host.conversation(o.params.to) === conversation);
  }

  send(params: SendParams, wait: Wait): SendHandle {
    return this.#begin({ clientId: params.clientId, status: 'queued', params, time: Date.now() }, wait);
  }

  /** Sends again what failed, under the same clientId. */
  resend(clientId: string, wait: Wait): SendHandle | undefined {
    const item = this.#items.get(clientId);
    if (item && item.outgoing.status !== 'failed') return new Handle(item, () => this.cancel(item));
    if (!item) return undefined;
    const { params, time } = item.outgoing;
    return this.#begin({ clientId, status: 'queued', params, time }, wait);
  }

  /** Forgets a message that failed, or gives up one that has not. */
  discard(clientId: string): void {
    const item = this.#items.get(clientId);
    if (item) this.cancel(item);
  }

  cancel(item: Item): void {
    const { status } = item.outgoing;
    if (status === 'sent' || status === 'cancelled') return;
    this.#end(item, 'cancelled', aborted('the send was cancelled'));
    this.#items.delete(item.outgoing.clientId);
    this.host.changed(item.outgoing);
  }

  /** A message that was acknowledged is in its conversation now. */
  placed(clientId: string): void {
    if (this.#items.get(clientId)?.outgoing.status === 'sent') this.#items.delete(clientId);
  }

  /** The connection is lost: what was under way waits again. */
  disconnected(): void {
    this.#inFlight = 0;
  }

  /** Ends every send. */
  close(e: IMError): void {
    for (const item of this.#items.values()) if (open(item)) this.#end(item, 'failed', e);
  }

  clear(): void {
    this.#items.clear();
    this.#recent.clear();
    this.#paused.clear();
  }

  /** Sends what may be sent now. */
  flush(): void {
    const rpc = this.host.rpc();
    if (!rpc) return;
    const blocked = new Set<string>();
    const now = Date.now();
    for (const item of this.#items.values()) {
      if (this.#inFlight >= maxInFlight) return;
      if (item.outgoing.status !== 'queued') continue;
      const key = this.host.conversation(item.outgoing.params.to);
      if (blocked.has(key)) continue;
      if ((this.#paused.get(key) ?? 0) > now || this.#retried(key, item)) blocked.add(key);
      else void this.#transmit(item, rpc, key);
    }
  }

  /** Something after item is still under way: item goes again when that is settled, with what failed beside it. */
  #retried(key: string, item: Item): boolean {
    if (!this.#attempts.has(item.outgoing.clientId)) return false;
    for (const other of this.#items.values()) {
      if (other.outgoing.status === 'sending' && this.host.conversation(other.outgoing.params.to) === key)
        return true;
    }
    return false;
  }

  readonly #attempts = new Map<string, number>();

  async #transmit(item: Item, rpc: Rpc, key: string): Promise<void> {
    const { clientId, params } = item.outgoing;
    this.#set(item, { status: 'sending' });
    this.#inFlight++;
    let pauseMs = 0;
    try {
      const r = await rpc.call('message.send', params, { timeoutMs: answerTimeoutMs });
      const m = r.message ?? messageOf(r, params, this.host.me());
      this.#paused.delete(key);
      this.#attempts.delete(clientId);
      this.#recent.add(clientId);
      if (open(item)) this.#end(item, 'sent', m);
      this.host.acknowledged(r, m);
    } catch (thrown) {
      const e = toIMError(thrown);
      if (!open(item)) return;
      if (e.retryable && e.reason !== 'internal') {
        item.cause = e;
        this.#set(item, { status: 'queued' });
        if (e.reason !== 'offline') pauseMs = this.#pause(clientId, key, e.retryAfterMs);
      } else this.#end(item, 'failed', e);
    } finally {
      if (this.host.rpc() === rpc) this.#inFlight--;
      if (pauseMs) setTimeout(() => this.flush(), pauseMs);
      else this.flush();
    }
  }

  #pause(clientId: string, key: string, retryAfterMs?: number): number {
    const attempt = this.#attempts.get(clientId) ?? 0;
    this.#attempts.set(clientId, attempt + 1);
    const ms = retryAfterMs ?? Math.min(maxRetryMs, minRetryMs * 2 ** attempt) * (0.5 + Math.random() / 2);
    this.#paused.set(key, Math.max(this.#paused.get(key) ?? 0, Date.now() + ms));
    return ms;
  }

  #begin(outgoing: Outgoing, { signal, timeoutMs = sendTimeoutMs }: Wait): SendHandle {
    const { clientId } = outgoing;
    const item = { outgoing, cleanup: [] } as unknown as Item;
    item.promise = new Promise((resolve, reject) => {
      item.resolve = resolve;
      item.reject = reject;
    });
    item.promise.catch(() => {});
    this.#items.delete(clientId); // a resend goes to the end
    this.#items.set(clientId, item);
    this.#remember(clientId);
    const handle = new Handle(item, () => this.cancel(item));
    const report = (e: IMError) => setTimeout(() => handle.asked || this.host.failed(e));
    item.promise.catch(report);

    const max = this.host.contentBytes();
    if (signal?.aborted) this.cancel(item);
    else if (max !== undefined && this.#tooLarge(outgoing.params, max)) {
      this.#end(
        item,
        'failed',
        new IMError('too_large', 'the message is too large', { detail: { field: 'content', max } }),
      );
    } else {
      const abort = () => this.cancel(item);
      signal?.addEventListener('abort', abort);
      const timer = setTimeout(() => {
        const reason = this.host.rpc() ? 'timeout' : 'offline';
        const { cause } = item;
        this.#end(item, 'failed', new IMError(reason, 'the message was not acknowledged in time', { cause }));
      }, timeoutMs);
      item.cleanup.push(
        () => signal?.removeEventListener('abort', abort),
        () => clearTimeout(timer),
      );
      this.host.changed(outgoing);
      queueMicrotask(() => this.flush());
    }
    return handle;
  }

  #tooLarge({ content, ext }: SendParams, max: number): boolean {
    const least = (s: unknown) => (s === undefined ? 0 : JSON.stringify(s).length); // in bytes it is no less
    return least(content) + least(ext) > max + 64; // the server counts exactly
  }

  #remember(clientId: string): void {
    this.#recent.add(clientId);
    for (const old of this.#recent) {
      if (this.#recent.size <= maxRemembered) return;
      if (!this.#items.has(old)) this.#recent.delete(old);
    }
  }

  #end(item: Item, status: 'sent' | 'failed' | 'cancelled', result: Message | IMError): void {
    for (const f of item.cleanup.splice(0)) f();
    this.#attempts.delete(item.outgoing.clientId);
    if (result instanceof IMError) {
      this.#set(item, status === 'failed' ? { status, error: result } : { status });
      item.reject(result);
    } else {
      this.#set(item, { status });
      item.resolve(result);
    }
  }

  #set(item: Item, change: Partial<Outgoing>): void {
    item.outgoing = { ...item.outgoing, ...change };
    this.host.changed(item.outgoing);
  }
}

const open = (item: Item) => item.outgoing.status === 'queued' || item.outgoing.status === 'sending';

class Handle implements SendHandle {
  asked = false;

  constructor(
    private readonly item: Item,
    readonly cancel: () => void,
  ) {}

  get clientId(): string {
    return this.item.outgoing.clientId;
  }

  get status(): SendStatus {
    return this.item.outgoing.status;
  }

  // biome-ignore lint/suspicious/noThenProperty: awaiting a handle is its purpose
  then<A = Message, B = never>(
    ok?: ((m: Message) => A | PromiseLike<A>) | null,
    failed?: ((e: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.asked = true;
    return this.item.promise.then(ok, failed);
  }
}

/** The message that a receipt stands for. */
function messageOf(r: SendResult, p: SendParams, me: string): Message {
  const { conversation, seq, rev, count, id, time } = r;
  const { clientId, type = 'text', content, mentions, replyTo, ext, flags } = p;
  return {
    ...{ conversation, seq, rev, count, id, clientId, from: me, time, type },
    content: typeof content === 'string' ? { text: content } : content,
    ...(mentions === 'all' || mentions?.length ? { mentions } : {}),
    ...(replyTo ? { replyTo } : {}),
    ...(ext ? { ext } : {}),
    ...(flags?.length ? { flags } : {}),
  };
}

/** Where a message goes, as an application writes it: a bare string is a person. */
export type Target = string | { user: string } | { conversation: string };

/** @internal */
export function targetOf(to: Target): WireTarget {
  return typeof to === 'string' ? { user: to } : to;
}
