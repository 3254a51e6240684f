import type { OpenResult } from '../protocol.js';
import { messageOf } from '../receipt.js';
import type { Conn, ConnEvents, Dial, TransportName } from './conn.js';

/** What tabs say to each other. Everybody hears everything. */
export interface Said {
  /**
   * From a follower: "hello" begins a connection, "ping" wants a sign of life,
   * "frame" is for the server, "wake" the page may have slept.
   * From the leader: "alive", "up" its own connection is there, "down" it is
   * not, "frame" from the server, "lead" it is the leader now,
   * "freeze" it will be silent.
   * From anyone: "logout".
   */
  kind: 'hello' | 'ping' | 'wake' | 'alive' | 'up' | 'down' | 'frame' | 'lead' | 'freeze' | 'logout';
  /** The tab. */
  from: string;
  /** The follower's connection that it is of or for; absent: for all. */
  conn?: string | undefined;
  /** It is not for this one. */
  not?: string | undefined;
  /** The leader's connection. */
  link?: string | undefined;
  frame?: string;
  /** When a follower said it, in milliseconds since the epoch. */
  at?: number;
  transport?: TransportName | null;
  /** Why it is down: a close code. */
  code?: number;
  reason?: string | undefined;
}

/** An error as the leader met it. */
export interface TabError {
  reason: string;
  message: string;
  retryable: boolean;
  retryAfterMs?: number;
  detail?: object;
}

/** The tab, for what is shared. */
export interface TabHost {
  readonly id: string;
  readonly leads: boolean;
  /** The session of the tab's own connection, while it is online. */
  readonly session: OpenResult | null;
  readonly transport: TransportName | null;
  /** No attempt to connect is under way. */
  readonly rests: boolean;
  newId(): string;
  say(m: Omit<Said, 'from'>): void;
  isVisible(): boolean;
  serverTime(): number;
  /** Calls an operation on the tab's own connection. */
  call(op: string, params: object, timeoutMs: number, use: (result: unknown) => void): Promise<unknown>;
  /** An event, for the tab's own client. */
  notified(method: string, params: unknown): void;
  /** The page may have slept. */
  wake(): void;
  /** Becomes the leader, whoever is. */
  steal(): void;
}

/** The code of tabs that is needed when there are two. */
export interface Sharing {
  /** The leader's connection, for a follower. */
  readonly dial: Dial;
  /** What carries the leader's session. */
  readonly transport: TransportName | null;
  heard(m: Said): void;
  /** The tab leads now. */
  led(): void;
  /** The page may have slept. */
  woke(): void;
  /** The tab's own connection is there. */
  up(): void;
  down(code?: number, reason?: string): void;
  event(method: string, params: unknown): void;
  /** An operation was answered on the tab's own connection. */
  answered(op: string, params: object, result: unknown): void;
}

interface Request {
  id: number;
  method: string;
  params: object;
}

/** How often a visible follower asks for a sign of life, and how long the leader has to give one. */
const beatMs = 500;
/** An older frame was not heard in time: whoever said it has asked another by now. */
const maxAgeMs = 3_000;
const answerTimeoutMs = 30_000;

/** What a follower's requests become: the leader answers for the server. @internal */
export function share(host: TabHost): Sharing {
  return new Shared(host);
}

class Shared implements Sharing {
  transport: TransportName | null = null;
  #conn: Follower | undefined;
  #link = '';
  /** Which follower's connection a request is of, by its params. */
  readonly #of = new WeakMap<object, string>();

  constructor(private readonly host: TabHost) {
    if (host.session) this.#link = host.newId();
  }

  readonly dial: Dial = (_, e) => {
    this.#conn?.close();
    this.#conn = new Follower(this.host, e);
    return this.#conn;
  };

