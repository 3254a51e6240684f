import type { SocketLike } from '../platform.js';
import type { TestServer } from './server.js';
import { TestSession } from './session.js';

/** A WebSocket whose other end is a TestServer. */
export class TestSocket implements SocketLike {
  onopen: ((e: never) => unknown) | null = null;
  onmessage: ((e: never) => unknown) | null = null;
  onclose: ((e: never) => unknown) | null = null;
  onerror: ((e: never) => unknown) | null = null;
  private readonly session: TestSession;
  private isOpen = false;
  private isClosed = false;

  constructor(
    private readonly server: TestServer,
    readonly url: string,
    readonly protocol: string,
  ) {
    this.session = new TestSession(server, this);
    this.later(() => {
      if (server.down || server.blocked.has('websocket')) return this.closed(1006);
      this.isOpen = true;
      server.sessions.add(this.session);
      this.onopen?.({} as never);
    });
  }

  send(data: string): void {
    if (!this.isOpen) throw new Error('InvalidStateError');
    if (!this.isClosed) this.later(() => this.session.receive(data));
  }

  close(code = 1005): void {
    this.server.sessions.delete(this.session);
    this.later(() => this.closed(code));
  }

  deliver(frame: string): void {
    this.later(() => this.isClosed || this.session.stalled || this.onmessage?.({ data: frame } as never));
  }

  closed(code: number, reason = ''): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.server.sessions.delete(this.session);
    this.onclose?.({ code, reason } as never);
  }

  private later(fn: () => void): void {
    setTimeout(fn, this.server.latencyMs);
  }
}
