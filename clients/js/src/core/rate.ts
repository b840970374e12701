/** A token bucket for each stream. */
import { clock } from "./clock.js";

/** Return a function that says whether one event more of a stream is too much. */
export const limitRate = (rate: { perSecond: number; burst: number } | false): ((stream: string) => boolean) => {
  const buckets = new Map<string, [tokens: number, at: number]>();
  return (stream) => {
    if (!rate) return false;
    const now = clock();
    const [tokens, at] = buckets.get(stream) || [rate.burst, now];
    const left = Math.min(rate.burst, tokens + ((now - at) / 1000) * rate.perSecond) - 1;
    buckets.set(stream, [left < 0 ? left + 1 : left, now]);
    return left < 0;
  };
};
