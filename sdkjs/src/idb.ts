import type { StorageAdapter } from './storage.js';

const table = 'rows';

/** A storage in the IndexedDB of that name, which is opened at the first use. */
export function indexedDBStorage(name = 'h5im', factory: IDBFactory = globalThis.indexedDB): StorageAdapter {
  let opened: Promise<IDBDatabase> | undefined;

  const open = () => {
    opened ??= new Promise<IDBDatabase>((resolve, reject) => {
      const request = factory.open(name, 1);
      const lost = () => {
        opened = undefined;
      };
      request.onupgradeneeded = () => request.result.createObjectStore(table);
      request.onerror = () => {
        lost();
        reject(request.error);
      };
      request.onsuccess = () => {
        const db = request.result;
        db.onclose = lost; // by the browser
        db.onversionchange = () => {
          lost(); // somebody deletes it, or a newer version needs it
          db.close();
        };
        resolve(db);
      };
    });
    return opened;
  };

  /** One transaction; resolves with the requests' results when it is complete. */
  const run = async (mode: IDBTransactionMode, use: (rows: IDBObjectStore) => IDBRequest[]) => {
    let db = await open();
    let t: IDBTransaction;
    try {
      t = db.transaction(table, mode);
    } catch {
      opened = undefined; // it was closed under us
      db = await open();
      t = db.transaction(table, mode);
    }
    return new Promise<unknown[]>((resolve, reject) => {
      t.onabort = () => reject(t.error);
      try {
        const requests = use(t.objectStore(table));
        t.oncomplete = () => resolve(requests.map((r) => r.result));
        if (mode === 'readwrite') t.commit?.(); // the page may end before the requests are answered
      } catch (e) {
        reject(e); // before the abort: this is why
        t.abort();
      }
    });
  };

  return {
    get: async (key) => (await run('readonly', (rows) => [rows.get(key)]))[0],
    list: async (prefix) => {
      const range = IDBKeyRange.bound(prefix, `${prefix}\uffff`);
      const all = await run('readonly', (rows) => [rows.getAllKeys(range), rows.getAll(range)]);
      const [keys, values] = all as [string[], unknown[]];
      return keys.map((key, i) => [key, values[i]]);
    },
    write: async (changes) => {
      await run('readwrite', (rows) =>
        changes.map(({ key, value }) => (value === undefined ? rows.delete(key) : rows.put(value, key))),
      );
    },
  };
}
