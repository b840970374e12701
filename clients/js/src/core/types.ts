/** The types of the public face, and of what `persistence` and `debug` see of the core. */

/** An event as the caller writes it. `meta.stream`, `meta.id`, `meta.domain` and `dt` are filled in. */
export interface Event {
  $schema: string;
  meta?: { id?: string; dt?: string; domain?: string; [name: string]: unknown };
  dt?: string;
  [name: string]: unknown;
}

/** Streams and the types of their events. Generated types add to it: `declare module "penstock-client"`. */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type
export interface Streams {}

/** The name of a stream: any text until types are generated, then the known ones. */
export type StreamName = keyof Streams extends never ? string : keyof Streams & string;
export type EventOf<S extends string> = S extends keyof Streams ? Streams[S] : Event;

export type Unit = "session" | "pageview" | "device";
/** Hexadecimal identifiers by which samples are drawn: at least 8 random digits each. */
export type Ids = Partial<Record<Unit, string>>;
export type Context = Record<string, unknown>;

/** The settings of a stream, as `/v1/streamconfigs` answers them. */
export interface StreamSettings {
  sample?: { unit?: string; rate?: number } | null;
  destination_event_service?: string;
  producers?: {
    metrics_platform_client?: { provide_values?: string[]; curation?: Record<string, unknown> };
    [name: string]: unknown;
  };
  [name: string]: unknown;
}
/** Settings by name of the stream. PHP writes an empty map as an empty list. */
export type StreamTable = Record<string, StreamSettings | unknown[]>;

export type DropReason =
  | "blocked"
  | "client_error"
  | "consent"
  | "curated"
  | "expired"
  | "invalid"
  | "no_config"
  | "no_schema"
  | "not_an_object"
  | "queue_full"
  | "quota"
  | "rate_limited"
  | "rejected"
  | "sampled"
  | "too_large"
  | "unknown_stream"
  | "unserializable";

/** What became of one event. `sent`: the intake accepted it. `queued`: not yet, `reason` says why; it is tried again. */
export interface Result {
  status: "sent" | "rejected" | "dropped" | "queued";
  id?: string | undefined;
  reason?: string | undefined;
  /** The intake's words for a rejected event. */
  context?: { error_type?: string; errorsText?: string; message?: string; [name: string]: unknown } | undefined;
}

export interface FlushResult {
  sent: number;
  rejected: number;
  pending: number;
  dropped: number;
}

/** An event in the queue. `body` never changes: every attempt sends the same bytes. Times are milliseconds. */
export interface Item {
  id: string;
  stream: string;
  url: string;
  body: string;
  bytes: number;
  at: number;
  tries: number;
  /** The identity of the last request that held it, and when that was sent: kept by a store. */
  request?: string | undefined;
  sentAt?: number | undefined;
  done?: ((result: Result) => void) | undefined;
  /** It has its outcome. */
  isOver?: boolean;
}

/** A result, and the stream of its event. `event` is there for a queued one: as it is sent. */
export interface Notice extends Result {
  stream: string;
  event?: Event;
}

export interface Notices {
  /** An event was taken into the queue. */
  queued: Notice;
  /** The intake accepted an event. */
  sent: Notice;
  rejected: Notice;
  dropped: Notice;
  /** A request failed; it is tried again at the earliest in `delayMs`. */
  retry: { url: string; reason: string; delayMs: number; attempt: number };
  warning: { message: string };
  config: { streams: StreamTable };
}

/** Keeps events over the end of a page. The core calls it; `persistence` implements it. */
export interface Store {
  /** Begin. `host.adopt` takes events whose page is gone, `host.lost` is told of events that could not be kept: memory alone has them. */
  open(name: string, host: StoreHost): void;
  put(item: Item): void;
  /** Note that these events are in the request `item.request` since `item.sentAt`. */
  mark(items: Item[]): void;
  remove(ids: string[]): void;
  clear(): void;
  close(): void;
}
export interface StoreHost {
  /** Send events whose page is gone: some that were never sent, or all of one request. */
  adopt(items: Item[]): void;
  /** This page may end: it sends nothing more of what the store has. */
  release(): void;
  /** So many events could not be kept: memory alone has them. */
  lost(count: number): void;
}

