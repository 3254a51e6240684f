import type { Dial } from './conn.js';
import { EventParser } from './events.js';
import { Posting, replyOf } from './posting.js';

/** A proxy that keeps the first byte for longer keeps all of them. */
const firstByteMs = 4_000;

/** Events as an event stream, read by fetch since EventSource can neither POST nor authenticate. */
class EventStream extends Posting {
  protected async run(frame: string): Promise<void> {
    const late = setTimeout(() => this.end(1006, 'the event stream does not begin'), firstByteMs);
    this.ended.signal.addEventListener('abort', () => clearTimeout(late));
    const response = await this.fetch('events', { body: frame });
    if (response.status !== 200) return this.refused(await replyOf(response));
    if (!response.body) throw new Error('responses are not read as they come here');
    const reader = response.body.getReader();
    const parser = new EventParser();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || this.isOver) break;
      clearTimeout(late);
      if (value) this.came(...parser.feed(value));
    }
    this.end(1006, 'the event stream ended');
  }
}

export const sse: Dial = (d, e) => new EventStream(d, e);
