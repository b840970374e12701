/** Identities: UUIDv7 for events and requests, random ones for sampling. */

/** Identities that can be told apart by the time of one millisecond. */
const PER_MS = 1024;
/** Milliseconds of the last identity, times PER_MS, and its number within them. */
let last = 0;

/** Return `count` random bytes in hexadecimal. */
export const randomHex = (count: number): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(count)), (byte) => (byte + 256).toString(16).slice(1)).join("");

/**
 * Return a UUIDv7 (RFC 9562 section 5.7). Those of one page sort in the order of their making, even when the wall clock
 * goes back: the 12 bits after the time count.
 */
export const uuid7 = (): string => {
  last = Math.max(last + 1, Date.now() * PER_MS);
  const time = Math.floor(last / PER_MS).toString(16).padStart(12, "0");
  const random = randomHex(8);
  // Version 7, and a digit that begins with the variant's two bits 10.
  return time.slice(0, 8) + "-" + time.slice(8) + "-" + (0x7000 + (last % PER_MS)).toString(16) + "-a" + random.slice(1, 4) + "-" + random.slice(4);
};
