import { fromWire, IMError, type WireError } from './errors.js';
import type { Limits, Operations } from './protocol.js';
import { guard, type Wait } from './wait.js';

/** The name of an operation. */
export type Operation = keyof Operations;
export type Params<O extends Operation> = Operations[O]['params'];
export type Result<O extends Operation> = Operations[O]['result'];

interface Answer {
  id?: string | number | null;
  method?: string;
  params?: unknown;
  result?: unknown;
  error?: WireError;
}

interface Waiting {
  resolve(result: unknown): void;
  reject(e: IMError): void;
}

/** How many requests of a session a server runs at once. */
const maxInFlight = 64;

/**
 * JSON-RPC 2.0 over one connection. Requests that are made in the same breath
 * travel in one frame.
 * @internal
 */
export class Rpc {
  /** What the server accepts; session.open tells. */
  limits: Pick<Limits, 'batch' | 'frameBytes'> = { batch: 64, frameBytes: 256 << 10 };
  readonly #waiting = new Map<number, Waiting>();
  readonly #queue: Array<{ id: number; text: string }> = [];
  #lastId = 0;
  readonly #inFlight = new Set<number>();
  #flushing = false;
  #failure: IMError | undefined;

  constructor(
    private readonly write: (frame: string) => void,
    private readonly notified: (method: string, params: unknown) => void,
  ) {}

  call<O extends Operation>(op: O, params: Params<O>, wait: Wait): Promise<Result<O>> {
    const late = () => new IMError('timeout', `no answer to ${op} in time`);
    return guard<Result<O>>(wait, late, (resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      const id = ++this.#lastId;
      const text = JSON.stringify({ jsonrpc: '2.0', id, method: op, params });
      if (byteLength(text) > this.limits.frameBytes) {
        const detail = { max: this.limits.frameBytes };
        return reject(new IMError('too_large', 'the request is larger than a frame may be', { detail }));
      }
      this.#waiting.set(id, { resolve: resolve as (result: unknown) => void, reject });
      this.#queue.push({ id, text });
      this.#flushSoon();
      return () => this.#waiting.delete(id);
    });
  }

  /** Takes a frame from the server. */
  receive(frame: string): void {
    let parsed: Answer | Answer[];
    try {
      parsed = JSON.parse(frame);
    } catch {
      return; // not the protocol: what it may have told is found missing by its rev
    }
    for (const m of Array.isArray(parsed) ? parsed : [parsed]) {
      if (m?.method !== undefined) this.notified(m.method, m.params ?? {});
      else if (typeof m?.id === 'number') this.#answered(m.id, m);
    }
  }

  /** Ends it: every call that waits, and every later one, fails with e. */
  fail(e: IMError): void {
    this.#failure ??= e;
    this.#queue.length = 0;
    for (const w of [...this.#waiting.values()]) w.reject(e);
  }

  #answered(id: number, m: Answer): void {
    this.#inFlight.delete(id);
    const w = this.#waiting.get(id);
    if (m.error) w?.reject(fromWire(m.error));
    else w?.resolve(m.result);
    if (this.#queue.length) this.#flushSoon();
  }

  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      while (this.#queue.length && this.#inFlight.size < maxInFlight) this.#flush();
    });
  }

  /** Writes one frame of what waits. */
  #flush(): void {
    const texts: string[] = [];
    let bytes = 2;
    for (let next = this.#queue[0]; next; next = this.#queue[0]) {
      if (this.#waiting.has(next.id)) {
        const size = byteLength(next.text) + 1;
        const full = texts.length >= this.limits.batch || this.#inFlight.size >= maxInFlight;
        if (full || (texts.length > 0 && bytes + size > this.limits.frameBytes)) break;
        texts.push(next.text);
        bytes += size;
        this.#inFlight.add(next.id);
      } // else nobody waits for it any more
      this.#queue.shift();
    }
    if (texts.length) this.write(texts.length === 1 ? (texts[0] as string) : `[${texts.join(',')}]`);
  }
}

const byteLength = (s: string) => new TextEncoder().encode(s).length;
