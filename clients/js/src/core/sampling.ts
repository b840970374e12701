/** Which events of a stream are in its sample. The same rule, bit for bit, as EventLogging's. */
import type { Ids, Unit } from "./types.js";

/**
 * Judge `sample` of a stream's settings. No sample: everything. Undefined: it is not valid, or there is no such id, so
 * that nothing is in it.
 */
export const inSample = (sample: unknown, ids: Ids): boolean | undefined => {
  if (sample == null) return true;
  const { unit, rate } = sample as { unit?: unknown; rate?: unknown };
  const id = ["session", "pageview", "device"].includes(unit as Unit) && ids[unit as Unit];
  return typeof rate == "number" && rate >= 0 && rate <= 1 && typeof id == "string" && /^[\da-f]{8}/i.test(id)
    ? parseInt(id.slice(0, 8), 16) / 0xffffffff < rate
    : undefined;
};
