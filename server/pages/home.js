"use strict";
// Everything that comes from the service is shown as text: no part of it can become markup.
const paths = {paths};
const by = (id) => document.getElementById(id);
let receiptId = null;

async function ask(path, init) {
  try {
    const answer = await fetch(path, init);
    const body = await answer.text();
    return { answer, body };
  } catch (error) {
    by("answer").textContent = `There was no answer: ${error.message}`;
    return null;
  }
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function show(found) {
  const id = found.answer.headers.get("X-Request-Id");
  const lines = [`${found.answer.status} ${found.answer.statusText}`];
  if (id) lines.push(`X-Request-Id: ${id}`);
  if (found.body) lines.push("", pretty(found.body));
  by("answer").textContent = lines.join("\n");
  return id;
}

async function post(path, keepsId) {
  const headers = { "Content-Type": "application/json" };
  const key = by("key").value.trim();
  if (key) headers["Authorization"] = `Bearer ${key}`;
  const found = await ask(path, { method: "POST", headers, body: by("event").value });
  if (!found) return;
  const id = show(found);
  if (keepsId && id) {
    receiptId = id;
    by("receipt").disabled = false;
  }
}

async function example(stream, title) {
  const found = await ask(`${paths.schemas}/${title}/latest`, { headers: { Accept: "application/json" } });
  if (!found || !found.answer.ok) {
    by("answer").textContent = found ? `${found.answer.status}: the schema ${title} cannot be read.` : "";
    return;
  }
  const schema = JSON.parse(found.body);
  const location = found.answer.headers.get("Content-Location") || `${paths.schemas}/${title}/1.0.0`;
  const given = (schema.examples || [])[0] || {};
  const meta = { ...given.meta };
  delete meta.id; // The service fills these in: each event sent has its own.
  delete meta.dt;
  if (!stream.startsWith("/") || !meta.stream) meta.stream = stream;
  by("event").value = JSON.stringify({ ...given, $schema: location.slice(paths.schemas.length), meta }, null, 2);
  by("event").scrollIntoView({ block: "nearest" });
}

function row(stream, settings) {
  const rule = ((settings.producers || {}).eventgate || {});
  const title = settings.schema_title;
  const line = document.createElement("tr");
  const cells = [stream, "", [].concat(rule.auth || "as the service's default").join(", "), ""].map((text) => {
    const cell = document.createElement("td");
    cell.textContent = text;
    line.append(cell);
    return cell;
  });
  if (title) {
    const link = document.createElement("a");
    link.href = `${paths.schemas}/${title.split("/").map(encodeURIComponent).join("/")}`;
    link.textContent = title;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Example";
    button.addEventListener("click", () => example(stream, title));
    cells[1].append(link);
    cells[3].append(button);
  }
  return line;
}

async function list() {
  const found = await ask(paths.streams, { headers: { Accept: "application/json" } });
  if (!found || !found.answer.ok) {
    by("about").textContent = "The streams cannot be read at the moment.";
    return;
  }
  const streams = Object.entries(JSON.parse(found.body));
  if (!streams.length) {
    by("about").textContent = "No stream is declared: the stream of an event may have any name.";
    return;
  }
  by("about").textContent = `${streams.length} declared. A name between slashes is a regular expression.`;
  by("streams").tBodies[0].append(...streams.slice(0, 500).map(([name, settings]) => row(name, settings)));
  by("streams").hidden = false;
  const first = streams.find(([name, settings]) => settings.schema_title && !name.startsWith("/"));
  if (first) await example(first[0], first[1].schema_title);
}

by("form").addEventListener("submit", (event) => event.preventDefault());
by("validate").addEventListener("click", () => post(paths.validate, false));
by("send").addEventListener("click", () => post(paths.events + (by("hasty").checked ? "?hasty=true" : ""), true));
by("receipt").addEventListener("click", async () => {
  const found = await ask(paths.receipts + encodeURIComponent(receiptId));
  if (found) show(found);
});
list();
