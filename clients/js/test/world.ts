// A world for the core: a clock that the test moves, an intake that answers as told, and a page if one is wanted.
import { afterEach, beforeEach, mock } from "node:test";
import type { Intake, Notice, Options } from "../src/core/index.js";

/** CORE names the file to test: the sources, or what is built from them. */
const { createIntake } = (await import(process.env.CORE || "../src/core/index.js")) as typeof import("../src/core/index.js");

export interface Seen {
  url: string;
  path: string;
  params: Record<string, string>;
  events: any[];
  body: string;
  headers: Record<string, string>;
  keepalive: boolean;
  at: number;
}
export interface Reply {
  status?: number;
  body?: unknown;
  headers?: Record<string, string>;
  /** No answer: the request never arrived (`reset`), or its answer comes after the client's patience (`timeout`). */
  failure?: "reset" | "timeout";
  /** The intake accepted the events before the connection failed. */
  isAccepted?: boolean;
}
type Answering = (request: Seen) => Reply | Promise<Reply> | undefined;

export const START = Date.parse("2026-11-28T12:00:00Z");
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Let everything run that needs no clock. */
export const settle = async (turns = 12): Promise<void> => {
  for (let i = 0; i < turns; i++) await turn();
};

/** Move the clock in steps, and let everything run that becomes due. */
export const advance = async (ms: number, step = 100): Promise<void> => {
  await settle();
  for (let left = ms; left > 0; left -= step) {
    mock.timers.tick(Math.min(step, left));
    await settle(6);
  }
};

const set = (name: string, value: unknown): void => {
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
};

/** Storage of a page: methods, and the keys as members. */
const makeStorage = (): any =>
  new Proxy(new MemoryStorage(), {
    get: (storage: any, name: string) => (name in storage ? storage[name] : (storage.getItem(name) ?? undefined)),
    set(storage, name: string, value) {
      if (name == "isFull") storage.isFull = value;
      else storage.setItem(name, value);
      return true;
    },
    deleteProperty(storage, name: string) {
      storage.removeItem(name);
      return true;
    },
  });

class MemoryStorage {
  readonly map = new Map<string, string>();
  isFull = false;
  getItem = (key: string): string | null => this.map.get(key) ?? null;
  removeItem = (key: string): void => void this.map.delete(key);
  setItem = (key: string, value: string): void => {
    if (this.isFull) throw new DOMException("full", "QuotaExceededError");
    this.map.set(key, value);
  };
}

export class World {
  readonly seen: Seen[] = [];
  /** Receipts by identity of the request: how many events were accepted. */
  readonly receipts = new Map<string, number>();
  readonly accepted: any[] = [];
  answer: Answering = () => undefined;
  /** Other paths than /v1/events. */
  answerOther: Answering = () => undefined;
  /** How far the wall clock was put forward since the test began. */
  wallOffsetMs = 0;
  private readonly restore: (() => void)[] = [];

  constructor() {
    mock.timers.enable({ apis: ["setTimeout", "Date"], now: START });
    const names = ["fetch", "document", "location", "navigator", "addEventListener", "removeEventListener", "dispatchEvent", "localStorage", "sessionStorage", "Request", "performance"];
    for (const name of names) {
      const before = Object.getOwnPropertyDescriptor(globalThis, name);
      this.restore.push(() => (before ? Object.defineProperty(globalThis, name, before) : delete (globalThis as any)[name]));
    }
    // Node's clock of a test is the wall's and the timers' at once. A jump is the wall's alone.
    const { now } = Date;
    Date.now = () => now() + this.wallOffsetMs;
    set("performance", { timeOrigin: START, now: () => now() - START });
    set("fetch", (url: string, init: RequestInit = {}) => this.fetch(url, init));
  }

  end(): void {
    mock.timers.reset();
    for (const undo of this.restore) undo();
  }

