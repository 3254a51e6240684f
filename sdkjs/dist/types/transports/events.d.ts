/**
 * Takes an event stream apart, however it was cut on its way: feed answers the
 * data of the events that are complete now.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export declare class EventParser {
    #private;
    feed(bytes: Uint8Array): string[];
}
