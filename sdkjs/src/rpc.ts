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

/**
 * JSON-RPC 2.0 over one connection. Requests that are made in the same breath
 * travel in one frame.
 * @internal
 */
export class Rpc {
  /** What the server accepts; session.open tells. */
  limits: Pick<Limits, 'batch' | 'frameBytes'> = { batch: 64, frameBytes: 256 << 10 };
  readonly #waiting = new Map<number, Waiting>();
  readonly #queue: string[] = [];
  #lastId = 0;
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
      const max = this.limits.frameBytes;
      if (byteLength(text) > max)
        return reject(new IMError('too_large', 'the request is too large', { detail: { max } }));
      this.#waiting.set(id, { resolve: resolve as (result: unknown) => void, reject });
      if (!this.#queue.length) queueMicrotask(() => this.#flush());
      this.#queue.push(text);
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
      const asked = this.#waiting.get(m?.id as number);
      if (m?.error) asked?.reject(fromWire(m.error));
      else asked?.resolve(m.result);
    }
  }

  /** Ends it: every call that waits, and every later one, fails with e. */
  fail(e: IMError): void {
    this.#failure ??= e;
    this.#queue.length = 0;
    for (const w of [...this.#waiting.values()]) w.reject(e);
  }

  /** Writes what waits, in as few frames as the server accepts. */
  #flush(): void {
    const { batch, frameBytes } = this.limits;
    while (this.#queue.length) {
      let n = 0;
      for (let bytes = 1; n < batch && this.#queue[n] !== undefined; n++) {
        bytes += byteLength(this.#queue[n] as string) + 1;
        if (n && bytes > frameBytes) break;
      }
      const texts = this.#queue.splice(0, n);
      this.write(n > 1 ? `[${texts}]` : (texts[0] as string));
    }
  }
}

const byteLength = (s: string) => new TextEncoder().encode(s).length;
