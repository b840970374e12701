// Whatever the network and the intake do: nothing is lost, and what comes twice comes with the same bytes.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createIntake } from "../src/core/index.js";
import { advance, EVENT, refusal, World, type Reply, type Seen } from "./world.js";

type Fault = "none" | "lost_answer" | "reset" | "timeout" | "late" | "busy" | "bad_gateway" | "too_large" | "partly" | "unreadable";
const FAULTS: Fault[] = ["none", "lost_answer", "reset", "timeout", "late", "busy", "bad_gateway", "too_large", "partly", "unreadable"];

const reply = (fault: Fault, request: Seen): Reply | undefined => {
  switch (fault) {
    case "lost_answer": return { failure: "reset", isAccepted: true };
    case "reset": return { failure: "reset" };
    case "timeout": return { failure: "timeout" };
    case "late": return { failure: "timeout", isAccepted: true };
    case "busy": return { status: 503, headers: { "retry-after": "5" } };
    case "bad_gateway": return { status: 502, isAccepted: request.events.length % 2 == 0 };
    case "too_large": return request.events.length > 1 ? { status: 413 } : undefined;
    case "partly": return { status: 207, body: { invalid: [], error: request.events.flatMap((_, i) => (i % 2 ? [refusal("error", i, "queue_full")] : [])) } };
    case "unreadable": return { status: 207, body: "<html>", isAccepted: true };
    default: return undefined;
  }
};

test("accepted is what was submitted, and every repetition has the same identity and bytes", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...FAULTS), { maxLength: 25 }),
      fc.array(fc.nat({ max: 30 }), { minLength: 1, maxLength: 8 }),
      async (faults, bursts) => {
        const world = new World();
        try {
          const left = [...faults];
          world.answer = (request) => reply(left.shift() || "none", request);
          world.answerOther = () => (left.length % 3 == 1 ? { failure: "reset" } : undefined);
          const intake = createIntake({ url: "https://intake.example", rate: false, retry: { capMs: 10_000 } });
          const dropped: string[] = [];
          intake.on("dropped", (notice) => dropped.push(notice.reason!));
          const submitted = new Set<string>();
          for (const burst of bursts) {
            for (let i = 0; i < burst; i++) submitted.add(intake.submit("web.page_view", { ...EVENT, n: submitted.size } as never)!);
            await advance(4000, 500);
          }
          for (let pending = 1, i = 0; pending && i < 100; i++) {
            void intake.flush().then((result) => (pending = result.pending));
            await advance(20_000, 1000);
          }
          await intake.close();

          assert.deepEqual(dropped, []);
          assert.deepEqual(new Set(world.accepted.map((event) => event.meta.id)), submitted);
          const texts = new Map<string, string>();
          for (const event of world.accepted) {
            const text = JSON.stringify(event);
            assert.equal(texts.get(event.meta.id) ?? text, text);
            texts.set(event.meta.id, text);
          }
        } finally {
          world.end();
        }
      },
    ),
    { numRuns: Number(process.env.RUNS || 40), seed: process.env.SEED ? Number(process.env.SEED) : 17 },
  );
});
