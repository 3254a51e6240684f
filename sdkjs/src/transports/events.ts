/**
 * Takes an event stream apart, however it was cut on its way: feed answers the
 * data of the events that are complete now.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export class EventParser {
  #rest = '';
  #data: string[] = [];
  readonly #decoder = new TextDecoder();

  feed(bytes: Uint8Array): string[] {
    const events: string[] = [];
    const text = this.#rest + this.#decoder.decode(bytes, { stream: true });
    const lines = text.split(/\r\n|\n|\r(?!$)/); // a last \r may be half of a \r\n
    this.#rest = lines.pop() as string;
    for (const line of lines) {
      if (line.startsWith('data:')) this.#data.push(line.slice(line[5] === ' ' ? 6 : 5));
      else if (!line && this.#data.length) events.push(this.#data.splice(0).join('\n'));
    }
    return events;
  }
}
