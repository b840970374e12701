/**
 * Return the time in milliseconds since 1970 by a clock that is never set: the wall's when the page began, and what has
 * passed since. What is due, and what is too old, does not change when the wall clock is put right.
 */
export const clock = (): number => performance.timeOrigin + performance.now();

/** Browsers and Node let a timer go off at once that is longer, some 25 days. */
const MAX_TIMER_MS = 0x7fffffff;

/** Start a timer, for the longest time that there is at most. */
export const after = (ms: number, action: () => void) => setTimeout(action, Math.min(ms, MAX_TIMER_MS));
