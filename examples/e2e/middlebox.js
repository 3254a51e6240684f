// What stands between a page and its server in some offices and hotels: a proxy
// that passes no WebSocket on, or keeps back what it should let flow.

import http from 'node:http';
import net from 'node:net';
import { freePort } from './harness.js';

export class Middlebox {
  /** How many requests came, by path. */
  seen = {};
  /** What happens to an upgrade: 'pass', 'refuse' or 'hang'. */
  upgrades = 'pass';
  /** A response of an endless stream is kept until it ends. */
  buffers = false;
  #server;
  #sockets = new Set();
  #pairs = new Set();

  constructor(server) {
    this.behind = server;
  }

  /** Until the test has ended, however it does. */
  async start(t) {
    t.after(() => this.#stop());
    this.port = await freePort();
    this.url = `http://127.0.0.1:${this.port}`;
    this.#server = http.createServer((req, res) => this.#forward(req, res));
    this.#server.on('upgrade', (req, socket, head) => this.#upgrade(req, socket, head));
    this.#server.on('connection', (s) => {
      this.#sockets.add(s);
      s.on('close', () => this.#sockets.delete(s));
    });
    await new Promise((ready) => this.#server.listen(this.port, '127.0.0.1', ready));
    return this;
  }

  /** Cuts every connection; new ones may begin. */
  cut() {
    for (const s of this.#sockets) s.destroy();
  }

  /** Swallows what the open WebSockets carry, as a lost network path does: nobody is told. */
  stall() {
    for (const [a, b] of this.#pairs) {
      a.unpipe(b).resume();
      b.unpipe(a).resume();
    }
  }

  async #stop() {
    const closed = new Promise((done) => this.#server.close(done));
    this.cut();
    await closed;
  }

  #count(req) {
    const { pathname } = new URL(req.url, this.url);
    this.seen[pathname] = (this.seen[pathname] ?? 0) + 1;
    return pathname;
  }

  #forward(req, res) {
    const path = this.#count(req);
    const { method, headers, url } = req;
    const ahead = http.request({ port: this.behind.port, host: '127.0.0.1', method, path: url, headers }, (answer) => {
      res.writeHead(answer.statusCode, answer.headers);
      if (!this.buffers || path !== '/im/events') return answer.pipe(res);
      const kept = [];
      answer.on('data', (b) => kept.push(b));
      answer.on('end', () => res.end(Buffer.concat(kept)));
    });
    ahead.on('error', () => res.destroy());
    res.on('close', () => ahead.destroy());
    req.pipe(ahead);
  }

  #upgrade(req, socket, head) {
    this.#count(req);
    socket.on('error', () => {});
    if (this.upgrades === 'hang') return;
    if (this.upgrades === 'refuse') {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      return;
    }
    const ahead = net.connect(this.behind.port, '127.0.0.1', () => {
      const lines = [`${req.method} ${req.url} HTTP/1.1`];
      for (let i = 0; i < req.rawHeaders.length; i += 2) lines.push(`${req.rawHeaders[i]}: ${req.rawHeaders[i + 1]}`);
      ahead.write(`${lines.join('\r\n')}\r\n\r\n`);
      ahead.write(head);
      socket.pipe(ahead).pipe(socket);
    });
    const pair = [socket, ahead];
    this.#pairs.add(pair);
    socket.on('close', () => this.#pairs.delete(pair));
    ahead.on('error', () => socket.destroy());
    socket.on('close', () => ahead.destroy());
    ahead.on('close', () => socket.destroy());
  }
}
