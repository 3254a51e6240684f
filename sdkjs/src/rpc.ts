import { fromWire, IMError, toIMError, type WireError } from './errors.js';
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

/** A request, and what it takes of a frame. */
interface Request {
  id: number;
  text: string;
  bytes: number;
  items: number;
}

/** What every server takes in a frame [P7]; an array that a request shares is one level of its depth. */
const maxItems = 4096;
const maxDepth = 15;

/**
 * JSON-RPC 2.0 over one connection. Requests that are made in the same breath
 * travel in one frame.
 * @internal
 */
export class Rpc {
  /** What the server accepts; session.open tells. */
  limits: Pick<Limits, 'batch' | 'frameBytes'> = { batch: 64, frameBytes: 256 << 10 };
  readonly #waiting = new Map<number, Waiting>();
  #queue: Request[] = [];
  #lastId = 0;
  #failure: IMError | undefined;
  /** Hears every answer that is no error, before whoever waits for it. */
  answered: ((op: Operation, params: object, result: unknown) => void) | undefined;

  constructor(
    private readonly write: (frame: string) => void,
    private readonly notified: (method: string, params: unknown) => void,
    /** Whether requests had better wait, until flush is called. */
    private readonly busy: () => boolean | undefined = () => false,
  ) {}

  /**
   * Resolves with what use makes of the answer. use is called at once when the
   * answer is read, so that answers and events have the order of the server.
   * An urgent request waits for no other.
   */
  async call<O extends Operation, T = Result<O>>(
    op: O,
    params: Params<O>,
    wait: Wait,
    use = (r: Result<O>) => r as unknown as T,
    urgent = false,
  ): Promise<T> {
    const late = () => new IMError('timeout', `no answer to ${op} in time`);
    const id = ++this.#lastId;
    const text = JSON.stringify({ jsonrpc: '2.0', id, method: op, params });
    const bytes = new TextEncoder().encode(text).length;
    const items = itemsOf(JSON.parse(text));
    check('frame', bytes, this.limits.frameBytes);
    check('items', items, maxItems);
    return guard<T>(wait, late, (resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      const answer = (r: unknown) => {
        this.answered?.(op, params, r);
        resolve(use(r as Result<O>));
      };
      this.#waiting.set(id, { resolve: answer, reject });
      if (urgent) this.write(text);
      else {
        if (!this.#queue.length) queueMicrotask(() => this.flush());
        this.#queue.push({ id, text, bytes, items });
      }
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
      try {
        if (m?.error) asked?.reject(fromWire(m.error));
        else asked?.resolve(m.result);
      } catch (e) {
        asked?.reject(toIMError(e)); // not what this operation answers
      }
    }
  }

  /** Ends it: every call that waits, and every later one, fails with e. */
  fail(e: IMError): void {
    this.#failure ??= e;
    this.#queue.length = 0;
    for (const w of [...this.#waiting.values()]) w.reject(e);
  }

  /** Writes what waits and is still wanted, in as few frames as the server accepts. */
  flush(): void {
    const { batch, frameBytes } = this.limits;
    this.#queue = this.#queue.filter((r) => this.#waiting.has(r.id));
    while (this.#queue.length && !this.busy()) {
      let n = 0;
      let bytes = 1;
      let items = 1;
      for (const r of this.#queue) {
        bytes += r.bytes + 1;
        items += r.items;
        if (n && (n >= batch || bytes > frameBytes || items > maxItems)) break;
        n++;
      }
      const texts = this.#queue.splice(0, n).map((r) => r.text);
      this.write(n > 1 ? `[${texts}]` : (texts[0] as string));
    }
  }
}

/** A request that is too large by itself is not sent: the server would refuse its neighbours with it. */
function check(field: string, size: number, max: number): void {
  if (size > max) throw new IMError('too_large', 'the request is too large', { detail: { field, max } });
}

/** How many values and names there are. */
function itemsOf(value: unknown, depth = 1): number {
  if (typeof value !== 'object' || value === null) return 1;
  check('depth', depth, maxDepth);
  const values = Object.values(value);
  const names = Array.isArray(value) ? 0 : values.length;
  return values.reduce((sum, v) => sum + itemsOf(v, depth + 1), 1 + names);
}
