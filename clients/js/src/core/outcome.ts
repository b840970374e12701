/** What an answer of the intake means for each event of a request. Pure: no clock, no network. */

import { listOf } from "./values.js";

export type Outcome = "sent" | "rejected" | "retry" | "unknown";

export interface Decision {
  outcomes: Outcome[];
  reasons: (string | undefined)[];
  /** What the intake said of each event that it refused, by index. */
  contexts: Record<number, Record<string, unknown>>;
  /** The batch is to be halved. */
  isSplit: boolean;
  /** The destination is in trouble: everything for it waits. */
  isTrouble: boolean;
  afterS: number | null;
}

const MAX_WAIT_S = 3600;

/** Read Retry-After (RFC 9110 section 10.2.3): seconds or a date, which counts from the answer's own `Date`. */
export const retryAfter = (value: string | null | undefined, date: string | null | undefined, nowMs: number): number | null => {
  const text = value?.trim()!;
  // `Date.parse` takes much that is no date of HTTP; 31 November becomes 1 December, so the text is compared.
  const at = Date.parse(text);
  const afterS = /^\d+$/.test(text) ? +text : new Date(at).toUTCString() == text ? Math.max((at - (Date.parse(date!) || nowMs)) / 1000, 0) : null;
  return afterS && Math.min(afterS, MAX_WAIT_S);
};

/** Return how long to wait before the attempt after `attempt`: full jitter, or Retry-After and up to a quarter of it. */
export const backoffMs = (attempt: number, random: number, afterS: number | null, baseMs: number, capMs: number): number =>
  afterS ? afterS * 1000 * (1 + random / 4) : random * Math.min(capMs, baseMs * 2 ** (attempt - 1));

const FINAL_ERRORS = /^(broker_rejected|internal)$/;

/** Decide by status and parsed body (undefined: not readable), or by a failure: `connect`, `reset`, `timeout`. */
export const decide = (count: number, status: number | string, body: any, afterS: number | null): Decision => {
  const text = status + "";
  // Errors first: an index in both lists is invalid.
  const lists = /207|40[013]|50[03]/.test(text) ? [body?.error, body?.invalid] : [];
  const isListed = lists.some(Array.isArray);
  // Another 2xx is of a proxy, a portal or a site: the intake has no such answer.
  const isGood = /20[127]/.test(text);
  const isTooLarge = status == 413;
  const isSplit = isTooLarge && count > 1;
  // Of an event that an intake's 500 does not list nothing is known but that it was not accepted.
  const outcomes: Outcome[] = Array(count).fill(
    isSplit || /connect|408|42[59]|503/.test(text) || (isListed && status == 500) ? "retry"
    : isGood && (isListed || status != 207) ? "sent"
    : /^[34]|50[15]/.test(text) ? "rejected"
    : "unknown",
  );
  const reasons = Array(count).fill(isGood ? undefined : isTooLarge && !isSplit ? "too_large" : +status ? "http_" + status : text);
  const contexts: Decision["contexts"] = {};
  lists.forEach((list, isInvalid) => {
    for (const entry of listOf(list)) {
      const index = entry?.index;
      if (typeof index != "number" || !(index in outcomes)) continue;
      const context = (contexts[index] = Object(entry.context));
      const { error_type: type, retry_after_s: wait } = context;
      const reason = (reasons[index] = typeof type == "string" ? type : isInvalid ? "invalid" : "error");
      const isFinal = isInvalid || FINAL_ERRORS.test(reason);
      outcomes[index] = isFinal ? "rejected" : "retry";
      if (!isFinal && typeof wait == "number" && wait > afterS!) afterS = Math.min(wait, MAX_WAIT_S);
    }
  });
  return { outcomes, reasons, contexts, isSplit, isTrouble: !isGood && !isSplit && outcomes.some((outcome) => outcome != "rejected"), afterS };
};

/** Decide by the receipt of a request of unknown outcome. A `status` that is no number: there was no answer. */
export const decideByReceipt = (
  count: number, ageMs: number, settleMs: number, giveUpMs: number, status: unknown, body?: any,
): "sent" | "resend" | "ask_again" => {
  const isFinal = (status as number) >= 200 && (status as number) < 500 && status != 429;
  // 404: it may still be under way. 429 and 5xx: ask later.
  return status == 200 && body?.accepted === count && body.failed === 0 ? "sent"
    : ageMs < (status == 404 ? settleMs : isFinal ? 0 : giveUpMs) ? "ask_again"
    : "resend";
};
