// Reads a stream with the package eventsource: prints each event's id and page, then goes on until it is ended.
// Usage: node js_client.mjs MODULE_FOLDER URL
import { createRequire } from "node:module";

const [, , folder, url] = process.argv;
const { EventSource } = createRequire(`${folder}/`)("eventsource");
const source = new EventSource(url);
source.onopen = () => console.log("open");
source.onmessage = (event) => console.log(`message ${JSON.parse(event.data).page} ${event.lastEventId}`);
source.addEventListener("gap", (event) => console.log(`gap ${event.data}`));
source.onerror = (event) => console.log(`error ${event.code ?? ""}`);
