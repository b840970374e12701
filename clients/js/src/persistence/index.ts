/**
 * Events that outlive their page.
 *
 * Each page keeps its events in the store and sends them itself, while it holds a Web Lock of its own. One page of the
 * origin, the leader, waits for the locks of the others: it gets one at the moment in which that page ends, however it
 * ends, and takes over its events. No timers, no heartbeats. Events that were under way come with the identity of their
 * request, whose receipt the core asks for.
 */
import type { Item, Store, StoreHost } from "../core/types.js";
import { openDatabase, openLocal, type Backend, type Kept } from "./backends.js";

/** Events that are adopted at once: the queue has room for more. */
const CHUNK = 100;
/** Without Web Locks (pages without TLS) an event of another page is taken over when it is so old. */
const ABANDONED_MS = 600_000;

/** Make a store for the option `store`. */
export const persistence = (): Store => {
  let name: string;
  let host: StoreHost;
  let tab = "";
  let backend: Backend | undefined;
  /** The backend is open and this page holds its lock. */
  let ready: Promise<void> = Promise.resolve();
  let changes = new Map<string, Kept | null>();
  let leaving: AbortController | undefined;
  /** Adopted events without an outcome, and those that follow. */
  const adopted = new Set<string>();
  let backlog: Item[][] = [];

  const write = (): void => {
    if (changes.size == 0) return;
    const batch = changes;
    changes = new Map();
    const lose = (): void => {
      const count = [...batch.values()].filter(Boolean).length;
      if (count) host.lost(count);
    };
    backend ? backend.write(batch).catch(lose) : lose();
  };
  const change = (id: string, kept: Kept | null): void => {
    // One transaction for everything that happens in one task.
    if (changes.size == 0) void ready.then(write);
    changes.set(id, kept);
  };
  const keep = ({ done: _, ...item }: Item): void => change(item.id, { ...item, tab });

  const open = async (): Promise<void> => {
    try {
      backend ||= await openDatabase(name);
    } catch {
      try {
        backend = openLocal(name);
      } catch {
        // There is no storage at all.
      }
    }
  };

  const feed = (): void => {
    while (backlog.length && (!adopted.size || adopted.size + backlog[0]!.length <= CHUNK)) {
      const group = backlog.shift()!;
      for (const item of group) adopted.add(item.id);
      host.adopt(group);
    }
  };
  /** Take over what pages left behind that are gone, by their tabs. */
  const takeOver = async (isGone: (kept: Kept) => boolean): Promise<void> => {
    const left = ((await backend?.all()) || []).filter((kept) => isGone(kept) && !adopted.has(kept.id));
    if (!left.length) return;
    const requests: Record<string, Item[]> = {};
    const fresh: Item[] = [];
    for (const { tab: _, ...item } of left.sort((a, b) => (a.id < b.id ? -1 : 1))) {
      keep(item);
      item.request ? (requests[item.request] ||= []).push(item) : fresh.push(item);
    }
    backlog.push(...Object.values(requests));
    while (fresh.length) backlog.push(fresh.splice(0, CHUNK));
    feed();
  };

  /** Begin on a page: hold its lock, and lead if no other page does. */
  const begin = (): void => {
    tab = Math.random().toString(36).slice(2) + Date.now().toString(36);
    const own = tab;
    const { signal } = (leaving = new AbortController());
    const ended = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    const locks = globalThis.navigator?.locks;
    const opened = open();
    if (!locks) {
      ready = opened;
      void ready.then(() => takeOver((kept) => kept.tab != own && kept.at < Date.now() - ABANDONED_MS));
      return;
    }
    const prefix = name + ":";
    const channel = new BroadcastChannel(name);
    const hold = (which: string, action: () => Promise<void>): Promise<void> =>
      locks.request(prefix + which, { signal }, action).catch(() => undefined);
    const watched = new Set([own]);
    /** Wait for the end of a page. It holds its lock before it keeps anything. */
    const watch = (other: string): void => {
      if (watched.has(other)) return;
      watched.add(other);
      void hold(other, () => takeOver((kept) => kept.tab == other));
    };
    ready = opened.then(
      () =>
        new Promise((resolve) => {
          // In a frame without an origin locks are refused, as storage is.
          void hold(own, () => {
            resolve();
            channel.postMessage(own);
            return ended;
          }).then(resolve);
        }),
    );
    void ready.then(() =>
      hold("leader", async () => {
        channel.onmessage = ({ data }) => watch(data);
        const { held = [], pending = [] } = await locks.query();
        for (const { name: lock = "" } of [...held, ...pending]) {
          if (lock.startsWith(prefix) && lock != prefix + "leader") watch(lock.slice(prefix.length));
        }
        for (const kept of (await backend?.all()) || []) watch(kept.tab);
        await ended;
      }),
    );
    void ended.then(() => channel.close());
  };

  const end = (): void => {
    leaving?.abort();
    leaving = undefined;
  };
  /** A page with locks could not be kept for the back button. What it leaves is taken over, by itself if it returns. */
  const onPageHide = (): void => {
    if (!backend) return;
    write();
    backlog = [];
    adopted.clear();
    host.release();
    end();
  };
  const onPageShow = (): void => {
    if (!leaving) begin();
  };

  return {
    open(of, by) {
      name = "penstock:" + of;
      host = by;
      try {
        if (!globalThis.indexedDB && !globalThis.localStorage) return;
      } catch {
        return; // A page that may have none is told so by an error.
      }
      begin();
      if (globalThis.document) {
        addEventListener("pagehide", onPageHide);
        addEventListener("pageshow", onPageShow);
      }
    },
    put: keep,
    mark: (items) => items.forEach(keep),
    remove(ids) {
      for (const id of ids) {
        change(id, null);
        adopted.delete(id);
      }
      feed();
    },
    clear() {
      backlog = [];
      adopted.clear();
      changes.clear();
      void ready.then(() => backend?.clear()).catch(() => undefined);
    },
    close() {
      if (globalThis.document) {
        removeEventListener("pagehide", onPageHide);
        removeEventListener("pageshow", onPageShow);
      }
      void ready.then(() => {
        write();
        end();
      });
    },
  };
};
