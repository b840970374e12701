// The core on a page: the end of it, being offline, settings of streams, reports.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Intake } from "../src/core/index.js";
import { advance, drops, EVENT, make, setStage, settle, world } from "./world.js";

setStage();
const submit = (intake: Intake, from: number, to: number, bytes = 10): void => {
  for (let i = from; i < to; i++) intake.submit("web.page_view", { ...EVENT, page: `/${i}`, pad: "x".repeat(bytes) });
};
const table = { "web.page_view": { schema_title: "web/page_view" } };

test("when the page is hidden, everything goes at once, hasty and with keepalive", async () => {
  const page = world.page();
  const intake = make();

  submit(intake, 0, 3);
  page.leave();
  await settle();

  const [request] = world.posts();
  assert.equal(world.posts().length, 1);
  assert.equal(request!.params.hasty, "true");
  assert.equal(request!.keepalive, true);
  assert.deepEqual(request!.events.map((event) => event.page), ["/0", "/1", "/2"]);
  assert.equal(request!.events[0].meta.domain, "shop.example");
});

test("requests that outlive the page share 60 KiB, and the newest events have them first", async () => {
  const page = world.page();
  const intake = make();
  let open = (): void => undefined;
  const gate = new Promise<undefined>((resolve) => (open = () => resolve(undefined)));
  world.answer = () => gate;

  submit(intake, 0, 19, 6000);
  page.leave();
  await settle();

  const kept = world.posts().filter((request) => request.keepalive);
  const bytes = kept.reduce((sum, request) => sum + request.body.length, 0);
  const events = kept.flatMap((request) => request.events.map((event) => event.page));
  assert.ok(bytes <= 61_440 && bytes > 50_000, `${bytes} bytes`);
  assert.equal(events.at(-1), "/18");
  assert.ok(!events.includes("/0"));
  open();
  await advance(100);
  assert.equal(new Set(world.accepted.map((event) => event.page)).size, 19);
});

test("an ordinary request outlives the page if two like it are allowed, and nine do at most", async () => {
  const page = world.page();
  const intake = make({ batch: { maxBytes: 60_000 } });

  for (const bytes of [40_000, 30_000]) await intake.submitNow("web.page_view", { ...EVENT, page: "x".repeat(bytes) });
  assert.deepEqual(world.posts().map((request) => request.keepalive), [false, true]);
  let open = (): void => undefined;
  const gate = new Promise<undefined>((resolve) => (open = () => resolve(undefined)));
  world.answer = () => gate;
  for (let i = 0; i < 12; i++) void intake.submitNow("web.page_view", EVENT);
  submit(intake, 0, 1);
  page.leave();
  await settle();

  assert.deepEqual(world.posts().slice(2).map((request) => request.keepalive), [...Array(9).fill(true), ...Array(4).fill(false)]);
  open();
});

test("a pause that the intake asked for ends with a page that has no store", async () => {
  const page = world.page();
  const intake = make();
  world.answer = () => ({ status: 503, headers: { "retry-after": "60" } });

  submit(intake, 0, 2);
  await advance(3500);
  world.answer = () => undefined;
  page.leave();
  await settle();

  assert.deepEqual(world.accepted.map((event) => event.page), ["/0", "/1"]);
});

test("offline nothing is tried; online everything is, at once", async () => {
  const page = world.page();
  const intake = make();

  page.online(false);
  submit(intake, 0, 30);
  await advance(60_000, 1000);
  assert.equal(world.seen.length, 0);
  page.online(true);
  await advance(10);

  assert.equal(world.accepted.length, 30);
});

test("a page that is asked whether it may be left sends what waits, and goes on if it stays", async () => {
  const page = world.page();
  world.answerOther = (request) => (request.path == "/v1/streamconfigs" ? { failure: "timeout" } : undefined);
  const intake = make();
  const fetching = make({ streams: "fetch" });
  const dropped = drops(fetching);

  submit(intake, 0, 3);
  submit(fetching, 3, 4);
  page.ask();
  await settle();
  assert.deepEqual(world.posts().map(({ keepalive, params, events }) => [keepalive, params.hasty, events.length]), [[true, "true", 3]]);
  submit(intake, 4, 5);
  await advance(3100);

  assert.deepEqual(world.accepted.map((event) => event.page), ["/0", "/1", "/2", "/4"]);
  assert.deepEqual(dropped, []);
});

