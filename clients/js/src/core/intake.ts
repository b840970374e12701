/** The public face: judge an event, write it as JSON once, and give it to the sender; listen to the page. */
import { fits } from "./batching.js";
import { clock } from "./clock.js";
import { fetchConfig } from "./config.js";
import { randomHex, uuid7 } from "./identity.js";
import { limitRate } from "./rate.js";
import { createSender } from "./sender.js";
import { judge, settingsOf } from "./streams.js";
import { isObject, parse, quietly } from "./values.js";
import type { Context, DropReason, Event, FlushResult, Hooks, Ids, Intake, Item, Notices, Options, Result, StreamTable } from "./types.js";

const VERSION = "js/0.1.0";
const REPORTS = "penstock.client_report";
const SESSION = "penstock:session";
/** Drops for these reasons (sampled, curated, consent) are meant, and make no report by themselves. */
const MEANT = /^(sa|cu|con)/;
const MAX_KEPT = 100;
/** Write an event as JSON, once. JSON has no NaN and no infinity, and would say null: such an event is refused. */
const write = (event: unknown): string => {
  const text = JSON.stringify(event);
  // A BigInt is what JSON.stringify throws at.
  if (text.includes("null")) JSON.stringify(event, (_, value) => (typeof value == "number" && !isFinite(value) ? 1n : value));
  return text;
};

