// What submit costs, and how long the sender holds the loop. Not a test: npm run bench
// Times are of the CPU: on a machine that does other work too, the wall clock shows that work.
import { createIntake } from "../src/core/index.js";

const EVENT = { $schema: "/web/page_view/1.1.0", page: "/home", referrer: "https://example.org/", pad: "é".repeat(100) + "x".repeat(700) };
const SETTINGS = {
  "web.page_view": { sample: { unit: "session", rate: 1 }, producers: { metrics_platform_client: { provide_values: ["page_id"], curation: { page_id: { equals: 1 } } } } },
};
const COUNT = 100_000;

/** CPU time of this process in microseconds. */
const cpu = (): number => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
globalThis.fetch = async () => {
  await turn();
  return new Response(null, { status: 201 });
};
const intake = createIntake({
  url: "https://intake.example", rate: false, streams: SETTINGS, ids: { session: "00000000000000000000" }, context: { page_id: 1 },
  queue: { maxEvents: 1000, maxBytes: 1e9 }, batch: { intervalMs: 1e9, flushAt: 1e9 },
});
const show = (what: string, times: Float64Array): void => {
  times.sort();
  const at = (share: number): string => times[Math.floor(times.length * share)]!.toFixed(0);
  console.log(`${what}: p50 ${at(0.5)} µs, p99 ${at(0.99)} µs, p99.9 ${at(0.999)} µs, most ${at(0.999999)} µs`);
};

for (const round of ["cold", "warm"]) {
  const times = new Float64Array(COUNT);
  for (let i = 0; i < COUNT; i++) {
    // As a page does: an event now and then, and the queue empties in between.
    if (i % 500 == 0) await intake.flush();
    const before = cpu();
    intake.submit("web.page_view", EVENT);
    times[i] = cpu() - before;
  }
  show(`submit of ${JSON.stringify(EVENT).length} characters, ${round}`, times);
}

// A long task is what the loop cannot interrupt: the longest gap between two turns while 1,000 events are flushed.
await intake.flush();
const gaps: number[] = [];
for (let round = 0; round < 20; round++) {
  for (let i = 0; i < 1000; i++) intake.submit("web.page_view", EVENT);
  let isDone = false;
  let last = cpu();
  void intake.flush().then(() => (isDone = true));
  while (!isDone) {
    await turn();
    gaps.push(cpu() - last);
    last = cpu();
  }
}
show("turns of the loop while 1,000 events are flushed", new Float64Array(gaps));
