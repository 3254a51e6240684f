import type { OpenResult } from '../protocol.js';
import { codes, Refusal } from './refusal.js';
import type { AnyParams, TestServer } from './server.js';

/** A request as it came. */
export interface TestRequest {
  id: number;
  method: string;
  params: AnyParams;
}

/** What carries a session, at the server's end. */
export interface Carrier {
  readonly url: string;
  /** Sends a frame on the way of the events. */
  deliver(frame: string): void;
  /** Ends the connection. */
  closed(code: number, reason?: string): void;
  /** The session was opened. */
  opened?(): void;
}

/** The server's end of a session. */
export class TestSession {
  /** Empty until the session was opened. */
  user = '';
  readonly id: string;
  /** Nothing arrives any more; see TestServer.stall. */
  stalled = false;
  /** Events that wait for the first sync's answer. */
  private held: string[] | null = [];

  constructor(
    private readonly server: TestServer,
    readonly socket: Carrier,
  ) {
    this.id = `s${++server.connections}`;
  }

  /** Sends an event, with whatever the server's fate for it is. */
  notify(method: string, params: unknown): void {
    if (!this.user || this.server.lose(method, params)) return;
    const frame = JSON.stringify({ jsonrpc: '2.0', method, params });
    if (['reauth', 'goaway', 'kicked'].includes(method)) return this.socket.deliver(frame);
    for (const ms of this.server.fate(method)) {
      if (ms) setTimeout(() => this.event(frame), ms);
      else this.event(frame);
    }
  }

  private event(frame: string): void {
    if (this.held) this.held.push(frame);
    else this.socket.deliver(frame);
  }

  /** Takes a frame; the answers go back where the events go. */
  receive(frame: string): void {
    this.take(frame, (answer) => this.socket.deliver(answer));
  }

  /** Takes a frame; give gets each answer. @internal */
  take(frame: string, give: (answer: string) => void): Array<Promise<void>> {
    this.server.frames++;
    const parsed: TestRequest | TestRequest[] = JSON.parse(frame);
    return [parsed].flat().map((r) => this.answer(r, give));
  }

  private async answer(r: TestRequest, give: (answer: string) => void): Promise<void> {
    const { server } = this;
    server.lastId = r.id;
    server.requests.push({ op: r.method, params: r.params, session: this });
    if (server.mute) return new Promise(() => {});
    let answer: object;
    try {
      let result = server.intercept(r.method, r.params, this);
      if (result === 'hang') return new Promise(() => {});
      if (r.method === 'session.open') result ??= this.open(r.params);
      else if (!this.user) throw new Refusal('unauthenticated', { serverTime: server.now() });
      else result ??= server.run(r.method, r.params, this);
      answer = { result: await result };
    } catch (e) {
      if (!(e instanceof Refusal)) throw e;
      const code = codes[e.reason] ?? server.code;
      answer = { error: { code, message: e.reason, data: { reason: e.reason, ...e.more } } };
    }
    give(JSON.stringify({ jsonrpc: '2.0', id: r.id, ...answer }));
    if (r.method === 'sync') {
      for (const f of this.held ?? []) this.socket.deliver(f);
      this.held = null;
    }
  }

  private open({ appId, token, device }: AnyParams): OpenResult {
    const { server } = this;
    if (appId !== server.appId) throw new Refusal('app_unknown');
    const user = server.tokens.get(token ?? '');
    const serverTime = server.now();
    if (!user) throw new Refusal('unauthenticated', { serverTime });
    if (this.user && this.user !== user) throw new Refusal('permission_denied');
    this.user = user;
    this.socket.opened?.();
    const { epoch, tokenLifeMs } = server;
    return {
      ...{ session: this.id, user, device, serverTime, epoch, features: [] },
      ...(tokenLifeMs ? { expiresAt: serverTime + tokenLifeMs } : {}),
      limits: {
        ...{ frameBytes: 262144, contentBytes: 65536, batch: 64, page: 50, maxPage: 100, titleBytes: 256 },
        ...{
          membersPerCall: 500,
          members: 5000,
          mentions: 50,
          sessionsPerUser: 20,
          newDirectPeersPerHour: 60,
        },
      },
    };
  }
}
