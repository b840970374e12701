// The vectors that all client libraries share.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fits, takeBatch } from "../src/core/batching.js";
import { passes } from "../src/core/curation.js";
import { backoffMs, decide, decideByReceipt, retryAfter } from "../src/core/outcome.js";
import { inSample } from "../src/core/sampling.js";
import { judge } from "../src/core/streams.js";
import { make, setStage } from "./world.js";

const FOLDER = process.env.VECTORS || new URL("../../../../../tests/contract/clients/", import.meta.url).pathname;
const cases = (name: string, check: (input: any, expected: any) => void): void => {
  for (const { name: what, input, expected } of JSON.parse(readFileSync(`${FOLDER}/${name}.json`, "utf8")).cases) {
    test(`${name}: ${what}`, () => check(input, expected));
  }
};

setStage();
test("the vectors are there", () => assert.ok(existsSync(FOLDER)));

cases("sampling", ({ settings, ids }, expected) => assert.equal(inSample(settings.sample, ids) ?? false, expected.in_sample));

cases("curation", ({ rules, context }, expected) => assert.equal(passes(rules, context), expected.passes));

cases("submit", ({ stream, event }, expected) => {
  const intake = make();
  const found: any = {};
  intake.on("dropped", ({ reason }) => (found.reason = reason));
  intake.on("queued", (notice) => (found.event = JSON.parse(JSON.stringify(notice.event))));

  intake.submit(stream, event);

  if (expected.event?.meta.id == "<made>" && /^[\da-f-]{36}$/.test(found.event?.meta.id)) found.event.meta.id = "<made>";
  assert.deepEqual(found, expected);
});

cases("streamconfig", ({ streams, stream, event, ids, context, url, services }, expected) => {
  const whole = { ...event, meta: { ...event.meta, stream } };
  const judged = judge(streams, stream, whole, () => ids, () => context, url, services, true);

  assert.equal(judged.reason, expected.reason);
  if (!expected.sent) return;
  assert.equal(judged.url, expected.url);
  assert.deepEqual({ ...whole, ...judged.added }, expected.event);
});

cases("retry_after", ({ value, date, now }, expected) => {
  assert.equal(retryAfter(value, date, Date.parse(now)), expected.retry_after_s);
});

cases("backoff", ({ attempt, random, retry_after_s, base_s, cap_s }, expected) => {
  assert.equal(backoffMs(attempt, random, retry_after_s, base_s * 1000, cap_s * 1000) / 1000, expected.delay_s);
});

cases("retry", ({ events, status, failure, headers = {}, body }, expected) => {
  const found = decide(events, failure || status, typeof body == "string" ? undefined : body, retryAfter(headers["retry-after"], null, 0));

  assert.deepEqual(found.outcomes, expected.outcomes);
  assert.deepEqual(found.reasons.map((reason) => reason ?? null), expected.reasons);
  assert.equal(found.isSplit, expected.split);
  assert.equal(found.isTrouble, expected.pause);
  assert.equal(found.afterS, expected.retry_after_s);
});

cases("receipts", ({ events, age_s, settle_s, give_up_s, status, body }, expected) => {
  const found = decideByReceipt(events, age_s * 1000, settle_s * 1000, give_up_s * 1000, status ?? "reset", body);

  assert.equal(found, expected.action);
});

cases("batching", ({ sizes, max_events, max_bytes, halve }, expected) => {
  if (halve) {
    const items = [...Array(halve).keys()];

    assert.deepEqual([items.slice(0, halve >> 1), items.slice(halve >> 1)], expected.batches);
    return;
  }
  const all = sizes.map((bytes: number, index: number) => ({ bytes, index }));
  const tooLarge = all.filter((item: any) => !fits(item.bytes, max_bytes));
  let left = all.filter((item: any) => fits(item.bytes, max_bytes));
  const batches: number[][] = [];
  while (left.length) {
    const batch: any[] = takeBatch(left, max_events, max_bytes);
    batches.push(batch.map((item) => item.index));
    left = left.slice(batch.length);
  }

  assert.deepEqual(batches, expected.batches);
  assert.deepEqual(tooLarge.map((item: any) => item.index), expected.too_large);
});
