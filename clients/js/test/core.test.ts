// The core: what becomes of events, by what the intake answers.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Intake, Notice, Result } from "../src/core/index.js";
import { advance, drops, EVENT, make, refusal, setStage, settle, START, world } from "./world.js";

setStage();
const count = (intake: Intake, from: number, to: number): void => {
  for (let i = from; i < to; i++) intake.submit("web.page_view", { ...EVENT, page: `/${i}` });
};
const pages = (): string[] => world.accepted.map((event) => event.page);

test("events go in one request, filled in, as text that needs no preflight", async () => {
  const intake = make();

  const ids = [intake.submit("web.page_view", EVENT), intake.submit("shop.order", { ...EVENT, meta: { id: "mine", request_id: "r" } })];
  await advance(2900);
  assert.equal(world.seen.length, 0);
  await advance(200);

  const [request] = world.posts();
  assert.equal(world.posts().length, 1);
  assert.deepEqual(request!.headers, {});
  assert.equal(request!.params.attempt, "1");
  assert.match(request!.params.request_id!, /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
  assert.deepEqual(request!.events, [
    { ...EVENT, meta: { stream: "web.page_view", id: ids[0] }, dt: "2026-11-28T12:00:00.000Z" },
    { ...EVENT, meta: { stream: "shop.order", id: "mine", request_id: "r" }, dt: "2026-11-28T12:00:00.000Z" },
  ]);
  assert.equal(ids[1], "mine");
});

test("twenty events do not wait for the interval; a trickle does", async () => {
  const intake = make();

  count(intake, 0, 20);
  await advance(100);
  assert.equal(world.posts().length, 1);

  for (let i = 0; i < 10; i++) {
    count(intake, 100 + i, 101 + i);
    await advance(290);
  }
  await advance(3000);

  assert.equal(world.posts().length, 2);
});

test("of 207 only what may be sent again is sent again, with the same bytes", async () => {
  const intake = make();
  const rejected: Notice[] = [];
  intake.on("rejected", (notice) => rejected.push(notice));
  world.answer = () =>
    world.posts().length == 1
      ? { status: 207, body: { invalid: [refusal("invalid", 0, "schema_violation")], error: [refusal("error", 2, "broker_timeout"), refusal("error", 3, "internal")] } }
      : undefined;

  count(intake, 0, 5);
  await advance(10_000);

  const [first, second] = world.posts();
  assert.deepEqual(second!.events, [first!.events[2]]);
  assert.equal(second!.body, "[" + JSON.stringify(first!.events[2]) + "]");
  assert.equal(second!.params.attempt, "2");
  assert.notEqual(second!.params.request_id, first!.params.request_id);
  assert.deepEqual(rejected.map((notice) => [notice.reason, notice.context?.errorsText]), [["schema_violation", "it is wrong"], ["internal", "it is wrong"]]);
  assert.deepEqual(pages().sort(), ["/1", "/2", "/4"]);
});

test("Retry-After of 503 holds for the whole destination, and is not undercut", async () => {
  const intake = make();
  world.answer = () => (world.posts().length == 1 ? { status: 503, headers: { "retry-after": "30" } } : undefined);

  count(intake, 0, 1);
  await advance(3100);
  count(intake, 1, 30);
  await advance(29_900);
  assert.equal(world.posts().length, 1);
  await advance(9000);

  assert.deepEqual(pages(), [...Array(30).keys()].map((i) => `/${i}`));
  assert.equal(world.posts()[1]!.body, world.posts()[0]!.body);
});

test("invalid events are never sent again, whatever the status", async () => {
  const intake = make();
  world.answer = () => ({ status: 400, body: { invalid: [refusal("invalid", 0, "unknown_schema")] } });

  const result = await intake.submitNow("web.page_view", EVENT);
  await advance(400_000, 5000);

  assert.deepEqual({ ...result, id: "" }, { status: "rejected", reason: "unknown_schema", context: { error_type: "unknown_schema", errorsText: "it is wrong" }, id: "" });
  assert.equal(world.posts().length, 1);
});

test("a batch that is too large is halved until it fits, and a single event is dropped", async () => {
  const intake = make({ batch: { flushAt: 8 } });
  const dropped = drops(intake);
  world.answer = (request) => (request.events.length > 2 || request.events.some((event) => event.page == "/5") ? { status: 413 } : undefined);

  count(intake, 0, 8);
  await advance(1000);

  assert.deepEqual(pages(), ["/0", "/1", "/2", "/3", "/4", "/6", "/7"]);
  assert.deepEqual(dropped.map((notice) => notice.reason), ["too_large"]);
});

test("after a time-out the receipt is asked for, and an accepted request is not sent again", async () => {
  const intake = make();
  world.answer = () => ({ failure: "timeout", isAccepted: true });

  count(intake, 0, 3);
  await advance(40_000);

  assert.equal(world.posts().length, 1);
  assert.equal(world.seen[1]!.path, "/v1/receipts/" + world.posts()[0]!.params.request_id);
  assert.equal((await intake.flush()).pending, 0);
});

test("a request that the intake does not know is sent again unchanged, when it cannot be under way any more", async () => {
  const intake = make();
  world.answer = () => (world.posts().length == 1 ? { failure: "reset" } : undefined);

  count(intake, 0, 3);
  await advance(30_000);

  const [first, second] = world.posts();
  assert.equal(world.posts().length, 2);
  assert.equal(second!.body, first!.body);
  assert.equal(second!.params.request_id, first!.params.request_id);
  assert.equal(second!.params.attempt, "2");
  assert.ok(second!.at - first!.at >= 11_000);
  assert.equal(pages().length, 3);
});

test("a destination that never answers is asked ever more rarely, and what grows too old there is blocked", async () => {
  const intake = make({ queue: { maxAgeMs: 3_000_000 } });
  const dropped = drops(intake);
  world.answer = () => ({ failure: "reset" });
  world.answerOther = () => ({ failure: "reset" });

  count(intake, 0, 1);
  await advance(3_600_000, 10_000);

  const requests = world.seen.length;
  assert.ok(requests < 60, `${requests} requests`);
  assert.deepEqual(dropped.map((notice) => notice.reason), ["blocked"]);
});

test("the queue is bounded in events: the oldest go, and are counted", async () => {
  const intake = make({ queue: { maxEvents: 10 }, batch: { flushAt: 100 } });
  const dropped = drops(intake);

  count(intake, 0, 15);
  const result = await intake.flush();

  assert.deepEqual(dropped.map((notice) => [notice.reason, notice.stream]), Array(5).fill(["queue_full", "web.page_view"]));
  assert.deepEqual(pages(), [...Array(10).keys()].map((i) => `/${i + 5}`));
  assert.deepEqual(result, { sent: 10, rejected: 0, dropped: 0, pending: 0 });
});

test("the queue is bounded in bytes, counted as UTF-8", async () => {
  const intake = make({ queue: { maxBytes: 10_000 }, batch: { flushAt: 100 } });
  const dropped = drops(intake);

  for (let i = 0; i < 4; i++) intake.submit("web.page_view", { ...EVENT, page: "€".repeat(1000) });
  await intake.flush();

  assert.equal(dropped.length, 1);
});

test("an event that is too large for any request is refused at once", () => {
  const intake = make({ queue: { maxEventBytes: 1000 } });
  const dropped = drops(intake);

  assert.equal(intake.submit("web.page_view", { ...EVENT, page: "x".repeat(1000) }), undefined);
  assert.equal(dropped[0]!.reason, "too_large");
});

for (const jumpMs of [-7_200_000, 7_200_000]) {
  test(`a wall clock that is put ${jumpMs < 0 ? "back" : "forward"} holds nothing up, and ages nothing`, async () => {
    const intake = make({ queue: { maxAgeMs: 3_600_000 } });
    const dropped = drops(intake);
    world.answer = () => (world.posts().length == 1 ? { status: 503, headers: { "retry-after": "30" } } : undefined);

    count(intake, 0, 1);
    await advance(3100);
    count(intake, 1, 2);
    world.wallOffsetMs = jumpMs;
    await advance(40_000);
    count(intake, 2, 3);
    await advance(3100);

    assert.deepEqual(dropped, []);
    assert.deepEqual(pages(), ["/0", "/1", "/2"]);
  });
}

test("what waits for too long expires", async () => {
  const intake = make({ queue: { maxAgeMs: 60_000 } });
  const dropped = drops(intake);
  world.answer = () => ({ status: 503, headers: { "retry-after": "3600" } });

  count(intake, 0, 2);
  await advance(5000);
  count(intake, 2, 3);
  await advance(4_800_000, 10_000);

  assert.deepEqual(dropped.map((notice) => notice.reason), Array(3).fill("expired"));
});

const store = () => Object.fromEntries(["open", "put", "mark", "remove", "clear", "close"].map((name) => [name, () => undefined])) as never;
for (const [what, options, hours] of [["", {}, 1], [" with a store", { store: store() }, 72]] as const) {
  test(`what waits expires${what} after ${hours} h`, async () => {
    const hour = 3_600_000;
    const intake = make(options);
    const dropped = drops(intake);
    world.answer = () => ({ status: 503, headers: { "retry-after": "3600" } });

    count(intake, 0, 1);
    await advance((hours - 0.5) * hour, 60_000);
    assert.equal(dropped.length, 0);
    await advance(2.5 * hour, 60_000);

    assert.deepEqual(dropped.map((notice) => notice.reason), ["expired"]);
  });
}

test("submit never throws", () => {
  const intake = make();
  const dropped = drops(intake);
  intake.on("queued", () => {
    throw new Error("a listener's mistake");
  });
  const circular: any = { ...EVENT };
  circular.self = circular;

  assert.equal(intake.submit("web.page_view", circular), undefined);
  assert.equal(intake.submit("web.page_view", { ...EVENT, big: 1n } as any), undefined);
  assert.equal(intake.submit("web.page_view", undefined as any), undefined);
  assert.equal(intake.submit("web.page_view", { ...EVENT, toJSON: () => undefined }), undefined);
  assert.ok(intake.submit("web.page_view", EVENT));
  assert.deepEqual(dropped.map((notice) => notice.reason), ["unserializable", "unserializable", "not_an_object", "unserializable"]);
});

test("attributes that cannot be had keep no event from being sent", async () => {
  const streams = { s: { producers: { metrics_platform_client: { provide_values: ["page_id"] } } } };
  const context = (): never => {
    throw new Error("a mistake of the page's");
  };

  assert.equal((await make({ streams, context }).submitNow("s", EVENT)).status, "sent");
});

test("what a stream provides in meta leaves its identity and its stream", async () => {
  const streams = { s: { producers: { metrics_platform_client: { provide_values: ["meta_request_id"] } } } };

  const id = make({ streams, context: { meta_request_id: "r" } }).submit("s", EVENT);
  await advance(3100);

  assert.deepEqual(world.accepted[0].meta, { id, stream: "s", request_id: "r" });
});

test("a sample that is not valid is warned of, once, and one that nothing is in is not", async () => {
  const streams = { none: { sample: { unit: "session", rate: 0 } }, rate: { sample: { unit: "session", rate: "0.5" as never } }, unit: { sample: { rate: 1 } } };
  const intake = make({ streams });
  const dropped = drops(intake);
  const warnings: string[] = [];
  intake.on("warning", ({ message }) => warnings.push(message));

  for (const stream of ["none", "rate", "unit", "rate"]) intake.submit(stream, EVENT);

  assert.deepEqual(warnings, ["rate: invalid sample", "unit: invalid sample"]);
  assert.deepEqual(dropped.map((notice) => notice.reason), Array(4).fill("sampled"));
});

test("times that are longer than any timer wait for the longest one", async () => {
  const intake = make({ retry: { timeoutMs: 1e12 }, batch: { intervalMs: 1e12, flushAt: 2 } });
  const reasons: string[] = [];
  intake.on("retry", ({ reason }) => reasons.push(reason));
  let answer!: () => void;
  world.answer = () => new Promise((resolve) => (answer = () => resolve({})));

  count(intake, 0, 1);
  await advance(10_000);
  assert.equal(world.posts().length, 0);
  count(intake, 1, 2);
  await advance(10_000);
  answer();
  await settle();

  assert.deepEqual([reasons, world.accepted.length], [[], 2]);
});

test("a receipt that cannot be had is asked for again, and the events are not sent meanwhile", async () => {
  const intake = make();
  world.answer = () => (world.posts().length == 1 ? { failure: "reset" } : undefined);
  world.answerOther = () => ({ failure: "reset" });

  count(intake, 0, 1);
  await advance(40_000);
  assert.equal(world.posts().length, 1);
  assert.ok(world.seen.length > 2);
  await advance(700_000, 1000);

  assert.equal(world.posts().length, 2);
});

test("a batch holds one event at least", async () => {
  const intake = make({ batch: { maxEvents: 0 } });

  count(intake, 0, 2);
  await intake.flush();

  assert.deepEqual(pages(), ["/0", "/1"]);
});

test("the caller may go on to change the event", async () => {
  const intake = make();
  const event = { ...EVENT, list: [1] };

  intake.submit("web.page_view", event);
  event.page = "/other";
  event.list.push(2);
  await intake.flush();

  assert.equal(world.accepted[0].page, "/home");
  assert.deepEqual(world.accepted[0].list, [1]);
});

test("submitNow says what became of the event", async () => {
  const intake = make();
  const results: Result[] = [];
  world.answer = () => [undefined, { status: 207, body: {} }, { status: 503 }, { status: 500 }][world.posts().length - 1];

  results.push(await intake.submitNow("web.page_view", EVENT));
  const refused = make({ consent: false });
  results.push(await refused.submitNow("web.page_view", EVENT));
  await advance(10);
  world.answer = () => ({ status: 503 });
  results.push(await intake.submitNow("web.page_view", EVENT));

  assert.deepEqual(results.map(({ status, reason }) => [status, reason]), [["sent", undefined], ["dropped", "consent"], ["queued", "http_503"]]);
});

test("submitNow does not wait for what is in the queue", async () => {
  const intake = make();
  world.answer = () => ({ status: 503, headers: { "retry-after": "60" } });
  count(intake, 0, 20);
  await advance(1000);
  world.answer = () => undefined;

  const result = await intake.submitNow("web.page_view", { ...EVENT, page: "/now" });

  assert.equal(result.status, "sent");
  assert.deepEqual(pages(), ["/now"]);
});

test("a token bucket limits each stream by itself, and refills", async () => {
  const intake = make({ rate: { perSecond: 1, burst: 5 } });
  const dropped = drops(intake);

  count(intake, 0, 8);
  intake.submit("shop.order", EVENT);
  intake.submit("web.page_view", { ...EVENT, meta: { domain: "canary" } });
  const result = await intake.flush();

  assert.deepEqual(dropped.map((notice) => notice.reason), Array(3).fill("rate_limited"));
  assert.equal(result.sent, 7);
});

test("without consent nothing is taken, and what waits is discarded when it is withdrawn", async () => {
  const intake = make();
  const dropped = drops(intake);

  count(intake, 0, 2);
  intake.setConsent(false);
  count(intake, 2, 3);
  await advance(10_000);
  assert.equal(world.seen.length, 0);
  intake.setConsent(true);
  count(intake, 3, 4);
  await intake.flush();

  assert.deepEqual(dropped.map((notice) => notice.reason), Array(3).fill("consent"));
  assert.deepEqual(pages(), ["/3"]);
});

test("what was under way when consent was withdrawn is not sent again", async () => {
  const intake = make();
  world.answer = async () => {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    return { status: 503 };
  };

  count(intake, 0, 1);
  await advance(3500);
  intake.setConsent(false);
  await advance(60_000, 1000);

  assert.equal(world.posts().length, 1);
});

for (const [honour, navigator, isTaken] of [
  [undefined, { globalPrivacyControl: true }, false],
  ["none", { globalPrivacyControl: true }, true],
  ["gpc", { doNotTrack: "1" }, true],
  ["both", { doNotTrack: "1" }, false],
] as const) {
  test(`honour ${honour ?? "by default"} with ${Object.keys(navigator)}: ${isTaken ? "taken" : "not taken"}`, () => {
    world.page(navigator);
    const intake = make(honour ? { honour } : {});

    assert.equal(intake.submit("web.page_view", EVENT) !== undefined, isTaken);
  });
}

test("events go to the address of their stream's service, each address by itself", async () => {
  const streams = { a: {}, b: { destination_event_service: "logging" } };
  const intake = make({ streams, services: { logging: "https://logging.example" } });
  world.answer = (request) => (request.url == "https://intake.example" ? { status: 503, headers: { "retry-after": "60" } } : undefined);

  intake.submit("a", EVENT);
  intake.submit("b", EVENT);
  await advance(5000);

  assert.deepEqual(world.accepted.map((event) => event.meta.stream), ["b"]);
});

test("the server's clock is said and not applied, and a clock that is far from it is warned of once", async () => {
  const intake = make();
  const warnings: string[] = [];
  intake.on("warning", ({ message }) => warnings.push(message));
  let ahead = 299_000;
  world.answer = () => ({ status: 201, headers: { date: new Date(START + ahead).toUTCString() } });

  await intake.submitNow("web.page_view", EVENT);
  assert.deepEqual(warnings, []);
  ahead = 3_600_000;
  for (let i = 0; i < 2; i++) await intake.submitNow("web.page_view", EVENT);

  assert.equal(intake.serverOffsetMs, 3_600_000);
  assert.deepEqual(warnings, ["clock: 3600000 ms off"]);
  assert.equal(world.accepted[0].dt, "2026-11-28T12:00:00.000Z");
});

test("identities sort in the order of submission, even when the clock goes back", async () => {
  const { mock } = await import("node:test");
  const intake = make({ queue: { maxEvents: 10_000 }, rate: false });
  const ids: string[] = [];

  for (let i = 0; i < 5000; i++) ids.push(intake.submit("web.page_view", EVENT)!);
  mock.timers.setTime(START - 60_000);
  ids.push(intake.submit("web.page_view", EVENT)!);

  assert.deepEqual([...ids].sort(), ids);
  assert.equal(new Set(ids).size, 5001);
});

for (const status of [201, 207, 400, 500, 503]) {
  test(`entries that are none, in the lists of a ${status}, stop nothing`, async () => {
    const intake = make();
    const entries = [5, null, "x", [], {}, { index: "length" }, { index: "0" }, { index: -1 }, { index: 0, context: null }, { index: 1, context: 5 }];
    world.answer = () => (world.posts().length == 1 ? { status, body: { invalid: entries, error: { length: 1 } } } : undefined);

    count(intake, 0, 2);
    await intake.flush();
    await advance(20_000, 1000);
    const result = await intake.submitNow("web.page_view", EVENT);

    assert.equal(result.status, "sent");
    assert.equal((await intake.flush()).pending, 0);
  });
}

test("a mistake in a store ends its batch with a reason, and the others go on", async () => {
  const nothing = (): void => undefined;
  let isBroken = true;
  const mark = (): void => {
    if (isBroken) throw new Error("no room");
  };
  const intake = make({ store: { open: nothing, put: nothing, mark, remove: nothing, clear: nothing, close: nothing } });
  const dropped = drops(intake);

  count(intake, 0, 2);
  const first = await intake.flush();
  isBroken = false;
  count(intake, 2, 3);
  const second = await intake.flush();

  assert.deepEqual(dropped.map(({ reason, context }) => [reason, context?.message]), Array(2).fill(["client_error", "Error: no room"]));
  assert.deepEqual([first.pending, second], [0, { sent: 1, rejected: 0, dropped: 0, pending: 0 }]);
});

for (const status of [200, 203, 204, 206]) {
  test(`${status}, which is no answer of an intake, is not believed: the events wait, ever longer`, async () => {
    const intake = make({ queue: { maxAgeMs: 600_000 } });
    const dropped = drops(intake);
    const reasons: string[] = [];
    intake.on("retry", ({ reason }) => reasons.push(reason));
    world.answer = () => ({ status, body: "<html>", isAccepted: false });
    world.answerOther = () => ({ status: 200, body: "<html>" });

    count(intake, 0, 1);
    const result = await intake.flush();
    await advance(900_000, 5000);

    assert.deepEqual([result.sent, result.pending], [0, 1]);
    assert.equal(reasons[0], `http_${status}`);
    assert.ok(world.posts().length < 30, `${world.posts().length} requests`);
    assert.deepEqual(dropped.map((notice) => notice.reason), ["expired"]);
  });
}

test("only true grants consent", async () => {
  for (const consent of [null, 0, 1, "", "no", "false", "true", {}] as never[]) {
    const intake = make({ consent });
    const dropped = drops(intake);
    intake.submit("web.page_view", EVENT);
    intake.setConsent(true);
    assert.ok(intake.submit("web.page_view", EVENT));
    intake.setConsent(consent);
    intake.submit("web.page_view", EVENT);

    assert.deepEqual(dropped.map((notice) => notice.reason), Array(3).fill("consent"), String(consent));
  }
  assert.ok(make({ consent: undefined as never }).submit("web.page_view", EVENT));
});

test("names of streams that are no text, lists and numbers that JSON lacks are refused, with a reason", async () => {
  const intake = make();
  const dropped = drops(intake);
  for (const stream of [undefined, null, 5, Symbol("s"), Object.create(null)] as never[]) intake.submit(stream, EVENT);
  for (const event of [null, 5, "x", [EVENT]] as never[]) intake.submit("s", event);
  for (const value of [NaN, Infinity, [1, { a: -Infinity }]]) intake.submit("s", { ...EVENT, value });

  assert.deepEqual(dropped.map((notice) => notice.reason), [...Array(5).fill("unknown_stream"), ...Array(4).fill("not_an_object"), ...Array(3).fill("unserializable")]);
  assert.ok(intake.submit("s", { ...EVENT, value: null, text: "null" }));
});

test("meta.id is text, or one is made; a stream without settings is declared; broken rules refuse and do not throw", async () => {
  const client = (metrics_platform_client: unknown): never => ({ producers: { metrics_platform_client } }) as never;
  const streams = {
    s: null as never,
    values: client({ provide_values: 5 }),
    all: client({ curation: { agent_is_automated: { contains_all: 5 } } }),
    not_in: client({ curation: { agent_is_automated: { not_in: 5 } } }),
    rules: client({ curation: 5 }),
    ids: { sample: { unit: "session", rate: 0.5 } },
  };
  world.page({ webdriver: false });
  const intake = make({ streams, ids: { session: 5 as never } });
  const dropped = drops(intake);

  const id = intake.submit("s", { ...EVENT, meta: { id: 5 as never } });
  for (const stream of ["values", "all", "not_in", "rules", "ids"]) intake.submit(stream, EVENT);

  assert.match(id!, /^[\da-f]{8}-/);
  assert.deepEqual(dropped.map(({ stream, reason }) => [stream, reason]), [["all", "curated"], ["not_in", "curated"], ["rules", "curated"], ["ids", "sampled"]]);
});

test("an address may be a URL or that of the route, and one that cannot be an intake's is refused at once", async () => {
  for (const url of [new URL("https://intake.example/"), "https://intake.example/v1/events", "https://intake.example/v1/events//"] as never[]) {
    assert.equal((await make({ url }).submitNow("web.page_view", EVENT)).status, "sent");
  }
  assert.deepEqual(new Set(world.seen.map(({ path }) => path)), new Set(["/v1/events"]));

  // "localhost:8192" is a URL: of the scheme "localhost:".
  const texts = ["", "foo", "localhost:8192", "ftp://a.example", "data:text/plain,x"];
  const parts = ["https://a.example?b=c", "https://a.example/#b", "https://b:c@a.example"];
  for (const url of [...texts, ...parts, undefined, null] as never[]) assert.throws(() => make({ url }), TypeError, url);
});

test("a timer of ours keeps no process alive, and close sends what waits", async () => {
  const intake = make();
  count(intake, 0, 3);

  const result = await intake.close();
  await settle();

  assert.equal(result.pending, 0);
  assert.equal(pages().length, 3);
});
