import type { StorageAdapter } from './storage.js';
/** A storage in the IndexedDB of that name, which is opened at the first use. */
export declare function indexedDBStorage(name?: string, factory?: IDBFactory): StorageAdapter;
