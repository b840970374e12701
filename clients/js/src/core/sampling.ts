/** Which events of a stream are in its sample. The same rule, bit for bit, as EventLogging's. */
import type { Ids, Unit } from "./types.js";

/** Judge `sample` of a stream's settings. No sample: everything; one that is not valid, or an unknown unit: nothing. */
export const inSample = (sample: unknown, ids: Ids): boolean => {
  if (sample == null) return true;
  const { unit, rate } = sample as { unit?: unknown; rate?: unknown };
  // The letters of `undefined` and `false` are no identifier: not all of them are hexadecimal.
  const id = (/^(session|pageview|device)$/.test(unit as string) && ids[unit as Unit]) + "";
  return (
    typeof rate == "number" && rate > 0 && rate <= 1 &&
    /^[\da-f]{8}/i.test(id) && parseInt(id.slice(0, 8), 16) / 0xffffffff < rate
  );
};
