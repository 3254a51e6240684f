import type { Dial } from './conn.js';
import { Posting, type Reply } from './posting.js';

const isTransient = ({ status }: Reply) => status === 429 || status >= 500;

/** The server answers after 25 s at the latest. */
const pollTimeoutMs = 40_000;
/** A poll may be repeated: it gets the same frame again. */
const maxFailures = 2;
const pauseMs = 1_000;
/** After so many answers with nothing in them, polls are spaced: a proxy may answer them by itself. */
const maxEmpty = 10;

/** Events as the answers of requests that wait for them. */
class LongPoll extends Posting {
  protected async run(frame: string): Promise<void> {
    const opened = await this.request('poll', { body: frame });
    if (opened.status !== 200) return this.refused(opened);
    this.came(opened.text);
    let ack = 0;
    let failures = 0;
    let empty = 0;
    while (this.session && !this.isOver) {
      const reply = await this.request('poll', { query: `&ack=${ack}`, timeoutMs: pollTimeoutMs }).catch(
        () => undefined,
      );
      if (this.isOver) return;
      if (reply?.status === 200) {
        const { frame: n, messages } = JSON.parse(reply.text);
        if (n > ack) this.came(JSON.stringify(messages));
        ack = Math.max(ack, n);
        failures = empty = 0;
      } else if (reply?.status === 204) {
        this.came();
        failures = 0;
        if (++empty > maxEmpty) await this.pause(pauseMs);
      } else if (reply && !isTransient(reply)) return this.refused(reply);
      else if (failures < maxFailures) await this.pause(reply?.retryAfterMs || pauseMs * failures++);
      else return reply ? this.refused(reply) : this.end(1006, 'polls were lost');
    }
  }

  override close(): void {
    const isOpen = this.session && !this.isOver;
    super.close();
    if (!isOpen) return;
    // Nothing else tells the server before the poll would have ended.
    const body = '{"jsonrpc":"2.0","id":0,"method":"session.close","params":{}}';
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), pauseMs);
    this.fetch('rpc', { body, signal: stop.signal, keepalive: true })
      .catch(() => {})
      .then(() => clearTimeout(timer));
  }
}

export const poll: Dial = (d, e) => new LongPoll(d, e);
