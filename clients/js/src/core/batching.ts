/** How events become the bodies of requests. */

/** Whether an event fits into a JSON array of `maxBytes` at all. */
export const fits = (bytes: number, maxBytes: number): boolean => bytes + 2 <= maxBytes;

/** Take the first items, in their order, that fit into a JSON array of `maxBytes`; one that is larger goes alone. */
export const takeBatch = <T extends { bytes: number }>(items: T[], maxEvents: number, maxBytes: number): T[] => {
  let size = 1;
  let count = 0;
  for (const { bytes } of items) {
    size += bytes + 1;
    if (count && (count >= maxEvents || size > maxBytes)) break;
    count++;
  }
  return items.slice(0, count);
};
