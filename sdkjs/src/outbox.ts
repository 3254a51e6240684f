import type { Core } from './core.js';
import { IMError, toIMError } from './errors.js';
import type { JsonObject, Message, SendParams, SendResult, Target as WireTarget } from './protocol.js';
import type { Rpc } from './rpc.js';
import { aborted, backoffMs, later, now, type Wait } from './wait.js';

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
  readonly error?: IMError | undefined;
}

/** A message that is being sent: await it for the stored message, or for the error. */
export interface SendHandle extends PromiseLike<Message> {
  /** The message's idempotency key: it finds the message in a timeline, and for resend. */
  readonly clientId: string;
  readonly status: SendStatus;
  /** Gives up. What was under way may arrive all the same. */
  cancel(): void;
}

interface Item {
  outgoing: Outgoing;
  resolve(m: Message): void;
  reject(e: IMError): void;
  /** Ends what waits beside the sending: the deadline and the signal. */
  done(): void;
  deadline: number;
  /** How often the server asked to try again, the last time why, and whether that time has not come yet. */
  refusals: number;
  cause?: IMError;
  waits: boolean;
}

/** A send without a timeoutMs is given up after this, so that every send settles. */
const sendTimeoutMs = 120_000;
const answerTimeoutMs = 15_000;
const maxInFlight = 16;
/** How many clientIds are remembered, to tell this client's messages from those of my other devices. */
const maxRemembered = 10_000;

/**
 * Messages that wait for the server, in the order of their sending: in each
 * conversation one goes at a time, so that none overtakes one that is refused
 * for a while. What a lost connection left without an answer goes again, first,
 * under the same clientId, by which the server knows a repetition.
 * @internal
 */
export class Outbox {
  readonly #core: Core;
  readonly #items = new Map<string, Item>();
  readonly #recent = new Set<string>();

  constructor(core: Core) {
    this.#core = core;
  }

  /** This client sent, or sends, the message with this clientId. */
  sentHere(clientId: string): boolean {
    return this.#recent.has(clientId);
  }

