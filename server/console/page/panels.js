// The strip of rates, the catalog, the form to try an event, and the list of facts.
import { get, post } from "./api.js";
import { $, button, counted, element } from "./dom.js";
import { jsonView } from "./json.js";

const SVG = "http://www.w3.org/2000/svg";

function sparkline(numbers, name) {
  const most = Math.max(1, ...numbers);
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 120 20");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `events of ${name} in the last minute`);
  const line = document.createElementNS(SVG, "polyline");
  line.setAttribute("points", numbers.map((number, at) => `${(at * 120) / (numbers.length - 1)},${19 - (number * 18) / most}`).join(" "));
  svg.append(line);
  return svg;
}

function age(seconds) {
  return seconds < 60 ? `${seconds} s ago` : seconds < 3600 ? `${Math.floor(seconds / 60)} min ago` : `${Math.floor(seconds / 3600)} h ago`;
}

export function showRates(facts, page) {
  if (!$("strip").open) return;
  const heads = ["Stream", "Last minute", "A second", "Events", "Not accepted", "Last"].map((text) => element("th", { scope: "col" }, text));
  const rows = Object.entries(facts.streams).map(([name, rate]) => element("tr", {},
    element("td", {}, name.startsWith("(") ? name : button(name, () => page.filterBy(`stream:${JSON.stringify(name)}`))),
    element("td", {}, sparkline(rate.line, name)),
    element("td", {}, rate.per_s),
    element("td", {}, rate.total),
    element("td", { class: rate.bad ? "bad" : "" }, rate.bad ? `${rate.bad} (${Math.round((100 * rate.bad) / rate.total)} %)` : "0"),
    element("td", {}, age(rate.age_s))));
  $("rates").replaceChildren(
    element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows)),
    element("p", {}, `${counted(facts.workers, "worker")}, ${counted(facts.viewers, "reader")}, ${counted(facts.remembered, "event")} remembered`),
    ...Object.entries(facts.skipped).map(([reason, count]) => element("p", { class: "warn" }, `${count} requests are not shown: ${reason}`)),
  );
}

export async function showCatalog(page) {
  const { streams } = await get("catalog");
  $("streams").replaceChildren(...streams.map((stream) => element("details", {},
    element("summary", {}, `${stream.stream}: ${stream.title ?? "any schema"}`),
    element("p", {}, `Topic ${stream.topic}; validation: ${stream.validation}; versions: ${stream.versions.join(", ") || "none"}`),
    ...stream.examples.flatMap((example) => [
      jsonView(JSON.stringify(complete(example, stream))),
      button("Try this example", () => page.tryEvent(JSON.stringify(complete(example, stream), null, 2))),
    ]),
    button("Show its events", () => page.filterBy(`stream:${JSON.stringify(stream.stream)}`)))));
  const select = $("try-stream");
  select.replaceChildren(element("option", { value: "" }, "a stream"));
  streams.forEach((stream, at) => select.append(element("option", { value: at }, stream.stream)));
  select.onchange = () => {
    const stream = streams[select.value];
    if (stream) $("try-body").value = JSON.stringify(complete(stream.examples[0] ?? {}, stream), null, 2);
  };
}

// The paths of all schemas, to be chosen as columns: the last path behind a comma is completed.
export async function offerPaths() {
  const { streams } = await get("catalog");
  const paths = [...new Set(streams.flatMap((stream) => stream.paths))].sort();
  const offer = () => {
    const before = $("columns").value.replace(/[^,]*$/, "");
    $("paths").replaceChildren(...paths.map((path) => element("option", { value: `${before}${before ? " " : ""}${path}` })));
  };
  $("columns").addEventListener("input", offer);
  offer();
}

export async function showCoverage(page) {
  const session = $("coverage-session").value;
  const found = await get("coverage", { session });
  const choices = ["", ...found.sessions.reverse()];
  $("coverage-session").replaceChildren(...choices.map((name) => element("option", { value: name }, name || "all test sessions")));
  $("coverage-session").value = choices.includes(session) ? session : "";
  $("coverage-session").onchange = () => showCoverage(page);
  $("coverage-found").replaceChildren(
    ...(found.schemas.length ? found.schemas.map(schemaCoverage) : [element("p", {}, "No event of a test session has been accepted yet.")]),
    neverSeen("Streams without an event", found.streams_never_seen),
  );
}

function schemaCoverage(one) {
  const share = one.fields ? Math.round((100 * one.seen) / one.fields) : 100;
  return element("details", { open: true },
    element("summary", {}, `${one.schema}: ${one.seen} of ${one.fields} fields (${share} %), ${one.branches - one.branches_never_taken.length} of ${one.branches} branches`),
    neverSeen("Fields that no event had", one.never_seen),
    neverSeen("Values that no event had", Object.entries(one.values_never_seen).map(([path, values]) => `${path}: ${values.join(", ")}`)),
    neverSeen("Branches that no event took", one.branches_never_taken));
}

function neverSeen(title, names) {
  if (!names.length) return "";
  return element("div", {}, element("h3", {}, title), element("ul", {}, ...names.map((name) => element("li", { class: "mono" }, name))));
}

// The example with the schema and the stream that the service asks for.
function complete(example, stream) {
  const made = { $schema: stream.versions.at(-1) ?? "", ...example };
  made.meta = { ...example.meta, stream: stream.stream };
  return made;
}

export function startTry(page) {
  const run = async (send) => {
    $("try-answer").replaceChildren(element("p", {}, send ? "Sending" : "Validating"));
    try {
      const answer = await post("try", { body: $("try-body").value, send });
      $("try-answer").replaceChildren(
        element("h3", {}, send ? "Answer" : "Verdict"),
        element("p", { class: "hint" }, `${answer.status} ${answer.phrase}`),
        ...verdicts(answer),
        answer.body ? jsonView(answer.body) : "",
      );
    } catch (error) {
      $("try-answer").replaceChildren(element("p", { class: "bad" }, error.message));
    }
  };
  $("try-form").addEventListener("submit", (event) => {
    event.preventDefault();
    run(false);
  });
  $("try-send").addEventListener("click", () => {
    if ($("try-form").reportValidity()) run(true);
  });
  $("try-send").hidden = page.info.mode !== "development";
}

function verdicts(answer) {
  let events = [];
  try {
    events = JSON.parse(answer.body).events ?? [];
  } catch { /* The answer has no list of events. */ }
  return events.map((event) => element("p", { class: event.status === "valid" ? "good" : "bad" },
    `Event ${event.index + 1}: ${event.status}${event.context ? `: ${event.context.errorsText ?? event.context.message}` : ""}`));
}

export function showFacts(facts) {
  $("facts").replaceChildren(...facts.map((fact) => element("tr", {},
    element("td", { class: "mono" }, fact.name),
    element("td", {}, fact.words.length ? fact.words.join(", ") : fact.kind),
    element("td", {}, fact.meaning))));
}
