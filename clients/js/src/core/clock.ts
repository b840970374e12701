/**
 * Return the time in milliseconds since 1970 by a clock that is never set: the wall's when the page began, and what has
 * passed since. What is due, and what is too old, does not change when the wall clock is put right.
 */
export const clock = (): number => performance.timeOrigin + performance.now();
