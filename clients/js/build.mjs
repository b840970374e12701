// Builds the package into dist/, and the files for plain pages into ../../build/clients/js/ or the folder named by OUT.
// With --test: every source and test as a module of its own, into build/test/, for node --test.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { minify } from "terser";

const here = dirname(fileURLToPath(import.meta.url));
process.chdir(here);
const OUT = process.env.OUT || join(here, "../../build/clients/js");
const ENTRIES = ["core", "persistence", "debug", "reading"];
// Names of properties that no other bundle and no user sees: they become letters in the minified files.
const INTERNAL =
  /^(isBusy|waiting|pausedUntil|troubles|silences|due|isUnknown|outcomes|reasons|contexts|isTrouble|afterS|isSplit|added|warning|isOver|items|mostBytes|hurry|express|leave|rest|wake|take|offset|finish|refresh|mayTake|emit|hooks|stop)$/;
// Bytes after gzip -9. "kB" is 1,000 bytes.
const BUDGET = { "core.min.js": 6000, "persistence.min.js": 2000, "penstock.iife.js": 8000 };
const target = "es2022";
// The minified files are for pages: they do without what is for Node alone.
const PAGE = { "globalThis.process": "undefined" };

if (process.argv.includes("--test")) {
  rmSync("build/test", { recursive: true, force: true });
  const sources = ["src", "test"].flatMap((folder) =>
    readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".ts")).map((name) => join(folder, name)));
  await build({ entryPoints: sources, outbase: ".", outdir: "build/test", format: "esm", target, logLevel: "warning" });
} else {
  rmSync("dist", { recursive: true, force: true });
  mkdirSync(OUT, { recursive: true });
  const inputs = {};
  for (const name of ENTRIES) {
    const entryPoints = [`src/${name}/index.ts`];
    for (const [format, extension] of [["esm", "js"], ["cjs", "cjs"]]) {
      const { metafile } = await build({ entryPoints, bundle: true, format, target, metafile: true, outfile: `dist/${name}.${extension}`, logLevel: "warning" });
      inputs[name] = Object.keys(metafile.inputs);
    }
  }
  const foreign = inputs.core.filter((path) => !path.startsWith("src/core/"));
  if (foreign.length) throw new Error(`the core bundles ${foreign}`);
  await small("core.min.js", { entryPoints: ["src/core/index.ts"], format: "esm" });
  await small("persistence.min.js", { entryPoints: ["src/persistence/index.ts"], format: "esm" });
  await small("debug.min.js", { entryPoints: ["src/debug/index.ts"], format: "esm" });
  await small("reading.min.js", { entryPoints: ["src/reading/index.ts"], format: "esm" });
  await small("penstock.iife.js", {
    stdin: { contents: 'export * from "./src/core/index.js"; export * from "./src/persistence/index.js";', resolveDir: here, loader: "ts" },
    format: "iife",
    globalName: "penstock",
  });
  types();
}

async function small(file, options) {
  const { outputFiles } = await build({ ...options, bundle: true, minifySyntax: true, minifyWhitespace: true, target, mangleProps: INTERNAL, define: PAGE, write: false, logLevel: "warning" });
  const { code } = await minify(outputFiles[0].text, {
    module: options.format == "esm",
    compress: { passes: 4, ecma: 2020, conditionals: false, sequences: false, reduce_funcs: false, unsafe: true, unsafe_arrows: true, unsafe_methods: true, pure_getters: true, keep_fargs: false },
  });
  writeFileSync(join(OUT, file), code);
  const size = gzipSync(code, { level: 9 }).length;
  console.log(`${file}: ${size} bytes gzip${BUDGET[file] ? ` of ${BUDGET[file]}` : ""}`);
  if (size > BUDGET[file]) throw new Error(`${file} exceeds its budget`);
}

// One declaration file per entry and module system: a .d.ts beside a .cjs would be read as one of an ES module.
function types() {
  execFileSync("node_modules/.bin/tsc", ["--outDir", "build/types"], { stdio: "inherit" });
  const read = (name) => readFileSync(`build/types/${name}.d.ts`, "utf8");
  const core = read("core/types") + "export declare const createIntake: (options: Options) => Intake;\n";
  for (const extension of ["ts", "cts"]) {
    const from = extension == "ts" ? "./core.js" : "./core.cjs";
    writeFileSync(`dist/core.d.${extension}`, core);
    const schemas = extension == "ts" ? "./schemas.js" : "./schemas.cjs";
    for (const [name, source] of [["persistence", "persistence/index"], ["debug", "debug/index"], ["reading", "reading/index"], ["schemas", "debug/schemas"]]) {
      writeFileSync(`dist/${name}.d.${extension}`, read(source).replaceAll("../core/types.js", from).replaceAll("./schemas.js", schemas));
    }
  }
}