test("closing takes the listeners off the page", async () => {
  const page = world.page();
  const intake = make();
  await intake.close();

  submit(intake, 0, 1);
  page.ask();
  page.leave();
  await settle();

  assert.equal(world.posts().length, 0);
});

test("flush waits for the settings of the streams, and so does closing", async () => {
  world.page();
  world.answerOther = () => ({ status: 200, body: { streams: table } });
  for (const end of ["flush", "close"] as const) {
    const intake = make({ streams: "fetch" });

    localStorage.removeItem("penstock:https://intake.example/v1/streamconfigs");
    submit(intake, 0, 1);
    const result = await intake[end]();

    assert.deepEqual(result, { sent: 1, rejected: 0, dropped: 0, pending: 0 });
  }
});

test("what cannot be judged when the client is closed is dropped as that", async () => {
  world.answerOther = () => ({ status: 500 });
  const intake = make({ streams: "fetch" });
  const dropped = drops(intake);

  submit(intake, 0, 1);
  await intake.close();

  assert.deepEqual(dropped.map((notice) => notice.reason), ["no_config"]);
});

test("an event of unknown outcome is repeated once when the page is hidden, however often it is", async () => {
  const page = world.page();
  const intake = make();
  world.answer = () => ({ failure: "reset", isAccepted: true });
  world.answerOther = () => ({ status: 404 });

  submit(intake, 0, 1);
  await advance(3100);
  for (let i = 0; i < 5; i++) {
    page.hide();
    await settle();
    page.show();
    await advance(500);
  }

  assert.equal(world.posts().length, 2);
  assert.equal(new Set(world.posts().map((request) => request.body)).size, 1);
});

test("events wait for the settings of their streams, and are judged by them", async () => {
  world.page();
  const streams = { ...table, out: { sample: { unit: "session", rate: 0 } }, in: { sample: { unit: "pageview", rate: 0.5 } } };
  world.answerOther = () => ({ status: 200, body: { streams }, headers: { "cache-control": "public, max-age=600", etag: '"1"' } });
  const intake = make({ streams: "fetch", ids: { pageview: "00000000000000000000" } });
  const warnings: string[] = [];
  const dropped: (string | undefined)[] = [];
  intake.on("warning", ({ message }) => warnings.push(message));
  intake.on("dropped", ({ reason }) => dropped.push(reason));

  assert.equal(intake.isInSample("in"), undefined);
  for (const stream of ["web.page_view", "out", "in", "not.declared", "not.declared"]) intake.submit(stream, EVENT);
  await advance(4000);

  assert.deepEqual(world.accepted.map((event) => [event.meta.stream, event.sample]), [["web.page_view", undefined], ["in", { unit: "pageview", rate: 0.5 }]]);
  assert.deepEqual(dropped, ["sampled", "unknown_stream", "unknown_stream"]);
  assert.deepEqual(warnings, ["not.declared: unknown_stream"]);
  assert.deepEqual(["in", "out", "not.declared"].map((stream) => intake.isInSample(stream)), [true, false, false]);
});

