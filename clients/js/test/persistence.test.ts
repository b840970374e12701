// Events that outlive their page: several pages of one origin, one database.
import "fake-indexeddb/auto";
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type { Intake, Item, Options, Store } from "../src/core/index.js";
import { persistence } from "../src/persistence/index.js";
import { advance, drops, EVENT, forsake, make, setStage, settle, world, type World } from "./world.js";

/** Web Locks of one origin, for several pages: granted in order, released when a page is killed. */
class Locks {
  private readonly waiting = new Map<string, (() => void)[]>();
  private readonly holders = new Map<string, object>();

  /** What one page sees of the locks. */
  of = (owner: object): object => ({
    request: (name: string, options: { signal: AbortSignal }, action: () => Promise<void>) => this.request(owner, name, options, action),
    query: async () => ({ held: [...this.holders.keys()].map((name) => ({ name })), pending: [] }),
  });
  private request(owner: object, name: string, { signal }: { signal: AbortSignal }, action: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const begin = (): void => {
        if (signal.aborted || (owner as any).isDead) return this.release(name, owner, true);
        this.holders.set(name, owner);
        void action().then(() => (this.release(name, owner), resolve()));
      };
      signal.addEventListener("abort", () => reject(new DOMException("gone", "AbortError")));
      if (this.holders.has(name)) this.waiting.set(name, [...(this.waiting.get(name) || []), begin]);
      else begin();
    });
  }
  /** End everything that a page holds, as when its process is killed. */
  kill(owner: object): void {
    (owner as any).isDead = true;
    for (const [name, holder] of [...this.holders]) if (holder == owner) this.release(name, owner);
  }
  private release(name: string, owner: object, isLate = false): void {
    if (!isLate && this.holders.get(name) == owner) this.holders.delete(name);
    if (!this.holders.has(name)) this.waiting.get(name)?.shift()?.();
  }
}

// Node's channels keep the process alive; those of killed pages are never closed.
const Channel = BroadcastChannel as any;
globalThis.BroadcastChannel = class extends Channel {
  constructor(name: string) {
    super(name);
    (this as any).unref();
  }
} as never;

/** A page that will be killed: its timers would go on here, so it sends only when told to. */
const SILENT = { batch: { intervalMs: 1e9, flushAt: 1e9 } };

let locks: Locks;
let page: ReturnType<World["page"]>;
let url: string;
let serial = 0;
setStage();
beforeEach(() => {
  locks = new Locks();
  url = `https://intake-${serial++}.example`;
  page = world.page();
});

/** Open a page with an intake of its own, as far as its lock. */
const open = async (options: Partial<Options> = {}): Promise<{ intake: Intake; kill(): void }> => {
  const owner = {};
  page.navigator.locks = locks.of(owner);
  const intake = make({ url, store: persistence(), ...options });
  await kept();
  const kill = (): void => {
    forsake(intake);
    locks.kill(owner);
  };
  return { intake, kill };
};
const kept = async (ms = 0): Promise<Item[]> => {
  await settle(60);
  if (ms) await advance(ms);
  await settle(60);
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open("penstock:" + url, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("events", { keyPath: "id" });
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const all = opening.result.transaction("events").objectStore("events").getAll();
      all.onsuccess = () => (opening.result.close(), resolve(all.result));
    };
  });
};

test("an event is kept until the intake has it", async () => {
  const { intake } = await open();

  const id = intake.submit("web.page_view", EVENT);
  assert.deepEqual((await kept()).map((item) => item.id), [id]);
  void intake.flush();
  assert.deepEqual(await kept(), []);

  assert.equal(world.accepted.length, 1);
});

test("the events of a killed page are sent by the next one, with their bytes", async () => {
  const page = await open(SILENT);
  const id = page.intake.submit("web.page_view", EVENT);
  const [item] = await kept();
  page.kill();

  await open();
  await kept(3100);

  assert.deepEqual(world.posts().map((request) => request.body), ["[" + item!.body + "]"]);
  assert.equal(world.accepted[0].meta.id, id);
  assert.deepEqual(await kept(), []);
});

test("a living page takes over at the moment in which another dies", async () => {
  const first = await open();
  const second = await open(SILENT);
  const third = await open(SILENT);
  const ids = [second, third].map((page) => page.intake.submit("web.page_view", EVENT));
  await kept();
  assert.equal(world.accepted.length, 0);

  second.kill();
  third.kill();
  await kept();
  const before = (await kept()).map((item: any) => item.tab);
  await kept(3100);

  assert.equal(new Set(before).size, 1);
  assert.equal(world.accepted.length, 2);
  assert.deepEqual(new Set(world.accepted.map((event) => event.meta.id)), new Set(ids));
  assert.equal((await first.intake.flush()).pending, 0);
});

