/**
 * Reads streams of events from EventStreams: `for await (const event of readStream(url)) …`.
 *
 * It returns by itself after the end of a connection, at the position of the last event that was handled, waits with
 * jitter between attempts, notices a server that has fallen silent, and drops repetitions by `meta.id`. An EventSource
 * does none of that, and gives up for good on any status but 200.
 */

/** Where a position is kept, so that another page or process goes on there. */
export interface PositionStore {
  get(): string | null | undefined | Promise<string | null | undefined>;
  set(position: string): unknown;
}

/** Events that are lost between two that were received. `lost` is null if their number is not known. */
export interface Gap {
  topic: string;
  partition: number;
  asked: number;
  earliest: number;
  latest: number;
  lost: number | null;
  /** Whether the topic was made again since: `asked` is an offset of the old one. */
  made_again: boolean;
}

export interface ReadOptions {
  /** Where to begin, as the `position` of an earlier stream. It goes before what `store` has. */
  position?: string;
  /** Keeps the position after each event that was handled: when the next one is asked for. */
  store?: PositionStore;
  /** Is told of lost events. Without it a lost position throws StreamRefused with status 410. */
  onGap?: (gap: Gap) => void;
  /** Headers of every request, such as `Authorization`. */
  headers?: Record<string, string>;
  /** How long the server may send nothing. Default: 45,000, three times the longest silence of a server that lives. */
  silentMs?: number;
  /** The first wait before it returns, which doubles up to a minute with each failure. Default: 1,000. */
  waitMs?: number;
  /** Ends the stream. */
  signal?: AbortSignal;
}

/** Iterates over the events of a stream, without end unless the request has one (`limit`, `until`, `poll`). */
export interface EventStream<Event> extends AsyncIterable<Event> {
  /** The position behind the last event that was handled. */
  readonly position: string;
  /** Ends the iteration. */
  close(): void;
}

/** The server refuses, and would refuse again: `status` and its `problem` say why. */
export class StreamRefused extends Error {
  readonly status: number;
  readonly problem: Record<string, unknown>;
  constructor(status: number, problem: Record<string, unknown>) {
    super(`${status} ${problem.title ?? ""}: ${problem.detail ?? ""}`);
    this.name = "StreamRefused";
    this.status = status;
    this.problem = problem;
  }
}

const LONGEST_WAIT_MS = 60_000;
const SEEN = 10_000;
/** Statuses after which the same request may succeed. */
const PASSING = [429, 502, 503, 504];

/** Keep the position in a storage, such as `localStorage`, under `key`. */
export const storedAt = (storage: Pick<Storage, "getItem" | "setItem">, key: string): PositionStore => ({
  get: () => storage.getItem(key),
  set: (position) => storage.setItem(key, position),
});

/** Yield the blocks of an event stream, as lists of fields: name and value. A comment has the name "". */
async function* blocks(body: AsyncIterable<Uint8Array>): AsyncGenerator<[string, string][]> {
  const decoder = new TextDecoder();
  let rest = "";
  let fields: [string, string][] = [];
  for await (const piece of body) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
    rest = lines.pop()!;
    for (const whole of lines) {
      const line = whole.endsWith("\r") ? whole.slice(0, -1) : whole;
      if (line) {
        const colon = line.indexOf(":");
        const value = colon < 0 ? "" : line.slice(colon + 1);
        fields.push([colon < 0 ? line : line.slice(0, colon), value.startsWith(" ") ? value.slice(1) : value]);
      } else {
        yield fields;
        fields = [];
      }
    }
  }
}

/** The connection failed, or was ended here. */
class Lost extends Error {}
const network = <T>(result: Promise<T>): Promise<T> =>
  result.catch((cause) => {
    throw new Lost("", { cause });
  });

/** Yield the pieces of a body. Not every browser can iterate over one. */
async function* pieces(body: ReadableStream<Uint8Array>, onPiece: () => void): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await network(reader.read());
    if (done) return;
    onPiece();
    yield value;
  }
}

