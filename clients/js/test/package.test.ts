// What is published: its forms, its types, and that importing it does nothing.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, after, test } from "node:test";
import { createContext, runInContext } from "node:vm";
import { advance, EVENT, World } from "./world.js";

const ROOT = new URL("../../../", import.meta.url).pathname;
/** A folder of its own, and the folder of the minified files: BUILT if they are built already. */
let out: string;
const minified = (name: string): string => join(process.env.BUILT || out, name);
before(() => {
  out = mkdtempSync(join(tmpdir(), "penstock-client-"));
  mkdirSync(join(out, "node_modules"));
  symlinkSync(ROOT, join(out, "node_modules", "penstock-client"));
  if (!process.env.BUILT) execFileSync("node", ["build.mjs"], { cwd: ROOT, env: { ...process.env, OUT: out } });
});
after(() => rmSync(out, { recursive: true }));

const IMPURE = `
  const names = () => JSON.stringify(Object.getOwnPropertyNames(globalThis).sort());
  const before = names();
  const listen = globalThis.addEventListener, handles = process._getActiveHandles().length;
  globalThis.setTimeout = globalThis.fetch = () => { throw new Error("importing does something"); };
`;
const CHECK = `
  if (names() != before || process._getActiveHandles().length != handles) throw new Error("importing leaves something");
  if (typeof core.createIntake != "function" || typeof store.persistence != "function" || typeof debug.debug != "function") throw new Error("an export is lacking");
`;

test("as an ES module, importing does nothing", () => {
  const script = `${IMPURE}
    const [core, store, debug] = await Promise.all(["", "/persistence", "/debug"].map((entry) => import("penstock-client" + entry)));${CHECK}`;
  writeFileSync(join(out, "esm.mjs"), script);
  execFileSync("node", ["esm.mjs"], { cwd: out });
});

test("as CommonJS, requiring does nothing", () => {
  const script = `${IMPURE}
    const core = require("penstock-client"), store = require("penstock-client/persistence"), debug = require("penstock-client/debug");${CHECK}`;
  writeFileSync(join(out, "cjs.cjs"), script);
  execFileSync("node", ["cjs.cjs"], { cwd: out });
});

test("as a script it defines one name, where there is no page at all", () => {
  const context = createContext({});
  const before = runInContext("Object.getOwnPropertyNames(globalThis)", context);

  runInContext(readFileSync(minified("penstock.iife.js"), "utf8"), context);

  const added = runInContext("Object.getOwnPropertyNames(globalThis)", context).filter((name: string) => !before.includes(name));
  assert.deepEqual([...added], ["penstock"]);
  assert.deepEqual(Object.keys(context.penstock).sort(), ["createIntake", "persistence"]);
});

test("no file evaluates text, and the core has no validator in it", () => {
  for (const name of ["core.min.js", "persistence.min.js", "debug.min.js", "penstock.iife.js"]) {
    const text = readFileSync(minified(name), "utf8");

    assert.doesNotMatch(text, /\beval\(|new Function|Function\(|\.style\b|document\.write|import\(/, name);
  }
  assert.doesNotMatch(readFileSync(minified("core.min.js"), "utf8"), /draft|multipleOf/);
});

test("the minified core sends, retries, and tells, as the other one does", async () => {
  const world = new World();
  try {
    const { createIntake } = await import(minified("core.min.js"));
    world.answer = () => [{ status: 503 }, { status: 413 }, { failure: "reset" as const }][world.posts().length - 1];
    const intake = createIntake({ url: "https://intake.example", batch: { flushAt: 2 } });
    const kinds: string[] = [];
    for (const kind of ["queued", "retry", "sent"]) intake.on(kind, () => kinds.push(kind));

    for (let i = 0; i < 4; i++) intake.submit("web.page_view", EVENT);
    await advance(60_000, 500);
    const result = await intake.submitNow("web.page_view", EVENT);

    assert.equal(result.status, "sent");
    assert.equal(world.accepted.length, 5);
    assert.deepEqual([...new Set(kinds)], ["queued", "retry", "sent"]);
    assert.equal((await intake.close()).pending, 0);
  } finally {
    world.end();
  }
});

const TYPED = `
import { createIntake, type Intake } from "penstock-client";
import { persistence } from "penstock-client/persistence";
import { debug } from "penstock-client/debug";
declare module "penstock-client" {
  interface Streams { "web.page_view": { $schema: "/web/page_view/1.1.0"; page: string; load_ms?: number } }
}
const intake: Intake = createIntake({ url: "https://intake.example", store: persistence(), plugins: [debug()] });
intake.submit("web.page_view", { $schema: "/web/page_view/1.1.0", page: "/" });
intake.submit<"web.page_view">("web.page_view", { $schema: "/web/page_view/1.1.0", page: "/", load_ms: 3 });
// @ts-expect-error a field of another type
intake.submit("web.page_view", { $schema: "/web/page_view/1.1.0", page: 1 });
// @ts-expect-error an unknown stream
intake.submit("web.click", { $schema: "/web/click/1.0.0" });
void intake.submitNow("web.page_view", { $schema: "/web/page_view/1.1.0", page: "/" }).then(({ status, reason }) => [status, reason]);
`;
for (const [name, file, options] of [
  ["a bundler", "typed.ts", { module: "esnext", moduleResolution: "bundler" }],
  ["an ES module of Node", "typed.mts", { module: "nodenext", moduleResolution: "nodenext" }],
  ["a CommonJS module of Node", "typed.cts", { module: "nodenext", moduleResolution: "nodenext" }],
] as const) {
  test(`types are right for ${name}`, () => {
    const folder = join(out, file.replace(".", "-"));
    mkdirSync(join(folder, "node_modules"), { recursive: true });
    symlinkSync(ROOT, join(folder, "node_modules", "penstock-client"));
    writeFileSync(join(folder, file), TYPED);
    const compilerOptions = { ...options, strict: true, noEmit: true, target: "es2022", lib: ["es2022", "dom"], types: [] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: [file] }));

    try {
      execFileSync(join(ROOT, "node_modules/.bin/tsc"), ["-p", "."], { cwd: folder, encoding: "utf8" });
    } catch (error) {
      assert.fail((error as { stdout: string }).stdout);
    }
  });
}

test("the lock file names no address, and every version is exact", () => {
  const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));

  assert.equal(manifest.dependencies, undefined);
  assert.ok(Object.values<string>(manifest.devDependencies).every((version) => /^\d+\.\d+\.\d+$/.test(version)));
  assert.doesNotMatch(readFileSync(join(ROOT, "package-lock.json"), "utf8"), /"resolved"|https?:\/\/(?!.*(github|opencollective|funding))[^"]*\.tgz/);
});
