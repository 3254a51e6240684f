/** A key's new value; without a value the key is removed. */
export interface StorageChange {
    key: string;
    value?: unknown;
}
/**
 * Where the client keeps what must outlive the page: messages that are still to
 * be sent, and a cache of conversations. Keys are strings; values are whatever
 * can be cloned as for postMessage, not undefined, and neither side changes one
 * that it has handed over. Several pages may use the same storage at a time. A
 * promise may reject: the client goes on without. It never stores a token.
 */
export interface StorageAdapter {
    /** The value of a key; undefined where there is none. */
    get(key: string): Promise<unknown>;
    /** All keys that begin with prefix and their values, ascending as strings compare. */
    list(prefix: string): Promise<Array<[key: string, value: unknown]>>;
    /** Makes all changes in their order, or none, and resolves when they are stored. */
    write(changes: readonly StorageChange[]): Promise<void>;
}
/** A storage that ends with the page. */
export declare function memoryStorage(): StorageAdapter;
