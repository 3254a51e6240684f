import type { FetchInit, FetchLike, ResponseLike } from '../platform.js';
import { Polled } from './polled.js';
import { codes } from './refusal.js';
import type { HttpAnswer, TestServer } from './server.js';
import { TestSession } from './session.js';
import { Stream } from './stream.js';

const response = ({ status, headers = {}, body = '' }: HttpAnswer): ResponseLike => ({
  status,
  headers: {
    get: (name) => Object.entries(headers).find(([k]) => k.toLowerCase() === name.toLowerCase())?.[1] ?? null,
  },
  text: async () => body,
  body: {
    getReader: () => {
      const chunks = [new TextEncoder().encode(body)];
      return {
        read: async () => {
          const value = chunks.pop();
          return { done: !value, value };
        },
      };
    },
  },
});

const json = (status: number, value: unknown): HttpAnswer => ({
  status,
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify(value),
});

/** The fetch of clients of a double. @internal */
export function fetchFrom(server: TestServer): FetchLike {
  /** What the HTTP request is answered with, once the server has it. */
  async function serve(url: URL, init: FetchInit): Promise<ResponseLike> {
    const path = url.pathname.slice(url.pathname.lastIndexOf('/') + 1);
    server.hits[path] = (server.hits[path] ?? 0) + 1;
    const isBlocked =
      (path === 'events' && server.blocked.has('sse')) || (path === 'poll' && server.blocked.has('poll'));
    if (server.down || isBlocked) throw new TypeError('fetch failed');
    const given = server.http(path, init.headers);
    if (given) return response(given);
    if (init.method === 'POST' && init.headers['Content-Type'] !== 'application/json') {
      return response({ status: 415, headers: { Date: new Date(server.now()).toUTCString() } });
    }
    if (path === 'events') return new Stream(server, url.href, init).response(init.body as string);
    if (path === 'poll' && init.method === 'POST') {
      const session: TestSession = new TestSession(server, new Polled(server, url.href, () => session));
      return response({ status: 200, body: await answers(session, init.body as string) });
    }
    const answer = await ofSession(path, url, init);
    if (server.loseAnswer(path, init.headers)) throw new TypeError('network error');
    return response(answer);
  }

  /** A request of a session that is open. */
  async function ofSession(path: string, url: URL, init: FetchInit): Promise<HttpAnswer> {
    const id = init.headers['Im-Session'];
    const session = [...server.sessions].find((s) => s.id === id);
    if (!session) return json(404, error('not_found'));
    const token = (init.headers.Authorization ?? '').replace(/^Bearer /, '');
    if (server.tokens.get(token) !== session.user) return json(401, error('unauthenticated'));
    if (path === 'poll') {
      return (session.socket as Polled).poll(Number(url.searchParams.get('ack')), init.signal);
    }
    const body = init.body as string;
    const text = await answers(session, body);
    const { method } = JSON.parse(body);
    if (method === 'ping') (session.socket as Polled | Stream).pinged();
    if (method === 'session.close') server.sessions.delete(session);
    return text
      ? { status: 200, headers: { 'Content-Type': 'application/json' }, body: text }
      : { status: 204 };
  }

  async function answers(session: TestSession, frame: string): Promise<string> {
    const all: string[] = [];
    await Promise.all(session.take(frame, (answer) => all.push(answer)));
    return frame.startsWith('[') ? `[${all}]` : (all[0] ?? '');
  }

  const error = (reason: string) => ({
    ...{ jsonrpc: '2.0', id: null },
    error: { code: codes[reason], message: reason, data: { reason, serverTime: server.now() } },
  });

  return (url, init) =>
    new Promise((resolve, reject) => {
      const abort = () => reject(new DOMException('aborted', 'AbortError'));
      if (init.signal.aborted) return abort();
      init.signal.addEventListener('abort', abort, { once: true });
      const travel = (fn: () => void) => setTimeout(fn, server.latencyMs);
      travel(() => {
        if (init.signal.aborted) return;
        const answer = serve(new URL(url), init);
        answer.then((r) => travel(() => resolve(r)), reject);
      });
    });
}
