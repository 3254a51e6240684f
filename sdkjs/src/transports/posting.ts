import { type FetchInit, fetchOf, type ResponseLike } from '../platform.js';
import type { Conn, ConnEvents, Dialing } from './conn.js';

/** What came back of a request. */
export interface Reply {
  status: number;
  text: string;
  retryAfterMs: number;
}

interface WireError {
  code: number;
  message: string;
  data: { reason: string; retryAfterMs?: number };
}

/** A request whose answer takes longer has been lost. */
const postTimeoutMs = 30_000;

/** What the kinds of connections without a socket share: requests go by POST, answers come in its body. */
export abstract class Posting implements Conn {
  busy = false;
  /** The id of the session, once the server has told it. */
  protected session = '';
  protected readonly ended = new AbortController();
  #begun = false;
  #posts = 0;
  /** How often the way of the events has proved that it works. */
  #signs = 0;
  /** Answers to pings that wait for another proof. */
  #pongs: string[] = [];

  constructor(
    protected readonly dialing: Dialing,
    protected readonly events: ConnEvents,
  ) {
    queueMicrotask(() => this.isOver || events.opened());
  }

  protected get isOver(): boolean {
    return this.ended.signal.aborted;
  }

  /** Opens the session with the first frame, and keeps the way of the events open from then on. */
  protected abstract run(frame: string): Promise<void>;

  send(frame: string): void {
    if (this.isOver) throw new Error('closed');
    if (this.#begun) return void this.#post(frame);
    this.#begun = this.busy = true;
    this.run(frame).catch((e) => this.end(1006, String(e?.message ?? e)));
  }

  close(): void {
    this.ended.abort();
  }

  /** It broke, or the server ended it. */
  protected end(code: number, reason?: string, retryAfterMs?: number): void {
    if (this.isOver) return;
    this.ended.abort();
    this.events.closed(code, reason, retryAfterMs);
  }

  /** The server did not answer with what was wanted: what that means for the connection. */
  protected refused({ status, text, retryAfterMs }: Reply): void {
    const { message = `HTTP ${status}`, data } = errorOf(text) ?? {};
    if (status === 401) this.end(data?.reason === 'token_expired' ? 4101 : 4100, message);
    else if (status === 429 || status === 503) this.end(1013, message, data?.retryAfterMs ?? retryAfterMs);
    else this.end(status === 404 && this.session ? 4000 : 1006, message);
  }

  /** What came on the way of the events; nothing is a sign of life. */
  protected came(...frames: string[]): void {
    this.#signs++;
    for (const frame of frames.length ? frames : [undefined]) {
      if (frame && !this.session) this.#opened(frame);
      if (!this.isOver) this.events.received(frame);
    }
    for (const pong of this.#pongs.splice(0)) this.events.answered(pong);
  }

  #opened(frame: string): void {
    const all = [JSON.parse(frame)].flat();
    this.session = all.find((m) => m?.result?.session)?.result.session ?? '';
    this.busy = false;
  }

  protected async fetch(
    path: 'events' | 'poll' | 'rpc',
    o: { body?: string; query?: string; signal?: AbortSignal; keepalive?: boolean },
  ): Promise<ResponseLike> {
    const { body, query = '', signal = this.ended.signal, keepalive } = o;
    const token = this.dialing.token();
    const headers: Record<string, string> = {};
    if (body) headers['Content-Type'] = 'application/json';
    if (this.session) {
      headers['Im-Session'] = this.session;
      if (token) headers.Authorization = `Bearer ${token}`;
    }
    const method = body ? 'POST' : 'GET';
    const url = this.dialing.url(path) + query;
    const init: FetchInit = { method, headers, signal, cache: 'no-store' };
    if (body) init.body = body;
    if (keepalive) init.keepalive = keepalive;
    return fetchOf(this.dialing.platform)(url, init);
  }

  /** One request with its whole answer; it rejects where none comes in time. */
  protected async request(
    path: 'poll' | 'rpc',
    o: { body?: string; query?: string; timeoutMs?: number },
  ): Promise<Reply> {
    const stop = new AbortController();
    const abort = () => stop.abort();
    const timer = setTimeout(abort, o.timeoutMs ?? postTimeoutMs);
    this.ended.signal.addEventListener('abort', abort);
    try {
      return await replyOf(await this.fetch(path, { ...o, signal: stop.signal }));
    } finally {
      clearTimeout(timer);
      this.ended.signal.removeEventListener('abort', abort);
    }
  }

  /** Waits, or until it ended. */
  protected pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.ended.signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.ended.signal.addEventListener('abort', done);
    });
  }

  async #post(frame: string): Promise<void> {
    this.#posts++;
    this.busy = true;
    const before = this.#signs;
    const sent: Request | Request[] = JSON.parse(frame);
    const reply = await this.request('rpc', { body: frame }).catch(() => undefined);
    if (this.isOver) return;
    if (!reply) return this.end(1006, 'a request was lost');
    this.busy = --this.#posts > 0;
    const { status, text } = reply;
    if (status === 401 || status === 404) return this.refused(reply);
    if (status !== 200 && status !== 204) this.events.answered(refusal(sent, reply));
    else if (text) {
      const isPing = !Array.isArray(sent) && sent.method === 'ping';
      if (isPing && before === this.#signs) this.#pongs.push(text);
      else this.events.answered(text);
    }
    if (!this.busy && !this.isOver) this.events.idle();
  }
}

interface Request {
  id?: number;
  method: string;
}

function errorOf(text: string): WireError | undefined {
  try {
    return JSON.parse(text).error;
  } catch {
    return undefined; // not from the server, or nothing that it has to say to a client
  }
}

/** The answers to requests of which the server has read none. */
function refusal(sent: Request | Request[], { status, text, retryAfterMs }: Reply): string {
  const reason = status === 429 ? 'rate_limited' : status >= 500 ? 'unavailable' : 'invalid_request';
  const { code, message, data } = errorOf(text) ?? {
    ...{ code: status, message: `HTTP ${status}`, data: { reason } },
  };
  const error = { code, message, data: { retryAfterMs, ...data } };
  return JSON.stringify([sent].flat().map(({ id }) => ({ jsonrpc: '2.0', id, error })));
}

/** @internal */
export async function replyOf(r: ResponseLike): Promise<Reply> {
  const seconds = Number(r.headers.get('Retry-After') ?? 0);
  return { status: r.status, text: await r.text(), retryAfterMs: (seconds || 0) * 1000 };
}
