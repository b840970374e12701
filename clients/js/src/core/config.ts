/** The settings of streams, fetched: with an ETag, for as long as the answer allows, and kept when the intake errs. */
import { clock } from "./clock.js";
import { parse, quietly } from "./values.js";
import { request } from "./transport.js";
import type { StreamTable } from "./types.js";

const TIMEOUT_MS = 15_000;
const RETRY_MS = 30_000;
const DEFAULT_TTL_S = 600;

/**
 * Return a function that gives the newest settings, and asks for newer ones when they are old; undefined: there are none.
 * The second one asks at once if nothing is asked, and resolves after the answer.
 * They are kept in localStorage, so that the next page has some at once. `onAnswer` gets what there is after each
 * attempt. Browsers keep the answer too: the ETag of another origin is hidden from scripts, and their cache uses it.
 */
export const fetchConfig = (url: string, onAnswer: (streams: StreamTable | undefined) => void) => {
  const key = "penstock:" + url;
  let streams: StreamTable | undefined = quietly(() => JSON.parse(localStorage[key])) || undefined;
  let etag: string | null = null;
  let askAt = 0;
  let asking: Promise<void> | undefined;
  const ask = async (): Promise<void> => {
    const answer = await request(url, etag ? { headers: { "If-None-Match": etag } } : {}, TIMEOUT_MS);
    const found = answer.status == 200 && parse(answer.text!)?.streams;
    if (found) {
      streams = found;
      etag = answer.headers!.get("etag");
      // Without storage, or if it is full, the next page asks for itself.
      quietly(() => (localStorage[key] = JSON.stringify(found)));
    }
    const isGood = found || answer.status == 304;
    askAt = clock() + (isGood ? +(/max-age=(\d+)/.exec(answer.headers!.get("cache-control")!)?.[1] ?? DEFAULT_TTL_S) * 1000 : RETRY_MS * Math.random());
    asking = undefined;
    onAnswer(streams);
  };
  const hurry = (): Promise<void> => (asking ||= ask());
  return [
    (): StreamTable | undefined => {
      if (clock() >= askAt) void hurry();
      return streams;
    },
    hurry,
  ] as const;
};
