/** A leaky bucket for each stream. */
import { clock } from "./clock.js";

/** Return a function that says whether one event more of a stream is too much. */
export const limitRate = (rate: { perSecond: number; burst: number } | false): ((stream: string) => boolean) => {
  const buckets = new Map<string, [level: number, at: number]>();
  return (stream) => {
    if (!rate) return false;
    const now = clock();
    const [level, at] = buckets.get(stream) || [0, now];
    const next = Math.max(0, level - ((now - at) / 1000) * rate.perSecond) + 1;
    // What is refused adds nothing.
    return next > rate.burst || !buckets.set(stream, [next, now]);
  };
};
