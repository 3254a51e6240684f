import type { Fallbacks } from './fallbacks.js';
/** What this SDK uses of a WebSocket. */
export interface SocketLike {
    onopen: ((e: never) => unknown) | null;
    onmessage: ((e: never) => unknown) | null;
    onclose: ((e: never) => unknown) | null;
    onerror: ((e: never) => unknown) | null;
    send(data: string): void;
    close(code?: number, reason?: string): void;
}
/** What this SDK uses of a response. Without a body it is no event stream. */
export interface ResponseLike {
    status: number;
    headers: {
        get(name: string): string | null;
    };
    text(): Promise<string>;
    body?: {
        getReader(): {
            read(): Promise<{
                done: boolean;
                value?: Uint8Array | undefined;
            }>;
        };
    } | null;
}
/** What this SDK asks of fetch. */
export interface FetchInit {
    method: string;
    headers: Record<string, string>;
    body?: string;
    signal: AbortSignal;
    cache: 'no-store';
    keepalive?: boolean;
}
/** What this SDK uses of fetch. */
export type FetchLike = (url: string, init: FetchInit) => Promise<ResponseLike>;
/** What this SDK uses of localStorage and sessionStorage. It keeps nothing secret there. */
export interface KeyValueStorage {
    getItem(key: string): string | null;
    setItem(key: string, value: string): void;
}
/** What this SDK uses of navigator.locks. */
export interface LocksLike {
    /**
     * Calls held when the lock is ours, which it is until held's promise is
     * settled; with ifAvailable at once, with null where it is another's. With
     * steal it is taken away: the other's request rejects.
     */
    request(name: string, o: {
        signal: AbortSignal;
    } | {
        ifAvailable: true;
    } | {
        steal: true;
    }, held: (lock: unknown) => unknown): Promise<unknown>;
}
/** What this SDK uses of a BroadcastChannel. */
export interface ChannelLike {
    onmessage: ((e: never) => unknown) | null;
    postMessage(message: unknown): void;
    close(): void;
}
/**
 * What the SDK needs of its surroundings. Everything is optional; what is
 * absent is taken from the browser, Node or the worker, when it is first used.
 */
export interface PlatformAdapter {
    WebSocket?: new (url: string, protocol: string) => SocketLike;
    /** For where there is no WebSocket, or something between here and the server blocks it. */
    fetch?: FetchLike;
    /** The other transports, where they cannot be loaded when they are needed: import { fallbacks } from 'h5-im-sdk/fallbacks'. */
    fallbacks?: Fallbacks;
    /** Fills the bytes with randomness fit for cryptography. */
    random?(bytes: Uint8Array<ArrayBuffer>): void;
    /** Where the device's id is kept; null: nowhere. */
    storage?: KeyValueStorage | null;
    /** Where it is kept which transport works here, as long as the page's session; null: nowhere. */
    sessionStorage?: KeyValueStorage | null;
    /** Tells which tab still lives, so that one alone sends what another left; null: there are no other tabs. */
    locks?: LocksLike | null;
    /** Carries what tabs say to each other, so that they share one connection; null: they do not. */
    broadcastChannel?: ((name: string) => ChannelLike) | null;
    /** Somebody may be looking at the page. */
    isVisible?(): boolean;
    /** Calls fn when the page may end without another word. Returns off. */
    onHide?(fn: () => void): () => void;
    /** Calls fn when the page may have slept, or the network came or went. Returns off. */
    onWake?(fn: () => void): () => void;
    /** Calls fn with true when the page is frozen, with false when it thaws. Returns off. */
    onFreeze?(fn: (isFrozen: boolean) => void): () => void;
    /** False only where there is certainly no network. */
    isOnline?(): boolean;
    /** What a relative endpoint is relative to. */
    baseUrl?: string;
}