  /** What is on its way, or failed, to a conversation, oldest first. */
  of(conversation: string): Outgoing[] {
    const all = [...this.#items.values()].filter((i) => this.#conversation(i) === conversation);
    return all.map((i) => i.outgoing);
  }

  send(message: Omit<SendParams, 'clientId'>, wait: Wait): SendHandle {
    const clientId = this.#core.newId();
    try {
      // A copy: what the server may see again must not have changed meanwhile.
      const params: SendParams = JSON.parse(JSON.stringify({ clientId, ...message }));
      return this.#begin({ clientId, status: 'queued', params, time: Date.now() }, wait);
    } catch (cause) {
      return this.refuse(new IMError('invalid_argument', 'it is no JSON', { cause }));
    }
  }

  /** The handle of what cannot be sent at all. */
  refuse(e: IMError): SendHandle {
    const rejected = this.#core.watched(Promise.reject<Message>(e));
    return Object.assign(rejected, {
      clientId: this.#core.newId(),
      status: 'failed' as const,
      cancel: () => {},
    });
  }

  /** Sends again what failed, under the same clientId. */
  resend(clientId: string, wait: Wait): SendHandle {
    const outgoing = this.#items.get(clientId)?.outgoing;
    if (outgoing?.status !== 'failed') throw new IMError('not_found', 'no such message has failed');
    const { params, time } = outgoing;
    return this.#begin({ clientId, status: 'queued', params, time }, wait);
  }

  /** Forgets a message that failed, or gives up one that has not. */
  discard(clientId: string): void {
    const item = this.#items.get(clientId);
    if (!item || item.outgoing.status === 'sent') return;
    this.#items.delete(clientId);
    this.#fail(item, 'cancelled', aborted());
  }

  /** A message of ours has its place in its conversation now, whatever we know of its sending. */
  placed(m: Message): void {
    const item = this.#items.get(m.clientId);
    if (!item) return;
    this.#sent(item, m);
    this.#items.delete(m.clientId);
  }

  /** Ends every send. */
  close(e: IMError): void {
    for (const item of this.#items.values()) if (isOpen(item)) this.#fail(item, 'failed', e);
  }

  clear(): void {
    this.#items.clear();
    this.#recent.clear();
  }

  /** Sends what may be sent now: the first of each conversation. */
  flush(): void {
    const { rpc } = this.#core.connection;
    if (!rpc) return;
    const begun = new Set<string>();
    let free = maxInFlight - [...this.#items.values()].filter(isSending).length;
    for (const item of this.#items.values()) {
      const key = this.#conversation(item);
      if (!isOpen(item) || begun.has(key)) continue;
      begun.add(key);
      if (isSending(item) || item.waits || free-- <= 0) continue;
      void this.#transmit(item, rpc);
    }
  }

  async #transmit(item: Item, rpc: Rpc): Promise<void> {
    const { params } = item.outgoing;
    const { replica } = this.#core;
    this.#set(item, { status: 'sending' });
    try {
      const r = await rpc.call('message.send', params, { timeoutMs: answerTimeoutMs });
      const m = messageOf(r, params, this.#core.me());
      this.#sent(item, m);
      replica.step(m.conversation, { rev: r.rev, message: m });
    } catch (thrown) {
      const e = toIMError(thrown);
      if (!isOpen(item)) return;
      if (!e.retryable || e.reason === 'internal') return this.#fail(item, 'failed', e);
      item.cause = e;
      this.#set(item, { status: 'queued' });
      if (e.reason !== 'offline') {
        const ms = (e.retryAfterMs ?? 0) + backoffMs(item.refusals++);
        if (now() + ms > item.deadline) return this.#fail(item, 'failed', e);
        item.waits = true;
        later(ms, () => {
          item.waits = false;
          this.flush();
        });
      }
    } finally {
      this.flush();
    }
  }

  #begin(outgoing: Outgoing, { signal, timeoutMs = sendTimeoutMs }: Wait): SendHandle {
    const { clientId } = outgoing;
    const cancel = () => {
      if (this.#items.get(clientId) === item) this.discard(clientId);
    };
    const late = () => {
      const { cause } = item;
      const reason = this.#core.connection.rpc ? 'timeout' : 'offline';
      this.#fail(item, 'failed', new IMError(reason, 'not sent in time', { cause }));
    };
    const timer = later(timeoutMs, late);
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', cancel);
    };
    const item = { outgoing, done, deadline: now() + timeoutMs, refusals: 0 } as Item;
    const promise = this.#core.watched(
      new Promise<Message>((resolve, reject) => Object.assign(item, { resolve, reject })),
    );
    this.#items.delete(clientId); // what is sent again goes last
    this.#items.set(clientId, item);
    const [oldest] = this.#recent.add(clientId);
    if (this.#recent.size > maxRemembered) this.#recent.delete(oldest as string);
    this.#core.outgoing(outgoing);
    signal?.addEventListener('abort', cancel);
    const { over } = this.#core.connection;
    if (signal?.aborted) cancel();
    else if (over) this.#fail(item, 'failed', over);
    queueMicrotask(() => this.flush());
    return {
      clientId,
      get status() {
        return item.outgoing.status;
      },
      cancel,
      // biome-ignore lint/suspicious/noThenProperty: awaiting a handle is its purpose
      then: promise.then.bind(promise) as SendHandle['then'],
    };
  }

  /** The conversation that an item goes to, where it is known, else a name for it. */
  #conversation(item: Item): string {
    const to = targetOf(item.outgoing.params.to as Target);
    return to.conversation ?? this.#core.replica.withPeer(to.user as string) ?? `@${to.user}`;
  }

  #sent(item: Item, m: Message): void {
    if (item.outgoing.status === 'sent') return;
    this.#set(item, { status: 'sent', error: undefined });
    item.done();
    item.resolve(m);
  }

  #fail(item: Item, status: 'failed' | 'cancelled', error: IMError): void {
    this.#set(item, { status, error });
    item.done();
    item.reject(error);
  }

  #set(item: Item, change: Partial<Outgoing>): void {
    item.outgoing = { ...item.outgoing, ...change };
    this.#core.outgoing(item.outgoing);
  }
}

const isSending = ({ outgoing }: Item) => outgoing.status === 'sending';
const isOpen = (item: Item) => item.outgoing.status === 'queued' || isSending(item);

/** The message that a receipt stands for. */
function messageOf(r: SendResult, p: SendParams, from: string): Message {
  const { message, duplicate, ...place } = r;
  const { to, content, ...rest } = p;
  return message ?? { type: 'text', ...place, ...rest, from, content: content as JsonObject };
}

/** Where a message goes, as an application writes it: a bare string is a person. */
export type Target = string | { user: string } | { conversation: string };

/** @internal */
export function targetOf(to: Target): WireTarget {
  return typeof to === 'string' ? { user: to } : { ...to };
}
