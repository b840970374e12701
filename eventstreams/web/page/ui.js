"use strict";
// A page to try streams: it lists them, opens one as an EventSource and shows the newest events.
const MOST_SHOWN = 200;
const element = (id) => document.getElementById(id);
let source = null;
let count = 0;

function say(text) {
  element("state").textContent = text;
}

function address() {
  const query = new URLSearchParams();
  for (const name of ["since", "filter", "fields"]) {
    const value = element(name).value.trim();
    if (value) query.set(name, value);
  }
  if (element("canary").checked) query.set("canary", "true");
  query.set("on_gap", "earliest"); // A browser gives up for good on any answer but 200.
  return `/v2/stream/${encodeURIComponent(element("stream").value)}?${query}`;
}

function show(summary, text, kind) {
  const item = document.createElement("li");
  const details = document.createElement("details");
  const head = document.createElement("summary");
  const body = document.createElement("pre");
  head.textContent = summary;
  body.textContent = text;
  if (kind) item.className = kind;
  details.append(head, body);
  item.append(details);
  const list = element("events");
  list.prepend(item);
  while (list.children.length > MOST_SHOWN) list.lastChild.remove();
}

function onEvent(event) {
  count += 1;
  let value;
  try {
    value = JSON.parse(event.data);
  } catch {
    value = event.data;
  }
  const meta = (value && value.meta) || {};
  show([meta.dt, meta.stream, meta.id].filter(Boolean).join(" · ") || "event", JSON.stringify(value, null, 2));
  say(`${count} events`);
}

function stop(text) {
  if (source) source.close();
  source = null;
  element("stop").disabled = true;
  say(text);
}

async function start(submitted) {
  submitted.preventDefault();
  stop("Connecting");
  const where = address();
  element("address").textContent = new URL(where, location.href).href;
  // EventSource hides why it was refused, so the question is asked once without a stream.
  const answer = await fetch(where, { method: "HEAD" });
  if (!answer.ok) {
    const refused = await fetch(`${where}&poll=true&limit=1`, { headers: { Accept: "application/json" } });
    const problem = refused.ok ? {} : await refused.json();
    say(`Refused (${answer.status}): ${problem.detail || "see the log of the server"}`);
    return;
  }
  count = 0;
  element("events").replaceChildren();
  source = new EventSource(where);
  element("stop").disabled = false;
  source.onopen = () => say(`Connected; ${count} events`);
  source.onmessage = onEvent;
  source.addEventListener("message", () => {});
  source.addEventListener("gap", (event) => show("Events are lost", event.data, "gap"));
  source.onerror = () => {
    if (source && source.readyState === EventSource.CLOSED) stop("The server has refused to go on.");
    else say(`Connecting again; ${count} events`);
  };
}

async function list() {
  const answer = await fetch("/v2/streams");
  if (!answer.ok) {
    say("The streams cannot be listed for now.");
    return;
  }
  for (const one of (await answer.json()).streams) {
    const option = document.createElement("option");
    option.value = one.stream;
    option.textContent = one.needs_credentials ? `${one.stream} (needs a key)` : one.stream;
    option.title = one.description;
    element("stream").append(option);
  }
}

element("ask").addEventListener("submit", start);
element("stop").addEventListener("click", () => stop(`Stopped; ${count} events`));
list();
