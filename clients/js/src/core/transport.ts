/**
 * Requests of the browser: `fetch` with `keepalive` as far as it is allowed. A beacon survives the end of a page no better,
 * has no answer, and is what lists of blockers name.
 */

import { after } from "./clock.js";

/**
 * The Fetch Standard allows 64 KiB of bodies in flight with `keepalive` for all scripts of a page; Chromium allows 9 such
 * requests. All intakes of a page share what is counted here, and leave 4 KiB to other scripts. A request counts as a
 * ninth at least.
 */
const MAX_KEEPALIVE_BYTES = 61440;
/** Firefox counts a request for a moment after its answer: of two that follow each other, each may have half. */
const MAX_FOLLOWING_BYTES = 32768;
let keptBytes = 0;

/** How many bytes a request may have now to outlive the page. */
export const keepaliveRoom = (): number => MAX_KEEPALIVE_BYTES - keptBytes;

export interface Answer {
  /** The status, or why there is none: `reset` or `timeout`. */
  status: number | string;
  text?: string;
  headers?: Headers;
}

/** Send a body as text/plain, which needs no preflight. Never rejects. `isLast`: the page may end now. */
export const post = (
  url: string, body: string, bytes: number, timeoutMs: number, isLast: boolean,
): Promise<Answer> => {
  const keepalive = bytes <= keepaliveRoom() && (isLast || bytes <= MAX_FOLLOWING_BYTES);
  const counted = keepalive ? Math.max(bytes, MAX_KEEPALIVE_BYTES / 9) : 0;
  keptBytes += counted;
  return request(url, { method: "POST", body, keepalive }, timeoutMs).finally(() => {
    keptBytes -= counted;
  });
};

/**
 * Make a request without credentials and read its answer. Never rejects. The timer is ours and not only the signal's: in
 * Firefox a request that was under way when the page was kept for the back button is never settled.
 */
export const request = (url: string, init: RequestInit, timeoutMs: number): Promise<Answer> =>
  new Promise((resolve) => {
    const abort = new AbortController();
    const timer = after(timeoutMs, () => {
      resolve({ status: "timeout" });
      abort.abort();
    });
    fetch(url, { credentials: "omit", redirect: "manual", signal: abort.signal, ...init })
      // A redirect is not followed. Browsers hide which it was, and say 0.
      .then(async (response): Promise<Answer> => ({ status: response.status || 308, text: await response.text(), headers: response.headers }))
      .catch((): Answer => ({ status: "reset" }))
      .then((answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
  });
