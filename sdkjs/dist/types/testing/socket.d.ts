import type { SocketLike } from '../platform.js';
import type { TestServer } from './server.js';
/** A WebSocket whose other end is a TestServer. */
export declare class TestSocket implements SocketLike {
    private readonly server;
    readonly url: string;
    readonly protocol: string;
    onopen: ((e: never) => unknown) | null;
    onmessage: ((e: never) => unknown) | null;
    onclose: ((e: never) => unknown) | null;
    onerror: ((e: never) => unknown) | null;
    private readonly session;
    private isOpen;
    private isClosed;
    constructor(server: TestServer, url: string, protocol: string);
    send(data: string): void;
    close(code?: number): void;
    deliver(frame: string): void;
    closed(code: number, reason?: string): void;
    private later;
}