/** Read a stream. `url` is that of the stream, with its query. */
export const readStream = <Event = any>(url: string, options: ReadOptions = {}): EventStream<Event> => {
  const { onGap, store, headers, silentMs = 45_000, waitMs = 1_000 } = options;
  const target = new URL(url, globalThis.location?.href);
  if (onGap && !target.searchParams.has("on_gap")) target.searchParams.set("on_gap", "earliest");
  const over = new AbortController();
  const seen = new Set<string>();
  let position = options.position ?? "";
  let isOver = false;
  let backoffMs = waitMs;
  let retryMs = 0;

  const close = (): void => {
    isOver = true;
    over.abort();
  };
  if (options.signal?.aborted) close();
  options.signal?.addEventListener("abort", close, { once: true });

  const wait = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      if (isOver) return resolve();
      const end = (): void => {
        clearTimeout(timer);
        over.signal.removeEventListener("abort", end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      over.signal.addEventListener("abort", end);
    });

  /** Whether the event is a repetition, as they may come from another cluster. */
  const wasSeen = (event: any): boolean => {
    const id = event?.meta?.id;
    if (typeof id != "string") return false;
    if (seen.has(id)) return true;
    seen.add(id);
    // A set iterates in the order of insertion.
    if (seen.size > SEEN) seen.delete(seen.values().next().value!);
    return false;
  };

  const moveTo = async (next: string): Promise<void> => {
    if (next == position) return;
    position = next;
    await store?.set(next);
  };

  /** Yield the events of one connection. Returns the reason for which the server ended it, or "". */
  async function* read(body: AsyncIterable<Uint8Array>): AsyncGenerator<Event, string> {
    let reason = "";
    for await (const fields of blocks(body)) {
      let kind = "message";
      let next = position;
      const data: string[] = [];
      for (const [name, value] of fields) {
        if (name == "event") kind = value;
        else if (name == "data") data.push(value);
        else if (name == "id") next = value;
        else if (name == "retry" && /^\d+$/.test(value)) retryMs = +value;
        else if (!name && value.startsWith("end ")) reason = value.slice(4);
      }
      if (data.length) {
        const found = JSON.parse(data.join("\n"));
        if (kind == "gap") onGap?.(found);
        else if (kind == "message" && !wasSeen(found)) yield found;
      }
      await moveTo(next);
    }
    return reason;
  }

  /** Yield the events of one attempt. Returns whether nothing more will come. */
  async function* attempt(): AsyncGenerator<Event, boolean> {
    const connection = new AbortController();
    const end = (): void => connection.abort();
    let watch: ReturnType<typeof setTimeout> | undefined;
    const isAlive = (): void => {
      clearTimeout(watch);
      watch = setTimeout(end, silentMs);
    };
    over.signal.addEventListener("abort", end);
    try {
      isAlive();
      const response = await network(
        fetch(target, {
          headers: { Accept: "text/event-stream", ...headers, ...(position && { "Last-Event-ID": position }) },
          cache: "no-store",
          signal: connection.signal,
        }),
      );
      if (response.status == 204) return true;
      if (PASSING.includes(response.status)) {
        retryMs = 1_000 * (Number(response.headers.get("Retry-After")) || 0);
        throw new Lost(`status ${response.status}`);
      }
      if (response.status != 200) throw new StreamRefused(response.status, await response.json().catch(() => ({})));
      backoffMs = waitMs;
      // The time that the caller takes for an event is no silence of the server.
      const events = read(pieces(response.body!, isAlive));
      for (;;) {
        const step = await events.next();
        if (step.done) return step.value == "done";
        clearTimeout(watch);
        yield step.value;
        isAlive();
      }
    } finally {
      clearTimeout(watch);
      over.signal.removeEventListener("abort", end);
      end();
    }
  }

  async function* events(): AsyncGenerator<Event> {
    position ||= (await store?.get()) || "";
    while (!isOver) {
      try {
        if (yield* attempt()) return;
      } catch (error) {
        if (!(error instanceof Lost)) throw error;
        if (isOver) return;
        backoffMs = Math.min(2 * backoffMs, LONGEST_WAIT_MS);
      }
      await wait(Math.max(retryMs, backoffMs * (0.5 + Math.random() / 2)));
    }
  }

  return {
    get position() {
      return position;
    },
    close,
    [Symbol.asyncIterator]: events,
  };
};
