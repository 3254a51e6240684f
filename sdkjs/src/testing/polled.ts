import type { HttpAnswer, TestServer } from './server.js';
import type { Carrier, TestSession } from './session.js';

const waitMs = 25_000;

/** The server's end of a session whose events are asked for. @internal */
export class Polled implements Carrier {
  #frame = 0;
  /** The last frame, until it is acknowledged. */
  #last: object[] = [];
  #queue: object[] = [];
  /** Whether the next poll is answered at once, with or without messages. */
  #nudged = false;
  #waiting: (() => void) | undefined;
  #broken = false;
  #isOver = false;

  constructor(
    private readonly server: TestServer,
    readonly url: string,
    private readonly session: () => TestSession,
  ) {}

  opened(): void {
    this.server.sessions.add(this.session());
  }

  pinged(): void {
    this.#nudge();
  }

  deliver(frame: string): void {
    if (this.#isOver) return;
    this.#queue.push(JSON.parse(frame));
    this.#nudge();
  }

  closed(code: number, reason = ''): void {
    if (code === 1006) {
      this.server.sessions.delete(this.session());
      this.#broken = true;
      this.#nudge();
    } else {
      this.deliver(JSON.stringify({ jsonrpc: '2.0', method: 'close', params: { code, reason } }));
      this.#isOver = true;
    }
  }

  async poll(ack: number, signal: AbortSignal): Promise<HttpAnswer> {
    if (ack < this.#frame) return this.#answer();
    this.#last = [];
    if (!this.#queue.length && !this.#nudged) {
      this.#waiting?.(); // one poll at a time
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer);
          signal.removeEventListener('abort', done);
          this.#waiting = undefined;
          resolve();
        };
        const timer = setTimeout(done, waitMs);
        signal.addEventListener('abort', done);
        this.#waiting = done;
      });
    }
    if (this.#broken) throw new TypeError('network error');
    if (signal.aborted) return { status: 204 };
    if (this.session().stalled) return new Promise(() => {});
    this.#nudged = false;
    if (!this.#queue.length) return { status: 204 };
    this.#last = this.#queue.splice(0);
    this.#frame++;
    if (this.#isOver) this.server.sessions.delete(this.session());
    return this.#answer();
  }

  #answer(): HttpAnswer {
    return { status: 200, body: JSON.stringify({ frame: this.#frame, messages: this.#last }) };
  }

  #nudge(): void {
    this.#nudged = true;
    this.#waiting?.();
  }
}
