/**
 * The queue and its way to the intake.
 *
 * The text of an event, which every attempt sends, comes with it. Each destination is a lane with one request under way
 * at a time. What failed waits in its lane; when its outcome is unknown it stays the batch that it was, and its receipt
 * is asked for before it is sent again.
 */
import { takeBatch } from "./batching.js";
import { after, clock } from "./clock.js";
import { uuid7 } from "./identity.js";
import { backoffMs, decide, decideByReceipt, retryAfter } from "./outcome.js";
import { parse } from "./values.js";
import { keepaliveRoom, post, request } from "./transport.js";
import type { DropReason, Hooks, Item, Notices, Options, Result, Store } from "./types.js";

/** Events that go, or went, in one request. `due`: not before. `isUnknown`: whether the intake has them is not known. */
interface Batch {
  items: Item[];
  request: string;
  tries: number;
  due: number;
  isUnknown?: boolean;
}

interface Lane {
  url: string;
  isBusy?: boolean;
  waiting: Batch[];
  /** New batches wait until then. */
  pausedUntil: number;
  /** Answers in a row that said that the destination is in trouble, and how many of them were no answers at all. */
  troubles: number;
  silences: number;
  mostBytes: number;
}

/** So many requests in a row without an answer, while the browser says it is online: the destination is blocked. */
const SILENCES = 6;

/** A clock that is further from the intake's is said to be wrong. */
const MAX_OFFSET_MS = 300000;

/**
 * Make a sender. `finish`: an event has its outcome. `warn`: warn of a thing, once. `refresh` is called before each look at
 * the queue.
 */