/** What a plugin may change: it is called once, while the intake is made. */
export interface Hooks {
  /** Sampling, curation and rate limits are judged. */
  sampling: boolean;
  hasty: boolean;
  /** Query parameters of every request. */
  params: Record<string, string>;
  /** Whether an event may be sent; false drops it as `invalid`. */
  admit?: (stream: string, event: Event) => boolean;
}
export type Plugin = (intake: Intake, hooks: Hooks, options: Options) => void;

export interface Options {
  /** The address of the intake, such as `https://intake.example`. */
  url: string;
  /** Addresses by `destination_event_service`. */
  services?: Record<string, string>;
  /** Settings of the streams: embedded, `"fetch"` from the intake, or false: every stream, no sampling. Default false. */
  streams?: StreamTable | "fetch" | false;
  /** Only these streams are fetched. */
  names?: string[];
  /** The answer does not wait for the broker. Default false; requests of a page that ends are always hasty. */
  hasty?: boolean;
  /** Default: 100 events, 32,768 bytes, 3,000 ms, and at once when 20 wait. */
  batch?: { maxEvents?: number; maxBytes?: number; intervalMs?: number; flushAt?: number };
  /** Default: 1,000 events, 4 MiB, 1 hour (72 hours with a store), 1 MiB for one event. */
  queue?: { maxEvents?: number; maxBytes?: number; maxAgeMs?: number; maxEventBytes?: number };
  /** Default: base 1 s, cap 5 min, 15 s for an answer; receipts: 11 s until an unknown request cannot be under way, 60 s until they are given up. */
  retry?: { baseMs?: number; capMs?: number; timeoutMs?: number; settleMs?: number; giveUpMs?: number };
  /** Of each stream. Default: 50 events per second, 500 at once. */
  rate?: { perSecond: number; burst: number } | false;
  /** Which signals of the browser count as "no". Default `"gpc"`. */
  honour?: "both" | "gpc" | "none";
  /** Whether consent is given. Default true. */
  consent?: boolean;
  /** Identifiers for sampling. Default: a session in sessionStorage, a pageview in memory, no device. */
  ids?: Ids;
  /** Attributes for `provide_values` and curation, by flat names such as `page_id`. */
  context?: Context | (() => Context);
  /** The stream of reports of drops. Default `penstock.client_report` where that is declared. */
  reports?: string | false;
  store?: Store;
  plugins?: Plugin[];
}

export interface Intake {
  /** Queue an event; return its `meta.id`, or nothing when it is not sent. Never throws. */
  submit<S extends StreamName>(stream: S, event: EventOf<S>): string | undefined;
  /** Send an event at once and say what became of it. Never rejects. */
  submitNow<S extends StreamName>(stream: S, event: EventOf<S>): Promise<Result>;
  /** Send what waits now, backoff or not. Resolves when nothing waits or a request failed. */
  flush(): Promise<FlushResult>;
  /** Whether events of a stream are sent from here; undefined until the settings are there. */
  isInSample(stream: StreamName): boolean | undefined;
  /** Without consent nothing is taken, what waits is discarded, and the store is emptied. */
  setConsent(granted: boolean): void;
  /** Listen; the result stops it. */
  on<K extends keyof Notices>(kind: K, listener: (notice: Notices[K]) => void): () => void;
  /** Send what waits and stop listening to the page. */
  close(): Promise<FlushResult>;
  /** The server's clock minus ours in milliseconds, when an answer's `Date` could be read. It is not applied. */
  readonly serverOffsetMs: number | undefined;
}
