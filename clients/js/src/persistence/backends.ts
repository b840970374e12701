/** Where records are kept: IndexedDB, or localStorage where there is none. One record per event: nothing is rewritten. */
import type { Item } from "../core/types.js";

/** An event as it is kept, and the page that sends it. */
export interface Kept extends Omit<Item, "done"> {
  tab: string;
}

export interface Backend {
  /** Write the records and remove those that are null, all or none. Rejects when there is no room. */
  write(changes: Map<string, Kept | null>): Promise<void>;
  all(): Promise<Kept[]>;
  clear(): Promise<void>;
}

const STORE = "events";

const done = (transaction: IDBTransaction): Promise<void> =>
  new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = transaction.onerror = () => reject(transaction.error);
  });

/** Open the database of `name`. Rejects where pages may have none. */
export const openDatabase = (name: string): Promise<Backend> =>
  new Promise((resolve, reject) => {
    const opening = indexedDB.open(name, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: "id" });
    opening.onerror = opening.onblocked = () => reject(opening.error);
    opening.onsuccess = () => {
      const database = opening.result;
      // Else it would hold up a page that deletes the database.
      database.onversionchange = () => database.close();
      const begin = (mode: IDBTransactionMode): [IDBTransaction, IDBObjectStore] => {
        // Relaxed: the operating system has it, the disk need not: a killed browser loses nothing.
        const transaction = database.transaction(STORE, mode, { durability: "relaxed" });
        return [transaction, transaction.objectStore(STORE)];
      };
      resolve({
        async write(changes) {
          const [transaction, store] = begin("readwrite");
          for (const [id, kept] of changes) kept ? store.put(kept) : store.delete(id);
          transaction.commit?.();
          await done(transaction);
        },
        async all() {
          const [transaction, store] = begin("readonly");
          const found = store.getAll();
          await done(transaction);
          return found.result;
        },
        async clear() {
          const [transaction, store] = begin("readwrite");
          store.clear();
          await done(transaction);
        },
      });
    };
  });

/** Keep records in localStorage, one key each. Throws where pages may have none. */
export const openLocal = (name: string): Backend => {
  const storage = localStorage;
  const prefix = name + ":";
  const keys = (): string[] => Object.keys(storage).filter((key) => key.startsWith(prefix));
  return {
    async write(changes) {
      for (const [id, kept] of changes) kept ? storage.setItem(prefix + id, JSON.stringify(kept)) : storage.removeItem(prefix + id);
    },
    all: async () => keys().map((key) => JSON.parse(storage.getItem(key)!)),
    async clear() {
      for (const key of keys()) storage.removeItem(key);
    },
  };
};