export const createSender = (
  options: Options,
  bounds: Required<NonNullable<Options["queue"]>>,
  hooks: Hooks,
  store: Store | undefined,
  mayTake: () => boolean,
  finish: (stream: string, result: Result, done?: Item["done"]) => void,
  emit: <K extends keyof Notices>(kind: K, notice: Notices[K]) => void,
  warn: (of: string, message: string) => void,
  refresh: () => void,
) => {
  const { maxEvents = 100, maxBytes = 32768, intervalMs = 3000, flushAt = 20 } = options.batch || {};
  const { baseMs = 1000, capMs = 300000, timeoutMs = 15000, settleMs = 11000, giveUpMs = 60000 } = options.retry || {};
  const lanes: Record<string, Lane> = {};
  let queue: Item[] = [];
  /** Everything that was taken and has no outcome yet: in the queue, waiting in a lane, or under way. */
  let pending = 0;
  let pendingBytes = 0;
  /** Requests under way. */
  let flying = 0;
  let isHasty = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let timerAt = Infinity;
  let offset: number | undefined;
  const idle: (() => void)[] = [];

  const each = (look: (lane: Lane) => void): void => Object.values(lanes).forEach(look);
  const isOffline = (): boolean => globalThis.navigator?.onLine === false;
  const settle = (items: Item[], status: Result["status"], reason?: string, context?: Result["context"]): void => {
    store?.remove(items.map((item) => item.id));
    for (const item of items) {
      if (item.isOver) continue;
      item.isOver = true;
      forget(item);
      finish(item.stream, { status, reason, context, id: item.id }, item.done);
    }
  };
  const forget = (item: Item): void => {
    pending--;
    pendingBytes -= item.bytes;
  };
  const discard = (items: Item[], reason: DropReason): void => settle(items, "dropped", reason);
  /** Discard what is too old; return what is not. */
  const young = (items: Item[]): Item[] =>
    items.filter((item) => item.at > clock() - bounds.maxAgeMs || discard([item], laneOf(item.url).silences < SILENCES ? "expired" : "blocked"));

  const laneOf = (url: string): Lane =>
    (lanes[url] ||= { url, waiting: [], pausedUntil: 0, troubles: 0, silences: 0, mostBytes: maxBytes });
  const count = (item: Item): void => {
    pending++;
    pendingBytes += item.bytes;
    laneOf(item.url);
  };
  const take = (item: Item): void => {
    count(item);
    queue.push(item);
    while (queue.length && (pending > bounds.maxEvents || pendingBytes > bounds.maxBytes)) discard([queue.shift()!], "queue_full");
    wake(queue.length < flushAt ? intervalMs : 0);
  };

  /** Look at the lanes in `delayMs`, or sooner if that was asked for. */
  const wake = (delayMs: number): void => {
    const at = clock() + delayMs;
    if (at >= timerAt) return;
    clearTimeout(timer);
    timerAt = at;
    timer = after(delayMs, pump);
    // Node: a timer keeps no process alive.
    if ((globalThis as any).process) (timer as { unref?: () => void }).unref?.();
  };

  const pump = (): void => {
    timerAt = Infinity;
    refresh();
    if (!mayTake()) discard(drain(), "consent");
    queue = young(queue);
    const now = clock();
    if (!isOffline()) {
      each((lane) => {
        if (lane.isBusy) return;
        const isDue = isHasty || queue.length >= flushAt;
        const newDue = Math.max(lane.pausedUntil, isDue || !queue[0] ? 0 : queue[0].at + intervalMs);
        const index = lane.waiting.findIndex((waiting) => waiting.due <= now);
        const batch = index < 0 ? newDue <= now && form(lane, lane.mostBytes) : lane.waiting.splice(index, 1)[0];
        if (batch) {
          lane.isBusy = true;
          fly(batch, (batch.isUnknown ? inquire : send)(lane, batch), lane);
        } else {
          const isWanted = queue.some((item) => item.url == lane.url);
          wake(Math.max(Math.min(isWanted ? newDue : Infinity, ...lane.waiting.map((waiting) => waiting.due)) - now, 1));
        }
      });
    }
    if (!flying) {
      isHasty = false;
      for (const resolve of idle.splice(0)) resolve();
    }
  };
  /** Await what is done with a batch. A mistake of ours ends this batch, and the others go on. */
  const fly = (batch: Batch, action: Promise<void>, lane?: Lane): void => {
    flying++;
    void action
      .catch((error) => settle(batch.items, "dropped", "client_error", { message: error + "" }))
      .then(() => {
        flying--;
        if (lane) lane.isBusy = false;
        pump();
      });
  };

  /** Take out everything that is not under way. */
  const drain = (): Item[] => {
    each((lane) => queue.unshift(...lane.waiting.splice(0).flatMap((waiting) => waiting.items)));
    return queue.splice(0);
  };
  const batchOf = (items: Item[], tries = 0, due = 0): Batch => ({ items, request: uuid7(), tries, due });
  /** Make a batch of what is in the queue, the newest first if the page may end. */
  const form = (lane: Lane, bytes: number, isLast = false): Batch | undefined => {
    let own = queue.filter((item) => item.url == lane.url && (!isLast || item.bytes < bytes - 2));
    if (isLast) own.reverse();
    own = takeBatch(own, maxEvents, bytes);
    // In the order of the queue again.
    if (isLast) own.reverse();
    queue = queue.filter((item) => !own.includes(item));
    return own[0] && batchOf(own, Math.max(...own.map((item) => item.tries)));
  };

  const address = (lane: Lane, path: string, params?: object): string => lane.url + path + "?" + new URLSearchParams({ ...hooks.params, ...params });
  /** Count an answer, or that there was none. */
  const hear = (lane: Lane, isTrouble: boolean, status: number | string): void => {
    lane.troubles = isTrouble ? lane.troubles + 1 : 0;
    lane.silences = +status || isOffline() ? 0 : lane.silences + 1;
  };
  const delay = (lane: Lane, attempt: number, afterS: number | null = null): number =>
    backoffMs(lane.silences < SILENCES ? attempt : 99, Math.random(), afterS, baseMs, capMs);

  /** Send a batch. The attempt and the request's identity are in the query: a header would need a preflight. */
  const send = async (lane: Lane, batch: Batch, isLast = false): Promise<void> => {
    const items = (batch.items = young(batch.items));
    if (!items.length) return;
    const tries = ++batch.tries;
    const sentAt = clock();
    for (const item of items) Object.assign(item, { tries, sentAt, request: batch.request });
    store?.mark(items);
    const url = address(lane, "/v1/events", {
      attempt: tries,
      request_id: batch.request,
      ...((isLast || hooks.hasty) && { hasty: true }),
    });
    const bytes = items.reduce((sum, item) => sum + item.bytes + 1, 1);
    const { status, text, headers } = await post(
      url, "[" + items.map((item) => item.body) + "]", bytes, timeoutMs, isLast,
    );
    const date = headers?.get("date");
    const now = Date.now();
    if (date && Math.abs((offset = Date.parse(date) - now)) > MAX_OFFSET_MS) warn("clock", offset + " ms off");
    const found = retryAfter(headers?.get("retry-after"), date, now);
    const { outcomes, reasons, contexts, isSplit, isTrouble, afterS } = decide(items.length, status, parse(text!), found);
    hear(lane, isTrouble, status);
    const isUnknown = outcomes.includes("unknown");
    const again = items.filter((item, index) => {
      const outcome = outcomes[index] as "sent" | "retry";
      const reason = reasons[index];
      return isUnknown || outcome == "retry" || settle([item], reason == "too_large" ? "dropped" : outcome, reason, contexts[index]);
    });
    if (isSplit) {
      lane.mostBytes = Math.max(bytes >> 1, 1024);
      const second = items.splice(items.length >> 1);
      lane.waiting.unshift(batchOf(items), batchOf(second));
    } else if (again.length) {
      const delayMs = delay(lane, Math.max(lane.troubles, tries), afterS);
      const due = clock() + delayMs;
      lane.waiting.push(isUnknown ? { ...batch, due, isUnknown } : batchOf(again, tries, due));
      if (isTrouble) lane.pausedUntil = due;
      const reason = reasons.find(Boolean) || "unknown";
      for (const item of again) item.done?.({ status: "queued", id: item.id, reason });
      emit("retry", { url: lane.url, reason, delayMs, attempt: tries });
    }
  };

  /** Ask what became of a batch. */
  const inquire = async (lane: Lane, batch: Batch): Promise<void> => {
    const answer = await request(address(lane, "/v1/receipts/" + batch.request), {}, timeoutMs);
    const ageMs = clock() - batch.items[0]!.sentAt!;
    const todo = decideByReceipt(batch.items.length, ageMs, settleMs, giveUpMs, answer.status, parse(answer.text!));
    hear(lane, !+answer.status, answer.status);
    if (todo == "sent") settle(batch.items, "sent");
    else if (todo == "resend") lane.waiting.unshift({ ...batch, isUnknown: false, due: 0 });
    else {
      const due = clock() + (lane.troubles ? delay(lane, lane.troubles) : settleMs / 4);
      lane.waiting.push({ ...batch, due });
      lane.pausedUntil = due;
      return;
    }
    lane.pausedUntil = 0;
  };

  return {
    take,
    wake,
    /** Take one event and send it in a request of its own. */
    express(item: Item): void {
      count(item);
      const batch = batchOf([item]);
      fly(batch, send(laneOf(item.url), batch));
    },
    /** Forget that anything has to wait. */
    hurry(): void {
      isHasty = true;
      each((lane) => {
        lane.pausedUntil = lane.silences = 0;
        for (const waiting of lane.waiting) waiting.due = 0;
      });
      wake(0);
    },
    /** Resolve when nothing is under way any more. */
    rest: (): Promise<void> =>
      new Promise((resolve) => {
        idle.push(resolve);
        pump();
      }),
    /** The page may end: the newest events that fit go with it, the others are sent as far as the page lives. */
    leave(): void {
      if (isOffline()) return;
      each((lane) => {
        // What waits for a reason stays where a store has it. Without one this is its last chance.
        if (store && lane.pausedUntil > clock()) return;
        // An outcome that is unknown is worth one repetition, not one each time the page is hidden.
        if (!store) lane.waiting = lane.waiting.reverse().filter((waiting) => (waiting.isUnknown && waiting.tries > 1) || !queue.unshift(...waiting.items));
        for (let batch; (batch = form(lane, keepaliveRoom(), true)); ) fly(batch, send(lane, batch, true));
      });
      isHasty = true;
      wake(0);
    },
    clear: (reason: DropReason): void => discard(drain(), reason),
    /** Take events of a page that ended: never sent, or those of one request whose answer it did not see. */
    adopt(items: Item[]): void {
      const { request, tries, url } = items[0]!;
      if (request) {
        items.forEach(count);
        laneOf(url).waiting.push({ ...batchOf(items, tries), request, isUnknown: true });
      } else items.forEach(take);
      wake(0);
    },
    /** Leave what waits to the store: this page sends it no more. */
    release: (): void => drain().forEach(forget),
    stop: (): void => clearTimeout(timer),
    pending: (): number => pending,
    offset: (): number | undefined => offset,
  };
};