  heard(m: Said): void {
    if (this.host.leads) return this.#asked(m);
    if (m.kind === 'up') {
      this.transport = m.transport ?? null;
      if (!this.#conn || this.#conn.isOver) this.host.wake(); // no use waiting any longer
    }
    this.#conn?.heard(m);
  }

  led(): void {
    this.#link = ''; // of when it led before
    this.#conn?.end(4000, 'this tab leads now');
    this.host.say({ kind: 'lead' });
  }

  woke(): void {
    if (this.host.leads) return;
    this.#conn?.beat();
    this.host.say({ kind: 'wake' });
  }

  up(): void {
    this.#link = this.host.newId();
    this.#sayUp();
  }

  down(code = 4000, reason?: string): void {
    this.#link = '';
    this.host.say({ kind: 'down', code, reason });
  }

  event(method: string, params: unknown, not?: string): void {
    const frame = JSON.stringify({ jsonrpc: '2.0', method, params });
    if (this.#link) this.host.say({ kind: 'frame', link: this.#link, frame, not });
  }

  /** The server tells nothing to the session that asked: the other tabs are told here. */
  answered(op: string, params: object, result: unknown): void {
    const { host } = this;
    const of = this.#of.get(params);
    const tell = (method: string, told: unknown) => {
      this.event(method, told, of);
      if (of) host.notified(method, told);
    };
    if (op === 'message.send') {
      tell('message', messageOf(result as never, params as never, host.session?.user ?? ''));
    } else if (op === 'conversation.mark') {
      const { conversation } = params as { conversation: string };
      const own = (o: unknown) => tell('self', o);
      host.call('conversation.own', { conversation }, answerTimeoutMs, own).catch(() => {}); // a sync tells
    }
  }

  #sayUp(conn?: string): void {
    this.host.say({ kind: 'up', link: this.#link, transport: this.host.transport, conn });
  }

  /** A follower said something. */
  #asked({ kind, conn, link, frame, at = 0 }: Said): void {
    const { host } = this;
    const none = () => host.say({ kind: 'down', conn, code: 4000 });
    if (kind === 'wake') host.wake();
    else if (kind === 'hello') {
      if (this.#link) this.#sayUp(conn);
      else if (host.rests) none();
    } else if (kind === 'frame' && frame && conn) {
      const isLate = Math.abs(Date.now() - at) > maxAgeMs;
      if (!link || link !== this.#link || isLate) return none();
      for (const r of [JSON.parse(frame)].flat()) void this.#answer(r, conn, link);
    }
  }

  async #answer({ id, method, params }: Request, conn: string, link: string): Promise<void> {
    const { host } = this;
    const answer = (a: object) => {
      const frame = JSON.stringify({ jsonrpc: '2.0', id, ...a });
      if (link === this.#link) host.say({ kind: 'frame', conn, link, frame });
    };
    const done = (result: unknown) => answer({ result });
    if (method === 'session.open') {
      if (!host.session) return; // it ends just now
      const { expiresAt, ...session } = host.session; // renewing is the leader's
      return done({ ...session, serverTime: host.serverTime() });
    }
    if (method === 'session.close') return done({}); // it is not the follower's alone
    try {
      this.#of.set(params, conn);
      await host.call(method, params, answerTimeoutMs, done);
    } catch (thrown) {
      const { reason, message, retryable, retryAfterMs, detail } = thrown as TabError;
      if (reason === 'offline' || reason === 'timeout') return; // it asks again
      const data = { ...detail, reason, retryAfterMs };
      answer({ error: { code: retryable ? 503 : 400, message, data } });
    }
  }
}

/** A connection whose other end is the leader. */
class Follower implements Conn {
  isOver = false;
  readonly #id: string;
  #leader = '';
  #link = '';
  #heardAt = -1;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly host: TabHost,
    private readonly events: ConnEvents,
  ) {
    this.#id = host.newId();
    host.say({ kind: 'hello', conn: this.#id });
    this.#await();
  }

  send(frame: string): void {
    if (this.isOver) throw new Error('closed');
    this.host.say({ kind: 'frame', conn: this.#id, link: this.#link, frame, at: Date.now() });
  }

  close(): void {
    this.isOver = true;
    clearTimeout(this.#timer);
  }

  end(code: number, reason?: string): void {
    if (this.isOver) return;
    this.close();
    this.events.closed(code, reason);
  }

  heard({ kind, from, conn, not, link, frame, code = 4000, reason }: Said): void {
    if (this.isOver || not === this.#id || (conn && conn !== this.#id)) return;
    if (kind === 'lead') return this.#leader && from !== this.#leader ? this.end(4000) : undefined;
    if (this.#link && from !== this.#leader) return; // one that led before
    if (kind === 'freeze' && this.host.isVisible()) this.host.steal();
    else if (kind === 'alive') this.#heardAt = performance.now();
    else if (kind === 'down') this.end(code, reason);
    else if (kind === 'up' && link) {
      if (this.#link && this.#link !== link) return this.end(4000);
      if (this.#link) return;
      this.#leader = from;
      this.#link = link;
      this.events.opened();
    } else if (kind === 'frame' && frame && link === this.#link) this.events.received(frame);
  }

  /** Asks for a sign of life, as long as somebody looks. */
  beat(): void {
    if (this.isOver) return;
    clearTimeout(this.#timer);
    if (!this.host.isVisible()) {
      this.#timer = undefined; // woke goes on
      return;
    }
    this.host.say({ kind: 'ping', conn: this.#id });
    this.#await();
  }

  #await(): void {
    const asked = performance.now();
    this.#timer = setTimeout(() => {
      const hasSlept = performance.now() - asked > 2 * beatMs;
      if (this.#heardAt >= asked || hasSlept || !this.host.isVisible()) this.beat();
      else this.host.steal();
    }, beatMs);
  }
}
