/** What an answer of the intake means for each event of a request. Pure: no clock, no network. */

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
  if (/^[0-9]+$/.test(text)) return Math.min(+text, MAX_WAIT_S);
  // `Date.parse` takes much that is no date of HTTP; 31 November becomes 1 December, so the text is compared.
  const at = Date.parse(text);
  if (new Date(at).toUTCString() != text) return null;
  return Math.min(Math.max((at - (Date.parse(date!) || nowMs)) / 1000, 0), MAX_WAIT_S);
};

/** Return how long to wait before the attempt after `attempt`: full jitter, or Retry-After and up to a quarter of it. */
export const backoffMs = (attempt: number, random: number, afterS: number | null, baseMs: number, capMs: number): number =>
  afterS ? afterS * 1000 * (1 + random / 4) : random * Math.min(capMs, baseMs * 2 ** (attempt - 1));

const FINAL_ERRORS = /^(broker_rejected|internal)$/;

/** Decide by status and parsed body (undefined: not readable), or by a failure: `connect`, `reset`, `timeout`. */
export const decide = (count: number, status: number | string, body?: any, afterS: number | null = null): Decision => {
  const all = (outcome: Outcome, reason?: string, isTrouble = false, isSplit = false): Decision => ({
    outcomes: Array(count).fill(outcome), reasons: Array(count).fill(reason), contexts: {}, isSplit, isTrouble, afterS,
  });
  if (typeof status == "string") return all(status == "connect" ? "retry" : "unknown", status, true);
  const reason = "http_" + status;
  if (status == 413) return count > 1 ? all("retry", reason, false, true) : all("rejected", "too_large");
  const text = status as unknown as string;
  const isPassing = /^(408|425|429|503)$/.test(text);
  // Errors first: an index in both lists is invalid.
  const lists = [body?.error, body?.invalid];
  const isListed = lists.some(Array.isArray);
  if (status == 207 && !isListed) return all("unknown");
  // Another 2xx is of a proxy, a portal or a site: the intake has no such answer.
  const decision = /^20[127]$/.test(text) ? all("sent")
    : isPassing ? all("retry", reason, true)
    : /^([34]|50[15])/.test(text) ? all("rejected", reason)
    : all("unknown", reason, true);
  if (isListed) {
    lists.forEach((list, isInvalid) => {
      for (let index = 0; index < count; index++) {
        const found = Array.isArray(list) && list.find((entry) => entry?.index === index);
        if (!found) continue;
        const context = (decision.contexts[index] = Object(found.context));
        const { error_type: type, retry_after_s: wait } = context;
        const isFinal = isInvalid || FINAL_ERRORS.test(type);
        decision.outcomes[index] = isFinal ? "rejected" : "retry";
        decision.reasons[index] = type || reason;
        if (!isFinal && wait > decision.afterS!) decision.afterS = wait;
      }
    });
    decision.isTrouble &&= decision.outcomes.includes("retry");
  }
  return decision;
};

/** Decide by the receipt of a request of unknown outcome. A `status` that is no number: there was no answer. */
export const decideByReceipt = (
  count: number, ageMs: number, settleMs: number, giveUpMs: number, status: unknown, body?: any,
): "sent" | "resend" | "ask_again" => {
  if (status == 200 && body?.accepted === count && !body.failed) return "sent";
  // 404: it may still be under way. 429 and 5xx: ask later.
  const isPatient = status == 404 ? ageMs < settleMs : !((status as number) >= 200 && (status as number) < 500 && status != 429) && ageMs < giveUpMs;
  return isPatient ? "ask_again" : "resend";
};