test("a request whose answer a killed page did not see is resolved by its receipt", async () => {
  const page = await open();
  world.answer = () => new Promise(() => undefined);
  page.intake.submit("web.page_view", EVENT);
  void page.intake.flush();
  const [item] = await kept();
  world.receipts.set(item!.request!, 1);
  page.kill();
  world.answer = () => undefined;

  await open();
  await kept(1000);

  assert.equal(world.posts().length, 1);
  assert.deepEqual(await kept(), []);
});

test("withdrawn consent empties the store, of other pages' events too", async () => {
  const other = await open();
  const { intake } = await open();
  other.intake.submit("web.page_view", EVENT);
  intake.submit("web.page_view", EVENT);
  assert.equal((await kept()).length, 2);

  intake.setConsent(false);

  assert.deepEqual(await kept(), []);
});

test("where the database is forbidden localStorage keeps the events, one key each", async () => {
  const before = globalThis.indexedDB.open;
  globalThis.indexedDB.open = () => {
    throw new DOMException("no", "SecurityError");
  };
  try {
    const intake = make({ url, store: persistence() });
    await settle(20);

    const ids = [intake.submit("web.page_view", EVENT), intake.submit("web.page_view", EVENT)];
    await settle(20);

    const keys = [...(localStorage as any).map.keys()];
    assert.deepEqual(keys.sort(), ids.map((id) => `penstock:${url}:${id}`).sort());
  } finally {
    globalThis.indexedDB.open = before;
  }
});

test("where storage and locks are forbidden events stay in memory, and that is said", async () => {
  const refuse = (): never => {
    throw new DOMException("no", "SecurityError");
  };
  const before = globalThis.indexedDB.open;
  globalThis.indexedDB.open = refuse;
  Object.defineProperty(globalThis, "localStorage", { get: refuse, configurable: true });
  page.navigator.locks = { request: async () => refuse(), query: async () => refuse() };
  try {
    const intake = make({ url, store: persistence() });
    const warnings: string[] = [];
    intake.on("warning", ({ message }) => warnings.push(message));
    intake.submit("web.page_view", EVENT);
    await advance(3100);

    assert.deepEqual(warnings, ["quota: memory only"]);
    assert.equal(world.accepted.length, 1);
  } finally {
    globalThis.indexedDB.open = before;
  }
});

test("where there is no database and localStorage throws, an intake is made all the same", async () => {
  const before = globalThis.indexedDB;
  const refuse = (): never => {
    throw new DOMException("no", "SecurityError");
  };
  Object.defineProperty(globalThis, "indexedDB", { value: undefined, configurable: true, writable: true });
  Object.defineProperty(globalThis, "localStorage", { get: refuse, configurable: true });
  try {
    const intake = make({ url, store: persistence() });

    assert.equal((await intake.submitNow("web.page_view", EVENT)).status, "sent");
  } finally {
    Object.defineProperty(globalThis, "indexedDB", { value: before, configurable: true, writable: true });
  }
});

test("without room events stay in memory, and that is said once and reported", async () => {
  const store: Store = persistence();
  const before = IDBObjectStore.prototype.put;
  IDBObjectStore.prototype.put = function (this: IDBObjectStore) {
    this.transaction.abort();
    throw new DOMException("full", "QuotaExceededError");
  } as never;
  try {
    const { intake } = await open({ store, reports: "penstock.client_report" });
    const warnings: string[] = [];
    intake.on("warning", ({ message }) => warnings.push(message));
    for (let i = 0; i < 3; i++) {
      intake.submit("web.page_view", EVENT);
      await settle(20);
    }

    document.dispatchEvent(Object.assign(new Event("visibilitychange")));
    void intake.close();
    await settle(60);

    assert.deepEqual(warnings, ["quota: memory only"]);
    const reports = world.accepted.filter((event) => event.meta.stream == "penstock.client_report");
    assert.deepEqual(reports[0].dropped.map((drop: any) => drop.reason), ["quota"]);
    assert.equal(world.accepted.length, 4);
  } finally {
    IDBObjectStore.prototype.put = before;
  }
});

test("a backlog of many events is taken over in parts that the queue has room for", async () => {
  const page = await open({ queue: { maxEvents: 2000 }, rate: false });
  world.answer = () => ({ status: 503, headers: { "retry-after": "3000" } });
  for (let i = 0; i < 450; i++) page.intake.submit("web.page_view", EVENT);
  await kept();
  page.kill();
  world.answer = () => undefined;

  const { intake } = await open({ queue: { maxEvents: 150 } });
  const dropped = drops(intake);
  for (let i = 0; i < 8; i++) {
    void intake.flush();
    await kept(12_000);
  }

  assert.deepEqual(dropped, []);
  assert.equal(new Set(world.accepted.map((event) => event.meta.id)).size, 450);
});
