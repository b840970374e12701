// Reads a stream with penstock-client/reading, and says what it gets: node js_reading.mjs MODULE URL POSITION_FILE
import { existsSync, readFileSync, writeFileSync } from "node:fs";

const [module, url, file] = process.argv.slice(2);
const { readStream } = await import(module);
const store = {
  get: () => (existsSync(file) ? readFileSync(file, "utf8") : ""),
  set: (position) => writeFileSync(file, position),
};
for await (const event of readStream(url, { store, waitMs: 100 })) console.log(`message ${event.page}`);
console.log("done");