test("settings are asked for again when they are old, with their ETag, and kept when the intake errs", async () => {
  world.page();
  const answers = [
    { status: 200, body: { streams: table }, headers: { "cache-control": "max-age=100", etag: '"1"' } },
    { status: 304, headers: { "cache-control": "max-age=100" } },
    { status: 500 },
    { status: 200, body: { streams: { other: {} } }, headers: { "cache-control": "max-age=100" } },
  ];
  world.answerOther = () => answers.shift();
  const intake = make({ streams: "fetch", names: ["web.page_view", "other"] });
  const asked = (): number => world.seen.filter((request) => request.path == "/v1/streamconfigs").length;

  await settle();
  intake.submit("web.page_view", EVENT);
  await advance(99_000, 1000);
  assert.equal(asked(), 1);
  for (const seconds of [2, 101]) {
    await advance(seconds * 1000, 1000);
    intake.isInSample("web.page_view");
    await settle();
    assert.equal(intake.isInSample("web.page_view"), true);
  }
  assert.equal(asked(), 3);
  await advance(31_000, 1000);
  intake.isInSample("web.page_view");
  await settle();

  assert.equal(intake.isInSample("other"), true);
  assert.deepEqual(world.seen.filter((request) => request.path == "/v1/streamconfigs").map((request) => request.headers), [
    {}, { "If-None-Match": '"1"' }, { "If-None-Match": '"1"' }, { "If-None-Match": '"1"' },
  ]);
  assert.equal(world.seen[0]!.params.streams, "web.page_view|other");
});

test("the next page has the settings at once, and they are those of the last one while the intake is away", async () => {
  world.page();
  world.answerOther = () => ({ status: 200, body: { streams: table } });
  make({ streams: "fetch" });
  await settle();
  world.answerOther = () => ({ failure: "reset" });

  const intake = make({ streams: "fetch" });

  assert.equal(intake.isInSample("web.page_view"), true);
});

test("events that wait for settings when the page ends are dropped as that, and counted", async () => {
  const page = world.page();
  world.answerOther = () => ({ failure: "timeout" });
  const intake = make({ streams: "fetch" });
  const dropped = drops(intake);

  submit(intake, 0, 2);
  page.leave();

  assert.deepEqual(dropped.map((notice) => notice.reason), ["no_config", "no_config"]);
});

test("drops make one report, which goes with the page", async () => {
  const page = world.page();
  const streams = { ...table, "penstock.client_report": {}, out: { sample: { unit: "session", rate: 0 } } };
  const intake = make({ streams, queue: { maxEvents: 5 } });

  submit(intake, 0, 8);
  intake.submit("out", EVENT);
  intake.submit("not.declared", EVENT);
  page.hide();
  page.leave();
  await settle();

  const reports = world.accepted.filter((event) => event.meta.stream == "penstock.client_report");
  assert.equal(reports.length, 1);
  assert.equal(reports[0].$schema, "/penstock/client_report/1.0.0");
  assert.equal(world.accepted.length, 6);
  assert.deepEqual(reports[0].dropped, [
    { stream: "web.page_view", reason: "queue_full", count: 3 },
    { stream: "out", reason: "sampled", count: 1 },
    { stream: "not.declared", reason: "unknown_stream", count: 1 },
  ]);
});

test("what is meant makes no report", async () => {
  const page = world.page();
  const intake = make({ streams: { out: { sample: { unit: "session", rate: 0 } }, "penstock.client_report": {} } });

  intake.submit("out", EVENT);
  page.leave();
  await settle();

  assert.equal(world.posts().length, 0);
});

test("a signal of the browser that says no later holds for what waits too", async () => {
  const page = world.page();
  const intake = make();
  const dropped = drops(intake);

  submit(intake, 0, 2);
  page.navigator.globalPrivacyControl = true;
  await advance(4000);

  assert.equal(world.posts().length, 0);
  assert.deepEqual(dropped.map((notice) => notice.reason), ["consent", "consent"]);
});

test("the session is the tab's, the pageview the page's, and neither is stored without consent", async () => {
  world.page({ webdriver: false });
  const rules = { producers: { metrics_platform_client: { provide_values: ["performer_session_id", "performer_pageview_id", "agent_is_automated"] } } };
  const off = make({ streams: { s: rules }, consent: false });
  off.submit("s", EVENT);
  assert.equal(sessionStorage.getItem("penstock:session"), null);

  for (let i = 0; i < 2; i++) await make({ streams: { s: rules } }).submitNow("s", EVENT);

  const [first, second] = world.accepted;
  assert.equal(first.performer.session_id, second.performer.session_id);
  assert.notEqual(first.performer.pageview_id, second.performer.pageview_id);
  assert.match(first.performer.session_id, /^[\da-f]{20}$/);
  assert.equal(first.agent.is_automated, false);
});
