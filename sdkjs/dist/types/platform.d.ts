/** What this SDK uses of a WebSocket. */
export interface SocketLike {
    onopen: ((e: never) => unknown) | null;
    onmessage: ((e: never) => unknown) | null;
    onclose: ((e: never) => unknown) | null;
    onerror: ((e: never) => unknown) | null;
    send(data: string): void;
    close(code?: number, reason?: string): void;
}
/** What this SDK uses of localStorage. It keeps nothing secret there. */
export interface KeyValueStorage {
    getItem(key: string): string | null;
    setItem(key: string, value: string): void;
}
/**
 * What the SDK needs of its surroundings. Everything is optional; what is
 * absent is taken from the browser, Node or the worker, when it is first used.
 */
export interface PlatformAdapter {
    WebSocket?: new (url: string, protocol: string) => SocketLike;
    /** Fills the bytes with randomness fit for cryptography. */
    random?(bytes: Uint8Array<ArrayBuffer>): void;
    /** Where the device's id is kept; null: nowhere. */
    storage?: KeyValueStorage | null;
    /** Calls fn when the page may have slept, or the network came or went. Returns off. */
    onWake?(fn: () => void): () => void;
    /** False only where there is certainly no network. */
    isOnline?(): boolean;
    /** What a relative endpoint is relative to. */
    baseUrl?: string;
}
