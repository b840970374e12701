/** What is wrong with options and settings: said by developer mode, so that other pages need not load it. */
import { settingsOf } from "../core/streams.js";
import type { Options, StreamTable } from "../core/types.js";

const NAMES =
  "url services streams names hasty batch queue retry rate honour consent ids context reports store plugins".split(" ");
/** A timer of a browser that is longer goes off at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Return one line for each option that has no effect or a wrong one. */
export const wrongOptions = (options: Options): string[] => {
  const unknown = Object.keys(options).filter((name) => !NAMES.includes(name));
  const groups = { batch: options.batch, queue: options.queue, retry: options.retry, rate: options.rate || {} };
  const wrong = Object.entries(groups).flatMap(([group, values]) =>
    Object.entries(values || {}).flatMap(([name, value]: [string, unknown]) => {
      const isTimer = /Ms$/.test(name) && group != "queue";
      const isGood = typeof value == "number" && value >= 0 && (!isTimer || value <= MAX_TIMER_MS);
      return isGood ? [] : [`option ${group}.${name}: ${String(value)} is no number from 0${isTimer ? " to " + MAX_TIMER_MS : ""}`];
    }),
  );
  return [...unknown.map((name) => `option ${name} is not known`), ...wrong];
};

/** Return one line for each stream whose sample is not valid: none of its events is sent. */
export const wrongSamples = (streams: StreamTable): string[] =>
  Object.keys(streams).filter((name) => {
    const { sample } = settingsOf({ stream: streams[name]! }, "stream")!;
    if (sample == null) return false;
    const isUnit = /^(session|pageview|device)$/.test(sample.unit!);
    return !(isUnit && typeof sample.rate == "number" && sample.rate >= 0 && sample.rate <= 1);
  }).map((name) => `${name}: its sample is not valid, and without developer mode none of its events is sent`);
