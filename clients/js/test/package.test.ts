// What is published: its forms, its types, and that importing it does nothing.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, after, test } from "node:test";
import { createContext, runInContext } from "node:vm";

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

/** Run a script of Node to its natural end, before an intake that takes everything; return what the script and the intake say. */
const runToItsEnd = (lines: string): { said: string[]; accepted: string[]; code: number | null } => {
  const script = `
    import { createServer } from "node:http";
    import { createIntake } from "penstock-client";
    import { persistence } from "penstock-client/persistence";
    const server = createServer((request, response) => {
      let text = "";
      request.on("data", (piece) => (text += piece)).on("end", () => {
        for (const event of JSON.parse(text || "[]")) console.log("accepted", event.page);
        response.writeHead(request.method == "POST" ? 201 : 404, { connection: "close" }).end();
      });
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.on("listening", resolve));
    server.unref();
    const url = "http://127.0.0.1:" + server.address().port;
    const event = (page) => ({ $schema: "/web/page_view/1.1.0", page });
    ${lines}`;
  writeFileSync(join(out, "end.mjs"), script);
  const { stdout, status } = spawnSync("node", ["end.mjs"], { cwd: out, encoding: "utf8" });
  const said = stdout.trim().split("\n");
  return { said, accepted: said.filter((line) => line.startsWith("accepted ")).map((line) => line.slice(9)).sort(), code: status };
};

/** The examples of the README in a language, without what they import, for an intake at `url`. */
const examples = (language: string): string[] =>
  [...readFileSync(join(ROOT, "README.md"), "utf8").matchAll(new RegExp("^```" + language + "\\n([^]*?)^```", "gm"))].map(([, text]) =>
    text!.replace(/^import .*$/gm, "").replace('"http://127.0.0.1:8192"', "url"));

test("the first example of the README sends its event", () => {
  const [first] = examples("js");

  const { accepted, code } = runToItsEnd(`globalThis.location = { pathname: "/first" }; ${first}`);

  assert.deepEqual([accepted, code], [["/first"], 0]);
});

test("the plugin of the README refuses drafts", () => {
  const plugin = examples("js").find((text) => text.includes("noDrafts"));

  const { accepted, code } = runToItsEnd(`${plugin}; for (const page of ["/draft/a", "/b"]) intake.submit("web.page_view", event(page));`);

  assert.deepEqual([accepted, code], [["/b"], 0]);
});

test("in Node what waits is sent when a script has run to its end", () => {
  const { accepted, code } = runToItsEnd(`
    const intake = createIntake({ url });
    for (const page of ["/a", "/b"]) intake.submit("web.page_view", event(page));
    const closed = createIntake({ url });
    closed.submit("web.page_view", event("/c"));
    await closed.close();`);

  assert.deepEqual([accepted, code], [["/a", "/b", "/c"], 0]);
});

test("in Node a script ends although the intake is away", () => {
  const { accepted, code } = runToItsEnd(`
    const intake = createIntake({ url: "http://127.0.0.1:9" });
    intake.submit("web.page_view", event("/a"));`);

  assert.deepEqual([accepted, code], [[], 0]);
});

test("in Node a store has no storage: events stay in memory, and that is said once", () => {
  const { said, accepted, code } = runToItsEnd(`
    const intake = createIntake({ url, store: persistence() });
    intake.on("warning", ({ message }) => console.log(message));
    for (const page of ["/a", "/b"]) intake.submit("web.page_view", event(page));
    await new Promise(setImmediate);
    intake.submit("web.page_view", event("/c"));
    console.log(JSON.stringify(await intake.close()));`);

  assert.equal(said.filter((line) => line == "quota: memory only").length, 1);
  assert.deepEqual([accepted, code], [["/a", "/b", "/c"], 0]);
});

test("the minified core does all that the sources do", () => {
  const tests = ["core", "page", "property"].map((name) => new URL(`${name}.test.js`, import.meta.url).pathname);
  // A test runner that runs within another one reports to it, and not by its exit code.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;

  const { status, stdout } = spawnSync(process.execPath, ["--test", ...tests], { encoding: "utf8", env: { ...env, CORE: minified("core.min.js") } });

  assert.equal(status, 0, stdout);
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
