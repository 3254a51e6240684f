import type { FetchInit, ResponseLike } from '../platform.js';
import type { TestServer } from './server.js';
import { type Carrier, TestSession } from './session.js';

const heartbeatMs = 20_000;

type Chunk = { done: boolean; value?: Uint8Array };

/** The server's end of an event stream. @internal */
export class Stream implements Carrier {
  readonly #session: TestSession;
  readonly #chunks: Chunk[] = [];
  #next: { resolve(c: Chunk): void; reject(e: unknown): void } | undefined;
  #failure: unknown;
  #isOver = false;
  readonly #heartbeat: ReturnType<typeof setInterval>;

  constructor(
    private readonly server: TestServer,
    readonly url: string,
    init: FetchInit,
  ) {
    this.#session = new TestSession(server, this);
    server.sessions.add(this.#session);
    this.#heartbeat = setInterval(() => this.pinged(), heartbeatMs);
    init.signal.addEventListener('abort', () => {
      this.#end();
      this.#fail(new DOMException('aborted', 'AbortError'));
    });
  }

  /** The response to the request that opens the session. */
  response(frame: string): ResponseLike {
    this.pinged();
    this.#session.receive(frame);
    const read = () =>
      new Promise<Chunk>((resolve, reject) => {
        this.#next = { resolve, reject };
        this.#flush();
      });
    const headers: Record<string, string> = { 'content-type': 'text/event-stream' };
    return {
      status: 200,
      headers: { get: (name) => headers[name.toLowerCase()] ?? null },
      text: async () => '',
      body: { getReader: () => ({ read }) },
    };
  }

  /** A comment: a sign of life. */
  pinged(): void {
    this.#write(':\n\n');
  }

  deliver(frame: string): void {
    this.#write(`data: ${frame}\n\n`);
  }

  closed(code: number, reason = ''): void {
    if (this.#isOver) return;
    if (code === 1006) {
      this.#end();
      this.#fail(new TypeError('network error'));
    } else {
      this.deliver(JSON.stringify({ jsonrpc: '2.0', method: 'close', params: { code, reason } }));
      this.#end();
      setTimeout(() => this.#push({ done: true }), this.server.latencyMs);
    }
  }

  #write(text: string): void {
    if (this.#isOver) return;
    setTimeout(() => {
      if (!this.#session.stalled) this.#push({ done: false, value: new TextEncoder().encode(text) });
    }, this.server.latencyMs);
  }

  #push(chunk: Chunk): void {
    this.#chunks.push(chunk);
    this.#flush();
  }

  #flush(): void {
    if (!this.#next || (this.server.buffering && !this.#isOver)) return;
    const chunk = this.#chunks.shift();
    if (this.#failure) this.#next.reject(this.#failure);
    else if (chunk) this.#next.resolve(chunk);
    else return;
    this.#next = undefined;
  }

  #fail(e: unknown): void {
    this.#failure = e;
    this.#flush();
  }

  #end(): void {
    this.#isOver = true;
    clearInterval(this.#heartbeat);
    this.server.sessions.delete(this.#session);
  }
}
