// One event in full: why it was refused, what came, what is stored, and how to send it again.
import { get } from "./api.js";
import { button, element, terms } from "./dom.js";
import { jsonView } from "./json.js";
import * as snippets from "./snippets.js";

export async function showDetail(row, into, page) {
  into.append(element("p", {}, "Loading"));
  let found;
  try {
    found = await get(`events/${row.summary.seq}`);
  } catch (error) {
    into.replaceChildren(element("p", { class: "bad" }, error.message));
    return;
  }
  if (page.list.detail !== into) return; // Another row was opened meanwhile.
  into.replaceChildren(...parts(found, page));
}

function* parts(found, page) {
  const { summary, error } = found;
  yield element("div", { class: "buttons" }, ...copies(found, page));
  if (error) yield explanation(error, page);
  else if (summary.verdict === "refused") yield element("p", { class: "hint" }, summary.text);
  const marked = error ? error.problems.map((problem) => problem.path) : [];
  const isEvent = found.stored !== undefined;
  if (isEvent) {
    yield element("h3", {}, error ? "The event" : "The event as it is stored");
    yield jsonView(found.stored, marked);
    if (found.warnings?.length) {
      yield element("ul", { class: "warn", "aria-label": "Warnings" }, ...found.warnings.map((text) => element("li", {}, text)));
    }
    if (found.is_cut) yield element("p", { class: "warn" }, "The console holds only the beginning of this event.");
    if (found.differences?.length) yield differences(found.differences);
  }
  if (!isEvent || found.received !== found.stored) {
    yield element("details", { open: !isEvent },
      element("summary", {}, isEvent ? "As it was received" : "Body as it was received"), jsonView(found.received, marked));
  }
  if (found.answer) yield element("details", {}, element("summary", {}, "The answer"), jsonView(found.answer));
  yield element("h3", {}, "What happened to it");
  yield terms([
    ["Verdict", summary.verdict],
    ["Answer", summary.status ? `${summary.status} ${found.request.phrase}` : "later than the answer"],
    ["Answered after", summary.ms === undefined ? "" : `${summary.ms} ms${summary.hasty ? ", without waiting for the outcome" : ""}`],
    ["Stream", summary.stream],
    ["Schema", schemaLink(summary.schema, page)],
    ["Topic", found.topic],
    ["Partition and offset", found.outcome?.offset === undefined ? "" : `${found.outcome.partition}, ${found.outcome.offset}`],
    ["Outcome after", outcome(found)],
    ["Key", found.key],
    ["Event ID", summary.id],
    ["Event", summary.count ? `${summary.index + 1} of ${summary.count} in its request` : ""],
    ["Request", summary.method ? `${summary.method} ${summary.path}${found.request.query ? `?${found.request.query}` : ""}` : ""],
    ["Request ID", summary.request],
    ["Receipt", summary.request && isEvent ? link(`/v1/receipts/${encodeURIComponent(summary.request)}`, "open the receipt", page) : ""],
    ["Test session", summary.test],
    ["Client", found.request.peer],
    ["Worker", summary.worker],
  ]);
  const headers = Object.entries(found.request.headers);
  if (headers.length) yield element("details", {}, element("summary", {}, "Headers of the request"), terms(headers));
}

// A link to the public address of the service, whose parts are quoted by the caller.
function link(path, text, page) {
  if (!page.info.listens[0]) return "";
  return element("a", { href: `http://${page.info.listens[0]}${path}`, target: "_blank", rel: "noreferrer" }, text);
}

function schemaLink(uri, page) {
  if (!/^(\/[\w.-]+)+$/.test(uri ?? "")) return uri;
  return link(`/v1/schemas${uri}`, uri, page) || uri;
}

function outcome({ summary, outcome: found }) {
  if (summary.dry) return "not sent: its test session is dry";
  if (found?.ack_ms === undefined) return summary.hasty && summary.verdict === "accepted" ? "not known when this was opened" : "";
  return `${found.ack_ms} ms, ${summary.verdict === "spooled" ? "on this host's disk" : "stored"}`;
}

function explanation(error, page) {
  const box = element("div", {}, element("h3", {}, `Why: ${error.type}`));
  if (error.hint) box.append(element("p", { class: "hint" }, error.hint));
  if (error.expected_title) box.append(element("p", {}, `The stream takes events of the title ${error.expected_title}.`));
  for (const [what, name] of Object.entries(error.nearest)) {
    box.append(element("p", { class: "hint" }, `Did you mean the ${what} ${name}?`));
  }
  for (const problem of error.problems) {
    const part = element("div", { class: "problem" });
    part.append(element("p", { class: "mono" }, `${problem.path.join(".") || "the event"}: ${problem.message}`));
    if (problem.hint) part.append(element("p", { class: "hint" }, problem.hint));
    if (problem.fragment !== null) {
      part.append(element("details", {}, element("summary", {}, `The schema at ${problem.schema_path}`),
        jsonView(typeof problem.fragment === "string" ? problem.fragment : JSON.stringify(problem.fragment))));
    }
    box.append(part);
  }
  if (!error.problems.length && error.text) box.append(element("p", { class: "mono" }, error.text));
  if (error.versions.length) {
    const list = element("ul");
    for (const version of error.versions) {
      list.append(element("li", {}, schemaLink(version.uri, page), version.takes ? " would take this event" : ` would not: ${version.text}`));
    }
    box.append(element("details", { open: error.versions.some((version) => version.takes) },
      element("summary", {}, "Other versions of the schema"), list));
  }
  return box;
}

function differences(found) {
  const rows = found.map((one) => element("tr", {},
    element("td", {}, one.kind),
    element("td", { class: "mono" }, one.path || "the event"),
    element("td", { class: "mono" }, one.before === undefined ? "" : JSON.stringify(one.before)),
    element("td", { class: "mono" }, one.after === undefined ? "" : JSON.stringify(one.after))));
  const heads = ["", "Field", "Received", "Stored"].map((text) => element("th", { scope: "col" }, text || "Change"));
  return element("details", { open: found.length <= 12 }, element("summary", {}, `${found.length} changes between the event received and the event stored`),
    element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows)));
}

function copies(found, page) {
  const { summary } = found;
  const address = page.info.listens[0] || "127.0.0.1:8192";
  const path = summary.path && summary.method === "POST" ? summary.path : "/v1/events";
  const text = found.received || found.stored || "";
  const all = [
    ["Copy JSON", () => found.stored ?? found.received],
    ["Copy curl", () => snippets.curl(address, path, text)],
    ["Copy Python", () => snippets.python(address, path, text)],
    ["Copy JavaScript", () => snippets.javascript(address, path, text)],
    ["Copy test", () => snippets.test(summary, text || "{}")],
  ];
  const made = all.map(([name, textOf]) => button(name, (event) => copy(event.currentTarget, textOf())));
  made.push(button("Edit and validate", () => page.tryEvent(text)));
  if (summary.request) made.push(button("Only this request", () => page.filterBy(`request:${JSON.stringify(summary.request)}`)));
  return made;
}

async function copy(pressed, text) {
  const before = pressed.textContent;
  try {
    await navigator.clipboard.writeText(text);
    pressed.textContent = "Copied";
  } catch {
    pressed.textContent = "The browser did not allow it";
  }
  setTimeout(() => { pressed.textContent = before; }, 1500);
}
