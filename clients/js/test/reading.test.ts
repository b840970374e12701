// Reading streams, against servers of this process that answer as told.
import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { readStream, storedAt, StreamRefused, type Gap, type ReadOptions } from "../src/reading/index.js";

type Answer = (response: ServerResponse, request: IncomingMessage) => void;
const servers: Server[] = [];
after(() => servers.forEach((server) => (server.closeAllConnections(), server.close())));

/** Serve one answer for each request, the last one again and again. Returns the URL, and the requests. */
const serve = async (...answers: Answer[]): Promise<{ url: string; asked: IncomingMessage[] }> => {
  const asked: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    asked.push(request);
    answers[Math.min(asked.length, answers.length) - 1]!(response, request);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v2/stream/a`, asked };
};

const event = (id: string, more: object = {}): string => `event: message\nid: after ${id}\ndata: ${JSON.stringify({ meta: { id }, ...more })}\n\n`;
/** Send texts; `isWhole` false: the connection breaks behind them. */
const stream = (...texts: string[]): Answer => (response) => {
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  response.end(texts.join(""));
};
const broken = (...texts: string[]): Answer => (response) => {
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  response.write(texts.join(""), () => response.destroy());
};
const refuse = (status: number, body: object = {}, headers: Record<string, string> = {}): Answer => (response) => {
  response.writeHead(status, headers).end(JSON.stringify(body));
};
const DONE = ":end done\n\n";
const FAST = { waitMs: 1 };

const ids = async (url: string, options: ReadOptions = {}): Promise<string[]> => {
  const found: string[] = [];
  for await (const { meta } of readStream(url, { ...FAST, ...options })) found.push(meta.id);
  return found;
};

test("it yields events until the end that was asked for", async () => {
  const { url, asked } = await serve(stream(":ok\n\n", "retry: 1\n\n", event("1"), ":keepalive\n\n", event("2"), "id: later\n\n", DONE));

  assert.deepEqual(await ids(url), ["1", "2"]);
  assert.equal(asked[0]!.headers.accept, "text/event-stream");
  assert.equal(asked.length, 1);
});

test("it returns to the position of the last event, however the connection ended", async () => {
  const { url, asked } = await serve(
    stream(event("1"), ":end age\n\n"),
    broken(event("2"), "event: message\nid: after 3\ndata: {\"me"),
    refuse(503),
    (_, request) => request.socket.destroy(),
    stream(event("3"), DONE),
  );

  assert.deepEqual(await ids(url), ["1", "2", "3"]);
  assert.deepEqual(asked.map(({ headers }) => headers["last-event-id"]), [undefined, "after 1", "after 2", "after 2", "after 2"]);
});

test("repetitions are dropped, and events without an identity are not", async () => {
  const bare = 'data: {"meta":{"id":7}}\n\n';
  const { url } = await serve(stream(event("1"), event("2"), ":end age\n\n"), stream(event("2"), bare, bare, event("3"), DONE));

  assert.deepEqual(await ids(url), ["1", "2", 7, 7, "3"] as string[]);
});

test("a position is stored when its event was handled, and a new stream goes on there", async () => {
  const map = new Map<string, string>([["position", "after 0"]]);
  const storage = { getItem: (key: string) => map.get(key) ?? null, setItem: (key: string, value: string) => void map.set(key, value) };
  const { url, asked } = await serve(stream(event("1"), event("2"), DONE), stream(event("2"), DONE));
  const store = storedAt(storage, "position");

  for await (const { meta } of readStream(url, { store })) {
    if (meta.id == "2") break; // It was not handled.
  }
  assert.equal(map.get("position"), "after 1");
  assert.deepEqual(await ids(url, { store }), ["2"]);
  assert.equal(map.get("position"), "after 2");
  assert.deepEqual(asked.map(({ headers }) => headers["last-event-id"]), ["after 0", "after 1"]);
});

test("a position without data is stored too", async () => {
  const { url } = await serve(stream(event("1"), "id: much later\n\n", DONE));
  const events = readStream(url, FAST);
  for await (const _ of events) assert.equal(events.position, "");

  assert.equal(events.position, "much later");
});

test("a server that falls silent is left, but the time that an event is handled is no silence", async (t) => {
  // The watch over the server is a timer of 45 s, which the test runs out by hand.
  const watches = new Set<() => void>();
  const { setTimeout: set, clearTimeout: clear } = globalThis;
  t.mock.method(globalThis, "setTimeout", (run: () => void, ms: number, ...more: unknown[]) => (ms == 45_000 ? (watches.add(run), run) : set(run, ms, ...more)));
  t.mock.method(globalThis, "clearTimeout", (timer: any) => void (watches.delete(timer) || clear(timer)));
  const runOut = (): unknown => (watches.size ? [...watches][0]!() : setImmediate(runOut));
  const silent: Answer = (response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write(event("1"));
  };
  const { url, asked } = await serve(silent, stream(event("2"), DONE));

  const found: string[] = [];
  for await (const { meta } of readStream(url, FAST)) {
    assert.equal(watches.size, 0);
    found.push(meta.id);
    if (meta.id == "1") setImmediate(runOut);
  }
  assert.deepEqual(found, ["1", "2"]);
  assert.equal(asked[1]!.headers["last-event-id"], "after 1");
  assert.equal(watches.size, 0);
});

test("gaps are told, and asked for only if they are heard", async () => {
  const told = { topic: "a", partition: 0, asked: 2, earliest: 6, latest: 10, lost: 4, made_again: false };
  const { url, asked } = await serve(stream(`event: gap\ndata: ${JSON.stringify(told)}\n\n`, event("6"), DONE));
  const gaps: Gap[] = [];

  assert.deepEqual(await ids(url, { onGap: (gap) => gaps.push(gap) }), ["6"]);
  assert.deepEqual(gaps, [told]);
  await ids(`${url}?on_gap=latest`, { onGap: () => {} });
  await ids(url);
  assert.deepEqual(asked.map((request) => request.url!.split("?")[1]), ["on_gap=earliest", "on_gap=latest", undefined]);
});

test("a refusal that would come again is thrown", async () => {
  const { url, asked } = await serve(refuse(410, { title: "Gone", detail: "The position is gone." }));

  await assert.rejects(ids(url), (error: StreamRefused) => error instanceof StreamRefused && error.status == 410 && error.problem.title == "Gone");
  assert.equal(asked.length, 1);
});

test("an answer without content ends the stream", async () => {
  const { url } = await serve(stream(event("1"), ":end age\n\n"), (response) => void response.writeHead(204).end());

  assert.deepEqual(await ids(url), ["1"]);
});

test("the server's wish to wait is heard", async () => {
  const { url } = await serve(refuse(429, {}, { "Retry-After": "1" }), stream(event("1"), DONE));
  const began = performance.now();

  assert.deepEqual(await ids(url), ["1"]);
  assert.ok(performance.now() - began >= 990);
});

test("it ends at once by close, by a signal, and by leaving the loop", async () => {
  const endless: Answer = (response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write(event("1"));
  };
  const { url, asked } = await serve(endless);
  const closed = (request: IncomingMessage): Promise<unknown> => new Promise((resolve) => (request.socket.destroyed ? resolve(0) : request.socket.once("close", resolve)));

  const first = readStream(url);
  for await (const _ of first) first.close();
  const stop = new AbortController();
  for await (const _ of readStream(url, { signal: stop.signal })) stop.abort();
  for await (const _ of readStream(url)) break;
  await Promise.all(asked.map(closed));
  for await (const _ of readStream(url, { signal: stop.signal })) assert.fail("it was ended before");
  assert.equal(asked.length, 3);
});

test("headers are sent, and characters that are cut by the network stay whole", async () => {
  const text = Buffer.from(event("1", { page: "/größe" }) + DONE);
  const { url, asked } = await serve((response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    const at = text.indexOf(0xc3) + 1;
    response.write(text.subarray(0, at), () => setImmediate(() => response.end(text.subarray(at))));
  });
  for await (const found of readStream<{ page: string }>(url, { headers: { Authorization: "Bearer k" } })) assert.equal(found.page, "/größe");

  assert.equal(asked[0]!.headers.authorization, "Bearer k");
});
