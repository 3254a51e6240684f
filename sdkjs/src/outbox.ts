import type { Core, Owner } from './core.js';
import { IMError, toIMError } from './errors.js';
import { locksOf } from './platform.js';
import type { Conversation, Message, SendParams, Target as WireTarget } from './protocol.js';
import { messageOf } from './receipt.js';
import type { Rpc } from './rpc.js';
import { aborted, backoffMs, later, sleep, type Wait } from './wait.js';

/**
 * What has become of a message of ours. "delivered" and "read" are told in
 * direct conversations, while this client runs.
 */
export type SendStatus = 'queued' | 'sending' | 'sent' | 'delivered' | 'read' | 'failed' | 'cancelled';

/**
 * What became of giving a message up. "cancelled": it never left and never
 * will. "unknown": it was on its way already; it is not sent again, but may have
 * arrived, and is then a message like any other. "sent": the server has it.
 */
export type CancelResult = 'cancelled' | 'unknown' | 'sent';

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
  /** Gives up: see messages.cancel. */
  cancel(): CancelResult;
}

/**
 * A message as it is stored until the server has it. Exported, so that the build
 * leaves its names alone: other builds read it. It may get more, blobs as well.
 */
export interface OutboxRow {
  v: typeof version;
  clientId: string;
  params: SendParams;
  time: number;
  /** Its place among the others of its conversation. */
  order: number;
  /** The client that sends it: exactly one does. */
  client: string;
  /** When it was on the wire first, if it ever was. */
  wired?: number;
  /** When it is given up. */
  until?: number;
  /** Why it failed. */
  failed?: { reason: string; message: string };
}

interface Item {
  row: OutboxRow;
  outgoing: Outgoing;
  resolve(m: Message): void;
  reject(e: IMError): void;
  /** Ends what waits beside the sending: the deadline and the signal. */
  done(): void;
  timer?: ReturnType<typeof setTimeout>;
  /** It is stored as it is, as far as it can be. */
  isSaved: boolean;
  /** The server may have it. */
  isWired: boolean;
  /** Another client left it. */
  isAdopted: boolean;
  /** Nobody waits for it any more. */
  isLeft: boolean;
  /** How often the server asked to try again, the last time why, and whether that time has not come yet. */
  refusals: number;
  cause?: IMError;
  waits: boolean;
}

const version = 1;
const answerTimeoutMs = 15_000;
/** A server that wants more patience than this has refused the message. */
const patienceMs = 120_000;
/** A server knows a repetition for 30 days: later it could be stored twice. */
const maxWiredMs = 29 * 24 * 3_600_000;
/** How long a failed message is kept to be sent again. */
const maxFailedMs = 30 * 24 * 3_600_000;
/** How long to wait for tabs that may have just ended and left messages. */
const claimMs = 300;
const maxInFlight = 16;
/** How many clientIds are remembered, to tell this client's messages from those of my other devices. */
const maxRemembered = 10_000;
/** How many sent messages wait to be read. */
const maxUnread = 1_000;

/**
 * Messages that wait for the server, in the order of their sending: in each
 * conversation one goes at a time, so that none overtakes one that is refused
 * for a while. What a lost connection left without an answer goes again, first,
 * under the same clientId, by which the server knows a repetition.
 *
 *     <owner>out/<clientId>     an OutboxRow, from before the message is on the wire until the server has it
 *
 * Every tab may add rows, each is sent by the client that it names. A client
 * holds a Web Lock of its name; who gets hold of another's lock knows that it is
 * gone, and takes over its rows. Without locks whoever comes takes over all.
 * @internal
 */