export const createIntake = (options: Options): Intake => {
  const url = new URL(options.url).href.replace(/(\/v1\/events)?\/*$/, "");
  // Where nothing is ever accepted: "localhost:8192" has a scheme, "localhost:".
  if (!/^https?:[^?#@]+$/.test(url)) throw new TypeError(url);
  const { store, honour, reports, services = {}, consent = true } = options;
  const bounds = { maxEvents: 1000, maxBytes: 4194304, maxAgeMs: store ? 259200000 : 3600000, maxEventBytes: 1048576, ...options.queue };
  const page = globalThis.document as Document | undefined;
  const nav = (globalThis.navigator || {}) as Navigator & { globalPrivacyControl?: boolean };
  const hooks: Hooks = { sampling: true, hasty: !!options.hasty, params: {} };
  const listeners = new Set<[kind: keyof Notices, listener: (notice: any) => void]>();
  const counts = { sent: 0, rejected: 0, dropped: 0 };
  let unreported: Record<string, { stream: string; reason: string; count: number }> = {};
  const warned: Record<string, boolean> = {};
  const overRate = limitRate(options.rate ?? { perSecond: 50, burst: 500 });
  let held: [stream: string, event: Event, done?: Item["done"]][] = [];
  // Only true grants: an answer that was misread does not.
  let granted = consent === true;
  let ids: Ids | undefined;

  const emit = <K extends keyof Notices>(kind: K, notice: Notices[K]): void => {
    // A listener's mistake is not the sender's.
    listeners.forEach(([of, listener]) => of == kind && quietly(() => listener(notice)));
  };
  const mayTake = (): boolean =>
    granted && !((honour != "none" && nav.globalPrivacyControl) || (honour == "both" && nav.doNotTrack == "1"));
  const note = (stream: string, reason: string, count: number): void => {
    (unreported[reason + stream] ||= { stream, reason, count: 0 }).count += count;
  };
  /** Warn of each thing once. */
  const warn = (of: string, message: string): void => {
    // A name with a colon is no member that every object has.
    const name = of + ": ";
    warned[name] ||= (emit("warning", { message: name + message }), true);
  };
  const finish = (stream: string, result: Result, done?: Item["done"]): undefined => {
    const { status, reason } = result;
    counts[status as keyof typeof counts]++;
    if (status == "dropped") note(stream, reason!, 1);
    emit(status, { stream, ...result });
    done?.(result);
  };
  const refuse = (stream: string, reason: DropReason, done?: Item["done"]): undefined => finish(stream, { status: "dropped", reason }, done);

  const refuseHeld = (reason: DropReason, count = held.length): void => {
    for (const [stream, , done] of held.splice(0, count)) refuse(stream, reason, done);
  };

  /** A copied tab has the session of the first, and a pageview of its own, which is in memory alone. */
  const identities = (): Ids =>
    // Without storage the session ends with the page.
    (ids ||= { pageview: randomHex(10), session: quietly(() => (sessionStorage[SESSION] ||= randomHex(10))) || randomHex(10), ...options.ids });
  const context = (): Context => ({
    agent_is_automated: nav.webdriver,
    performer_session_id: identities().session,
    performer_pageview_id: identities().pageview,
    ...(typeof options.context == "function" ? quietly(options.context) : options.context),
  });

  const [config, hurryConfig] =
    options.streams == "fetch"
      ? fetchConfig(url + "/v1/streamconfigs" + (options.names ? "?" + new URLSearchParams({ streams: options.names.join("|") }) : ""), (streams) => {
          if (!streams) return sender.wake(30000);
          emit("config", { streams });
          for (const event of held.splice(0)) admit(...event);
        })
      : [];
  /** Undefined: not known yet. */
  const table = (): StreamTable | false | undefined => (config ? config() : (options.streams as StreamTable) || false);
  const judgeBy = (streams: StreamTable | false, stream: string, event: Event, sampling: boolean) =>
    judge(streams, stream, event, identities, context, url, services, sampling);

  /** Judge an event and have it sent. The moment and the identity of one that was held are in it already. */
  const admit = (stream: string, event: Event, done?: Item["done"]): string | undefined => {
    try {
      if (typeof stream != "string") return refuse(typeof stream, "unknown_stream", done);
      if (!mayTake()) return refuse(stream, "consent", done);
      if (!isObject(event) || !isObject(event.meta ?? {})) return refuse(stream, "not_an_object", done);
      const streams = table();
      const meta = { ...event.meta, stream };
      const id = (meta.id = (typeof meta.id == "string" && meta.id) || uuid7());
      meta.domain ??= globalThis.location?.hostname;
      const dated = { ...event, meta, dt: event.dt ?? new Date().toISOString() };
      if (streams === undefined) {
        // Its text as of now: the caller may go on to change the object.
        held.push([stream, parse(write(dated)), done]);
        refuseHeld("queue_full", held.length - bounds.maxEvents);
        return id;
      }
      const judged = judgeBy(streams, stream, dated, hooks.sampling);
      const whole = { ...dated, ...judged.added };
      if (judged.warning) warn(stream, judged.warning);
      const reason =
        judged.reason ||
        (hooks.sampling && meta.domain != "canary" && overRate(stream) && "rate_limited") ||
        (hooks.admit?.(stream, whole) === false && "invalid");
      if (reason) return refuse(stream, reason, done);
      const body = write(whole);
      const item: Item = { id, stream, url: judged.url, body, bytes: new TextEncoder().encode(body).length, at: clock(), tries: 0, done };
      if (!fits(item.bytes, bounds.maxEventBytes)) return refuse(stream, "too_large", done);
      store?.put(item);
      done ? sender.express(item) : sender.take(item);
      emit("queued", { status: "queued", id, stream, event: whole });
      return id;
    } catch {
      return refuse(stream, "unserializable", done);
    }
  };

  const sender = createSender(options, bounds, hooks, store, mayTake, finish, emit, warn, table);

  /** Send one report for all drops since the last one, if any was not meant: by itself, for in a full queue it would drop one more. */
  const report = (): void => {
    const stream = reports ?? REPORTS;
    const streams = table();
    const drops = Object.values(unreported);
    if (
      stream && mayTake() && drops.some((drop) => drop.stream != stream && !MEANT.test(drop.reason)) &&
      (reports || (streams && settingsOf(streams, stream)))
    ) {
      unreported = {};
      admit(stream, { $schema: "/penstock/client_report/1.0.0", client: VERSION, clock_offset_ms: sender.offset(), dropped: drops.slice(0, MAX_KEPT) }, () => undefined);
    }
  };
  /** The page is asked whether it may be left: Firefox closes many a tab without the events that come after. */
  const onAsked = (): void => {
    report();
    sender.leave();
  };
  const leave = (): void => {
    refuseHeld("no_config");
    onAsked();
  };
  const onHidden = (): void => {
    if (page!.hidden) leave();
  };
  const listen = (on: "addEventListener" | "removeEventListener"): void => {
    globalThis[on]?.("online", sender.hurry);
    if (page) {
      page[on]("visibilitychange", onHidden);
      globalThis[on]("beforeunload", onAsked);
      globalThis[on]("pagehide", leave);
    }
    // Node: the script has run to its end. What waits is sent once, and not again, or the process would never end.
    else (globalThis as any).process?.[on.replace("Event", "")]?.("beforeExit", intake.close);
  };

  const intake: Intake = {
    submit: (stream, event) => admit(stream, event as Event),
    submitNow: (stream, event) =>
      new Promise((resolve) => {
        admit(stream, event as Event, resolve);
      }),
    async flush(): Promise<FlushResult> {
      const { sent, rejected, dropped } = counts;
      if (held.length) await hurryConfig!();
      sender.hurry();
      await sender.rest();
      return {
        sent: counts.sent - sent,
        rejected: counts.rejected - rejected,
        dropped: counts.dropped - dropped,
        pending: sender.pending() + held.length,
      };
    },
    isInSample(stream) {
      const streams = table();
      return streams === undefined ? streams : !judgeBy(streams, stream, { $schema: "/" }, hooks.sampling).reason;
    },
    setConsent(isGranted) {
      granted = isGranted === true;
      if (granted) return;
      refuseHeld("consent");
      sender.clear("consent");
      store?.clear();
      ids = undefined;
      quietly(() => delete sessionStorage[SESSION]);
    },
    on(kind, listener) {
      const entry: [keyof Notices, (notice: any) => void] = [kind, listener];
      listeners.add(entry);
      return () => void listeners.delete(entry);
    },
    close() {
      listen("removeEventListener");
      onAsked();
      return intake.flush().finally(() => {
        refuseHeld("no_config");
        sender.stop();
        store?.close();
      });
    },
    get serverOffsetMs() {
      return sender.offset();
    },
  };

  listen("addEventListener");
  for (const plugin of options.plugins || []) plugin(intake, hooks, options);
  if (page) table();
  store?.open(url, {
    adopt: sender.adopt,
    release: sender.release,
    lost(count) {
      note("", "quota", count);
      warn("quota", "memory only");
    },
  });
  return intake;
};
