// Developer mode, and validation in the page.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { debug, validate } from "../src/debug/index.js";
import { drops, EVENT, make, setStage, settle, world } from "./world.js";

setStage();

const SCHEMA = { type: "object", required: ["page"], properties: { page: { type: "string", maxLength: 8 }, count: { type: "integer" } } };
const recorder = () => {
  const lines: string[] = [];
  const write = (...parts: unknown[]): void => void lines.push(parts.map((part) => (typeof part == "string" ? part : JSON.stringify(part))).join(" "));
  return { lines, log: write, warn: write, table: write };
};

test("developer mode sends everything, guaranteed, under the name of the test", async () => {
  const to = recorder();
  const intake = make({ hasty: true, streams: { s: { sample: { unit: "session", rate: 0 } } }, plugins: [debug({ test: "cart", console: to })] });

  const result = await intake.submitNow("s", EVENT);

  assert.equal(result.status, "sent");
  assert.deepEqual([world.posts()[0]!.params.test, world.posts()[0]!.params.hasty], ["cart", undefined]);
  assert.ok(to.lines.some((line) => line.includes("was accepted")));
});

test("the intake's verdict is in the console before the event is sent", async () => {
  const to = recorder();
  const context = { error_type: "schema_violation", errors: [{ dataPath: ".page", message: "should be string" }], errorsText: "'.page' should be string" };
  world.answerOther = (request) => (request.path == "/v1/validate" ? { status: 200, body: { events: [{ index: 0, status: "invalid", context }] } } : undefined);
  const intake = make({ plugins: [debug({ console: to })] });

  intake.submit("s", EVENT);
  await settle();

  assert.ok(to.lines.some((line) => line.includes("invalid by https://intake.example/v1/schemas/web/page_view/1.1.0")));
  assert.ok(to.lines.some((line) => line.includes(".page: should be string")));
});

test("the page judges by the intake's schemas, and drops what is invalid when asked to", async () => {
  const to = recorder();
  world.answerOther = (request) => (request.path == "/v1/schemas/web/page_view/1.1.0" ? { status: 200, body: SCHEMA } : undefined);
  const intake = make({ plugins: [debug({ validate: "page", drop: true, console: to })] });
  const dropped = drops(intake);

  intake.submit("s", EVENT);
  await settle();
  intake.submit("s", { ...EVENT, page: "/far too long" });
  intake.submit("s", EVENT);
  await intake.flush();

  assert.deepEqual(dropped.map((notice) => notice.reason), ["invalid"]);
  assert.equal(world.accepted.length, 2);
  assert.equal(world.seen.filter((request) => request.path.startsWith("/v1/schemas")).length, 1);
});

test("an event whose schema the intake does not have is said to be not validated", async () => {
  const to = recorder();
  world.answerOther = () => ({ status: 404 });
  const intake = make({ plugins: [debug({ validate: "page", console: to })] });

  intake.submit("s", EVENT);
  await settle();

  assert.ok(to.lines.includes("penstock: s: not validated; is there a schema at https://intake.example/v1/schemas/web/page_view/1.1.0?"));
});

test("options and samples that do not work are named", async () => {
  const to = recorder();
  const streams = { zero: { sample: { unit: "session", rate: 0 } }, text: { sample: { unit: "session", rate: "0.5" } }, none: { sample: { rate: 1 } }, all: null } as never;
  world.answerOther = () => ({ status: 200, body: { streams } });

  make({ retry: { timeoutMs: 1e12, baseMs: 10 }, queue: { maxAgeMs: 1e12, maxEvents: "5" as never }, bacth: {}, plugins: [debug({ console: to })], streams } as never);

  assert.deepEqual(to.lines, [
    "penstock: option bacth is not known",
    "penstock: option queue.maxEvents: 5 is no number from 0",
    "penstock: option retry.timeoutMs: 1000000000000 is no number from 0 to 2147483647",
    "penstock: text: its sample is not valid, and without developer mode none of its events is sent",
    "penstock: none: its sample is not valid, and without developer mode none of its events is sent",
  ]);
});

test("validation does not change the event", () => {
  const event = { page: "/" };

  assert.equal(validate({ ...SCHEMA, properties: { ...SCHEMA.properties, kind: { default: "x" } }, required: ["page", "kind"] }, event).isValid, true);
  assert.deepEqual(event, { page: "/" });
});

const FOLDER = process.env.VECTORS || new URL("../../../../../tests/contract/clients/", import.meta.url).pathname;
if (!existsSync(FOLDER)) throw new Error(`there are no vectors in ${FOLDER}`);
for (const { name, input, expected } of JSON.parse(readFileSync(`${FOLDER}/validation.json`, "utf8")).cases) {
  test(`validation: ${name}`, () => assert.equal(validate(input.schema, input.event).isValid, expected.valid));
}