  /** Make this the world of a page. */
  page(navigator: Record<string, unknown> = {}): { hide(): void; show(): void; ask(): void; leave(): void; online(is: boolean): void; navigator: any } {
    const target = new EventTarget();
    const page: any = new EventTarget();
    page.hidden = false;
    const state: any = { onLine: true, ...navigator };
    set("document", page);
    set("location", new URL("https://shop.example/cart"));
    set("navigator", state);
    for (const name of ["addEventListener", "removeEventListener", "dispatchEvent"] as const) set(name, target[name].bind(target));
    set("localStorage", makeStorage());
    set("sessionStorage", makeStorage());
    const become = (isHidden: boolean): void => {
      page.hidden = isHidden;
      page.dispatchEvent(new globalThis.Event("visibilitychange"));
    };
    return {
      navigator: state,
      hide: () => become(true),
      show: () => become(false),
      ask: () => void target.dispatchEvent(new globalThis.Event("beforeunload")),
      leave() {
        become(true);
        target.dispatchEvent(new globalThis.Event("pagehide"));
      },
      online(is) {
        state.onLine = is;
        target.dispatchEvent(new globalThis.Event(is ? "online" : "offline"));
      },
    };
  }

  posts(): Seen[] {
    return this.seen.filter((request) => request.path == "/v1/events");
  }

  private async fetch(address: string, init: RequestInit): Promise<Response> {
    const url = new URL(address);
    const body = (init.body as string) || "";
    const request: Seen = {
      url: url.origin, path: url.pathname, params: Object.fromEntries(url.searchParams), events: body ? JSON.parse(body) : [], body,
      headers: (init.headers as Record<string, string>) || {}, keepalive: !!init.keepalive, at: Date.now(),
    };
    this.seen.push(request);
    const isPost = request.path == "/v1/events";
    let reply: Reply = (await (isPost ? this.answer : this.answerOther)(request)) || {};
    if (!isPost && !reply.status && !reply.failure) reply = this.receipt(request);
    const status = reply.status ?? (isPost ? 201 : 404);
    if (isPost && (reply.isAccepted ?? (!reply.failure && status < 300))) this.accept(request, reply.body);
    if (reply.failure == "timeout") return new Promise(() => undefined);
    if (reply.failure) throw new TypeError("fetch failed");
    const text = reply.body === undefined || status == 204 ? null : typeof reply.body == "string" ? reply.body : JSON.stringify(reply.body);
    const isEmpty = [204, 304].includes(status);
    return new Response(isEmpty ? null : text, { status, headers: reply.headers || {} });
  }

  private accept(request: Seen, body: any): void {
    const refused = new Set([...(body?.invalid || []), ...(body?.error || [])].map((one: any) => one.index));
    const taken = request.events.filter((_, index) => !refused.has(index));
    this.accepted.push(...taken);
    if (!refused.size) this.receipts.set(request.params.request_id!, taken.length);
  }

  private receipt(request: Seen): Reply {
    const count = this.receipts.get(request.path.split("/").pop()!);
    return count === undefined ? { status: 404 } : { status: 200, body: { accepted: count, delivered: count, spooled: 0, failed: 0, pending: 0, invalid: 0 } };
  }
}

export const EVENT = { $schema: "/web/page_view/1.1.0", page: "/home" };
export const refusal = (status: "invalid" | "error", index: number, type: string): object => ({
  status, index, event: {}, context: { error_type: type, errorsText: "it is wrong" },
});

/** The world of the test that runs. */
export let world: World;
let intakes: Intake[];

/** Give each test of a file a world of its own, and close its intakes after it. */
export const setStage = (): void => {
  beforeEach(() => {
    world = new World();
    intakes = [];
  });
  afterEach(async () => {
    // What a test left unanswered is let go.
    world.answer = () => undefined;
    const closing = Promise.all(intakes.map((intake) => intake.close()));
    await settle(10);
    // Settings that a test left unanswered are waited for no longer than that.
    mock.timers.tick(15_000);
    await closing;
    await settle(50);
    world.end();
  });
};
export const make = (options: Partial<Options> = {}): Intake => {
  const intake = createIntake({ url: "https://intake.example", ...options });
  intakes.push(intake);
  return intake;
};
/** Leave an intake as it is: its page was killed. */
export const forsake = (intake: Intake): void => void intakes.splice(intakes.indexOf(intake), 1);
/** A list that grows by what an intake drops. */
export const drops = (intake: Intake): Notice[] => {
  const list: Notice[] = [];
  intake.on("dropped", (notice) => list.push(notice));
  return list;
};