export class Outbox {
  readonly #core: Core;
  readonly #items = new Map<string, Item>();
  readonly #recent = new Set<string>();
  /** Sent messages that the other one has not read. */
  readonly #unread = new Map<Item, Message>();
  #owner: Owner | undefined;
  #client = '';
  #order = 0;
  /** Ends the lock of this client and the waiting for others'. */
  #locks: AbortController | undefined;
  /** The clients whose end is waited for. */
  readonly #waiting = new Set<string>();

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
      return this.#begin({ v: version, clientId, params, time: Date.now(), order: 0, client: '' }, wait);
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
      cancel: () => 'cancelled' as const,
    });
  }

  /** Sends again what failed, or waits again for what a closed client left, under the same clientId. */
  resend(clientId: string, wait: Wait): SendHandle {
    const item = this.#items.get(clientId);
    if (!item || !(item.outgoing.status === 'failed' || (isOpen(item) && item.isLeft)))
      throw new IMError('not_found', 'no such message has failed');
    const { failed, until, ...row } = item.row;
    if (failed?.reason === 'expired') delete row.wired; // whoever sends it all the same has looked
    return this.#begin(row, wait);
  }

  /** Forgets a message that failed, or gives up one that is not sent. */
  cancel(clientId: string): CancelResult {
    const item = this.#items.get(clientId);
    return item ? this.#cancel(item) : 'sent';
  }

  #cancel(item: Item): CancelResult {
    const { clientId } = item.row;
    if (isSent(item)) return 'sent';
    if (this.#items.get(clientId) === item) {
      this.#items.delete(clientId);
      this.#erase(item);
      this.#fail(item, 'cancelled', aborted());
      this.flush();
    }
    return item.isWired ? 'unknown' : 'cancelled';
  }

  /** A message of ours has its place in its conversation now, whatever we know of its sending. */
  placed(m: Message): void {
    const item = this.#items.get(m.clientId);
    if (!item) return;
    this.#sent(item, m);
    this.#items.delete(m.clientId);
  }

  /** The markers of a conversation moved. */
  marked({ id, peer, markers }: Conversation): void {
    const marker = markers?.find((m) => m.user === peer);
    if (!marker) return;
    for (const [item, { conversation, seq }] of this.#unread) {
      if (conversation !== id || seq > marker.delivered) continue;
      const status = seq > marker.read ? 'delivered' : 'read';
      if (status === 'read') this.#unread.delete(item);
      if (status !== item.outgoing.status) this.#set(item, { status });
    }
  }

  /** There is no connection any more: nobody waits, and what is not sent stays. */
  close(e: IMError): void {
    this.#release();
    for (const item of this.#items.values()) {
      if (!isOpen(item)) continue;
      if (isSending(item)) this.#set(item, { status: 'queued' });
      clearTimeout(item.timer);
      item.isLeft = true;
      item.reject(e);
    }
  }

  clear(): void {
    this.#release();
    for (const item of this.#items.values()) if (isOpen(item)) this.#fail(item, 'cancelled', aborted());
    this.#items.clear();
    this.#recent.clear();
    this.#unread.clear();
    this.#owner = undefined;
  }

  /** Sends what may be sent now: the first of each conversation. */
  flush(): void {
    const { rpc } = this.#core.connection;
    if (!rpc || !this.#owner) return;
    const begun = new Set<string>();
    let free = maxInFlight - [...this.#items.values()].filter(isSending).length;
    for (const item of this.#items.values()) {
      if (!isOpen(item)) continue;
      const key = this.#conversation(item);
      if (begun.has(key) || (!isSending(item) && this.#overdue(item))) continue;
      begun.add(key);
      if (isSending(item) || item.waits || free-- <= 0) continue;
      void this.#transmit(item, rpc);
    }
  }

  /**
   * Finds what was left to be sent by clients that are gone: at once, or as soon
   * as they are. Resolves when this client may begin to send.
   */
  async claim(owner: Owner): Promise<void> {
    this.#owner = owner;
    if (!this.#locks) {
      const own = new AbortController();
      this.#locks = own;
      this.#client = this.#core.newId();
      this.#waiting.clear();
      const ended = new Promise((resolve) => own.signal.addEventListener('abort', resolve));
      await new Promise((resolve) => {
        const held = () => {
          resolve(null);
          return ended;
        };
        void this.#hold(this.#client, held, own.signal).then(resolve);
        void sleep(claimMs).then(resolve);
      });
      for (const item of this.#items.values()) if (!isSent(item)) void this.#save(item);
    }
    const { signal } = this.#locks;
    const gone = (await this.#rows(owner)).map(({ client }) => client);
    const others = new Set(gone.filter((c) => c !== this.#client && !this.#waiting.has(c)));
    if (signal.aborted || !others.size) return;
    const adopted = [...others].map((client) => {
      this.#waiting.add(client);
      const adopt = async () => {
        const rows = await this.#rows(owner);
        if (!signal.aborted) await this.#adopt(rows.filter((r) => r.client === client));
        this.#waiting.delete(client);
      };
      return this.#hold(client, adopt, signal);
    });
    await Promise.race([Promise.all(adopted), sleep(claimMs)]);
  }

  /** Holds the lock of a client, as soon as nobody does, until held has resolved. Where there are no locks all are free. */
  async #hold(client: string, held: () => Promise<unknown>, signal: AbortSignal): Promise<void> {
    let isHeld = false;
    const hold = () => {
      isHeld = true;
      return held();
    };
    try {
      await locksOf(this.#core.platform)?.request(`h5im ${client}`, { signal }, hold);
    } catch {} // aborted, or not allowed here
    if (!isHeld && !signal.aborted) await held();
  }

  /** The rows that can be read. */
  async #rows({ prefix }: Owner): Promise<OutboxRow[]> {
    const { store } = this.#core;
    const rows: OutboxRow[] = [];
    for (const [key, value] of await store.list(`${prefix}out/`)) {
      const row = value as OutboxRow | null;
      if (typeof row?.v === 'number' && row.v > version) continue; // of a newer client, for a newer client
      if (row && isRow(row) && key === `${prefix}out/${row.clientId}`) rows.push(row);
      else {
        store.failed(new Error('a message is damaged'));
        void store.write([{ key }]);
      }
    }
    return rows.sort((a, b) => a.order - b.order);
  }

  /** Rows that another client left: they come before what this one has to send. */
  async #adopt(rows: OutboxRow[]): Promise<void> {
    const items = rows.filter((r) => !this.#items.has(r.clientId)).map((r) => this.#item(r));
    for (const item of items) {
      item.isAdopted = true;
      this.#add(item);
    }
    const all = [...this.#items.values()];
    const adopted = all.filter((i) => i.isAdopted).sort((a, b) => a.row.order - b.row.order);
    this.#items.clear();
    for (const item of [...adopted, ...all]) this.#items.set(item.row.clientId, item);
    const saved = items.map((item) => this.#save(item));
    for (const item of items) {
      const { failed, time, clientId } = item.row;
      this.#core.outgoing(item.outgoing);
      if (failed && Date.now() - time > maxFailedMs) this.cancel(clientId);
      else this.#overdue(item);
    }
    this.flush();
    await Promise.all(saved); // before another may look
  }

  async #transmit(item: Item, rpc: Rpc): Promise<void> {
    const { params } = item.outgoing;
    const { replica } = this.#core;
    this.#set(item, { status: 'sending' });
    try {
      if (!item.row.wired) {
        item.row = { ...item.row, wired: Date.now() };
        await this.#save(item);
      }
      if (this.#items.get(params.clientId) !== item || !isSending(item)) return;
      item.isWired = true;
      const r = await rpc.call('message.send', params, { timeoutMs: answerTimeoutMs });
      const m = messageOf(r, params, this.#core.me());
      this.#sent(item, m);
      replica.step(m.conversation, { rev: r.rev, message: m });
    } catch (thrown) {
      const e = toIMError(thrown);
      if (!isSending(item)) return;
      if (!e.retryable) {
        const { wired, ...row } = item.row; // the server has looked, and has it not
        Object.assign(item, { row, isWired: false });
      }
      if (!e.retryable || e.reason === 'internal') return this.#fail(item, 'failed', e);
      item.cause = e;
      this.#set(item, { status: 'queued' });
      if (e.reason !== 'offline') {
        const ms = (e.retryAfterMs ?? 0) + backoffMs(item.refusals++);
        const leftMs = (item.row.until ?? Infinity) - Date.now();
        if (ms > Math.min(leftMs, patienceMs)) return this.#fail(item, 'failed', e);
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

  #begin(given: OutboxRow, { signal, timeoutMs }: Wait): SendHandle {
    const { clientId } = given;
    this.#order = Math.max(this.#order + 1, Date.now());
    const row = {
      ...given,
      order: this.#order,
      ...(timeoutMs !== undefined && { until: Date.now() + timeoutMs }),
    };
    const item = this.#item(row);
    const cancel = () => this.#cancel(item);
    item.done = () => {
      clearTimeout(item.timer);
      signal?.removeEventListener('abort', cancel);
    };
    const promise = this.#core.watched(
      new Promise<Message>((resolve, reject) => Object.assign(item, { resolve, reject })),
    );
    this.#items.delete(clientId); // what is sent again goes last
    this.#add(item);
    this.#core.outgoing(item.outgoing);
    signal?.addEventListener('abort', cancel);
    const { over } = this.#core.connection;
    if (signal?.aborted) cancel();
    else if (over) this.#fail(item, 'failed', over);
    this.#core.identify().catch(() => {}); // it is told by the connection
    queueMicrotask(() => {
      this.flush();
      if (!item.isSaved) void this.#save(item);
    });
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

  #item(row: OutboxRow): Item {
    const { clientId, params, time, failed } = row;
    const error = failed && new IMError(failed.reason, failed.message);
    const outgoing: Outgoing = { clientId, params, time, status: failed ? 'failed' : 'queued', error };
    const ignore = () => {};
    const item: Item = {
      ...{ row, outgoing, resolve: ignore, reject: ignore, done: () => clearTimeout(item.timer) },
      ...{ refusals: 0, waits: false, isSaved: false, isWired: !!row.wired, isLeft: false, isAdopted: false },
    };
    return item;
  }

  #add(item: Item): void {
    const { clientId, until, order } = item.row;
    this.#order = Math.max(this.#order, order);
    this.#items.set(clientId, item);
    const [oldest] = this.#recent.add(clientId);
    if (this.#recent.size > maxRemembered) this.#recent.delete(oldest as string);
    if (until && isOpen(item))
      item.timer = later(until - Date.now(), () => this.#overdue(item) && this.flush());
  }

  /** Gives an item up whose time is over. */
  #overdue(item: Item): boolean {
    const { until = Infinity, wired = Infinity } = item.row;
    if (!isOpen(item)) return true;
    const { cause } = item;
    if (Date.now() >= until) {
      const reason = this.#core.connection.rpc ? 'timeout' : 'offline';
      this.#fail(item, 'failed', new IMError(reason, 'not sent in time', { cause }));
    } else if (!isSending(item) && Date.now() - wired > maxWiredMs) {
      const text = 'sent again it could arrive twice';
      this.#fail(item, 'failed', new IMError('expired', text, { cause }));
    } else return false;
    return true;
  }

  /** The conversation that an item goes to, where it is known, else a name for it. */
  #conversation(item: Item): string {
    const to = targetOf(item.outgoing.params.to as Target);
    return to.conversation ?? this.#core.replica.withPeer(to.user as string) ?? `@${to.user}`;
  }

  #sent(item: Item, m: Message): void {
    if (isSent(item)) return;
    this.#erase(item);
    this.#set(item, { status: 'sent', error: undefined });
    item.done();
    item.resolve(m);
    const [oldest] = this.#unread.set(item, m).keys();
    if (this.#unread.size > maxUnread) this.#unread.delete(oldest as Item);
    const conversation = this.#core.replica.get(m.conversation);
    if (conversation) this.marked(conversation);
  }

  #fail(item: Item, status: 'failed' | 'cancelled', error: IMError): void {
    this.#set(item, { status, error });
    item.done();
    item.reject(error);
    if (status === 'cancelled') return;
    const { reason, message } = error;
    item.row = { ...item.row, failed: { reason, message } };
    void this.#save(item);
  }

  #set(item: Item, change: Partial<Outgoing>): void {
    item.outgoing = { ...item.outgoing, ...change };
    this.#core.outgoing(item.outgoing);
  }

  /** Stores an item as it is. */
  async #save(item: Item): Promise<void> {
    const owner = this.#owner;
    if (!owner || !this.#client || this.#items.get(item.row.clientId) !== item) return;
    item.isSaved = true;
    item.row = { ...item.row, client: this.#client };
    const { store, cache } = this.#core;
    const rows = [{ key: this.#key(owner, item), value: item.row }];
    if (await store.write(rows)) return;
    await cache.drop(); // it may make room
    if (this.#owner === owner && this.#items.get(item.row.clientId) === item) await store.write(rows);
  }

  #erase(item: Item): void {
    if (this.#owner) void this.#core.store.write([{ key: this.#key(this.#owner, item) }]);
  }

  #key({ prefix }: Owner, { row }: Item): string {
    return `${prefix}out/${row.clientId}`;
  }

  /** From now on others may take over what is left. */
  #release(): void {
    this.#locks?.abort();
    this.#locks = undefined;
    this.#client = '';
  }
}

const isSending = ({ outgoing }: Item) => outgoing.status === 'sending';
const isOpen = (item: Item) => item.outgoing.status === 'queued' || isSending(item);
const isSent = ({ outgoing }: Item) => ['sent', 'delivered', 'read'].includes(outgoing.status);

const isRow = ({ clientId, params, order, time, client }: OutboxRow) =>
  typeof clientId === 'string' &&
  typeof client === 'string' &&
  typeof params === 'object' &&
  params?.clientId === clientId &&
  Number.isFinite(order + time);

/** Where a message goes, as an application writes it: a bare string is a person. */
export type Target = string | { user: string } | { conversation: string };

/** @internal */
export function targetOf(to: Target): WireTarget {
  return typeof to === 'string' ? { user: to } : { ...to };
}
