// The page: it connects, keeps rows, and joins the other modules.
import { Refused, get, post, streamOf } from "./api.js";
import { showDetail } from "./detail.js";
import { $, counted, element } from "./dom.js";
import { List } from "./list.js";
import { offerPaths, showCatalog, showCoverage, showFacts, showRates, startTry } from "./panels.js";

const LIMIT = 50000;
const RETRY_MS = 1000;
const SAVED = "penstock-filters";
const MARKS = {
  accepted: ["✓", "good"], observed: ["◐", "warn"], spooled: ["⧖", "warn"], invalid: ["✗", "bad"],
  error: ["!", "bad"], refused: ["⊘", "bad"], dropped: ["▼", "bad"], other: ["·", ""],
};
const VIEWS = ["events", "catalog", "coverage", "try", "help"];

const page = {
  info: null,
  list: null,
  source: null,
  lastId: "",
  order: 0,
  isPaused: false,
  waiting: [],
  counts: { seen: 0, matched: 0 },
  skipped: 0,

  filterBy(text) {
    $("where").value = text;
    show("events");
    apply();
  },

  tryEvent(text) {
    try {
      $("try-body").value = JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      $("try-body").value = text;
    }
    $("try-answer").replaceChildren();
    show("try");
    $("try-body").focus();
  },
};

function show(view) {
  for (const one of VIEWS) {
    $(one).hidden = one !== view;
    $(`show-${one}`).setAttribute("aria-pressed", one === view);
  }
  if (view === "catalog" || view === "try") showCatalog(page).catch((error) => notice(error.message));
  if (view === "coverage") showCoverage(page).catch((error) => notice(error.message));
  if (view === "events") page.list.due();
}

function drawRow(row) {
  if (!row.summary) return element("div", { class: "gap" }, row.gap);
  const { summary } = row;
  const [mark, kind] = MARKS[summary.verdict] ?? ["?", ""];
  const subject = summary.stream ?? `${summary.method ?? ""} ${summary.path ?? "a request that could not be read"}`;
  const columns = summary.columns?.map((values) => values.map((value) => (typeof value === "string" ? value : JSON.stringify(value))).join(" ")).join(" · ");
  const text = columns ?? summary.text ?? summary.id ?? "";
  return element("button", { type: "button", class: "row", on: { click: () => page.list.toggle(row) } },
    element("span", { class: "time mono" }, summary.at.slice(11, 23)),
    element("span", { class: kind }, `${mark} ${summary.verdict}`),
    element("span", { class: "mono" }, summary.status ?? ""),
    element("span", { class: "subject" }, subject),
    element("span", { class: "text" }, text),
    element("span", { class: "extra" }, [summary.test, summary.ms !== undefined && `${summary.ms} ms`].filter(Boolean).join(" ")));
}

function gapText(count, reason) {
  return count === null ? `Gap: ${reason}` : `Gap: ${count.toLocaleString("en")} requests are not shown (${reason})`;
}

function take(message) {
  const rows = [];
  if (message.missed) rows.push({ order: page.order++, gap: gapText(message.missed.lost, message.missed.reason) });
  for (const summary of message.rows) {
    if (summary.gap) rows.push({ order: page.order++, gap: gapText(summary.gap, "more than the console may copy or keep") });
    rows.push({ order: page.order++, summary });
  }
  page.counts = { seen: message.seen, matched: message.matched };
  if (page.isPaused) {
    page.waiting.push(...rows);
    if (page.waiting.length > LIMIT) page.waiting.splice(0, page.waiting.length - LIMIT);
  } else if (rows.length) {
    page.list.add(rows);
  }
  showCounts();
}

function showCounts() {
  const { seen, matched } = page.counts;
  const where = $("where").dataset.applied;
  const parts = [where || !$("canaries").checked ? `${matched} of ${seen} events match` : `${seen} events`];
  if (page.skipped) parts.push(`${page.skipped} requests were not copied`);
  if (page.isPaused) parts.push(`paused: ${page.waiting.length} new`);
  $("counts").textContent = parts.join("; ");
  const isEmpty = page.list.rows.length === 0;
  $("empty").textContent = !isEmpty ? "" : seen ? "No event matches the filter." : "No event has come yet. Send one, or use Try it.";
}

function query() {
  const where = $("where").value.trim();
  const own = $("canaries").checked ? "" : "-canary:true";
  const both = where && own ? `(${where}) ${own}` : where || own;
  return { where: both, columns: $("columns").value.trim() };
}

async function apply() {
  const wanted = query();
  $("filter-fault").textContent = "";
  try {
    await get("filter", wanted);
  } catch (error) {
    const at = error.problem?.filter?.at;
    const shift = wanted.where.startsWith("(") && !$("where").value.trim().startsWith("(") ? 1 : 0;
    $("filter-fault").textContent = error.message;
    if (at !== undefined) {
      $("where").focus();
      $("where").setSelectionRange(Math.max(0, at - shift), $("where").value.length);
    }
    return;
  }
  $("where").dataset.applied = $("where").value.trim();
  const url = new URLSearchParams();
  if ($("where").value.trim()) url.set("where", $("where").value.trim());
  if (wanted.columns) url.set("columns", wanted.columns);
  if ($("canaries").checked) url.set("canaries", "1");
  history.replaceState(null, "", `${location.pathname}${url.size ? `?${url}` : ""}`);
  page.lastId = "";
  page.waiting = [];
  page.list.clear();
  connect(wanted);
}

function connect(wanted, after = "") {
  page.source?.close();
  const source = streamOf(after ? { ...wanted, after } : wanted);
  page.source = source;
  source.addEventListener("open", () => { $("link").textContent = "Connected"; });
  source.addEventListener("error", () => {
    $("link").textContent = "Disconnected: trying again";
    // After an answer that is no stream, the browser itself does not try again.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => reconnect(source, wanted), RETRY_MS);
  });
  source.addEventListener("rows", (event) => {
    page.lastId = event.lastEventId;
    take(JSON.parse(event.data));
  });
  source.addEventListener("changes", (event) => {
    const { rows, others } = JSON.parse(event.data);
    for (const row of page.waiting) {
      row.summary = [...rows, ...others].find((one) => one.seq === row.summary?.seq) ?? row.summary;
    }
    page.list.change(others);
    const late = page.list.change(rows).filter((one) => !page.waiting.some((row) => row.summary?.seq === one.seq));
    if (late.length) page.list.add(late.map((summary) => ({ order: page.order++, summary })));
  });
  source.addEventListener("facts", (event) => {
    const facts = JSON.parse(event.data);
    page.counts = { seen: facts.seen, matched: facts.matched };
    page.skipped = Object.values(facts.skipped).reduce((sum, count) => sum + count, 0);
    $("link").textContent = `Connected: ${counted(facts.workers, "worker")}`;
    showNotices(facts.notices);
    showRates(facts, page);
    showCounts();
  });
}

async function reconnect(source, wanted) {
  if (page.source !== source) return;
  try {
    const { viewers, max_viewers } = await get("info");
    if (viewers >= max_viewers) $("link").textContent = `Disconnected: ${max_viewers} readers look at the console already. Trying again`;
  } catch (error) {
    $("link").textContent = `Disconnected: ${error.message}. Trying again`;
  }
  if (page.source === source) connect(wanted, page.lastId);
}

function showNotices(notices) {
  $("notices").hidden = notices.length === 0;
  $("notices").replaceChildren(...notices.map((one) => element("pre", { class: one.is_error ? "bad" : "" }, one.text)));
}

function notice(text) {
  showNotices([{ text, is_error: true }]);
}

function pause() {
  page.isPaused = !page.isPaused;
  $("pause").setAttribute("aria-pressed", page.isPaused);
  $("pause").textContent = page.isPaused ? "Go on" : "Pause";
  if (!page.isPaused) {
    page.list.add(page.waiting);
    page.waiting = [];
  }
  showCounts();
}

function savedFilters() {
  try {
    const saved = JSON.parse(localStorage.getItem(SAVED) ?? "[]");
    return Array.isArray(saved) ? saved.filter((one) => typeof one === "string").slice(0, 50) : [];
  } catch {
    return [];
  }
}

function offerFilters() {
  const given = ["verdict:(invalid, refused)", "verdict:invalid", "status>=400", "hasty:true", "has:test"];
  $("filters").replaceChildren(...[...new Set([...savedFilters(), ...given])].map((value) => element("option", { value })));
}

function save() {
  const text = $("where").value.trim();
  if (!text) return;
  localStorage.setItem(SAVED, JSON.stringify([text, ...savedFilters().filter((one) => one !== text)].slice(0, 50)));
  offerFilters();
}

const KEYS = {
  j: () => page.list.step(1),
  k: () => page.list.step(-1),
  p: pause,
  "/": () => $("where").focus(),
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const isTyping = event.target.closest("input, textarea, select");
  if (event.key === "Escape") {
    if (isTyping) event.target.blur();
    else page.list.close();
  } else if (event.key === "Enter" && event.target === page.list.frame && page.list.chosen) {
    page.list.toggle(page.list.chosen);
  } else if (!isTyping && KEYS[event.key] && !$("events").hidden) {
    event.preventDefault();
    KEYS[event.key]();
  }
}

async function begin() {
  try {
    page.info = await get("info");
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 401) throw error;
    $("login").hidden = false;
    $("events").hidden = true;
    $("token").focus();
    return;
  }
  $("login").hidden = true;
  $("events").hidden = false;
  $("service").textContent = page.info.service === "penstock" ? "" : page.info.service;
  const isOpen = page.info.mode === "development";
  $("mode").textContent = isOpen ? "Development: everything is shown"
    : `Production: read only, at most ${page.info.max_per_s} events a second of each worker, masked: ${page.info.mask.join(", ")} and addresses`;
  showFacts(page.info.facts);
  startTry(page);
  offerFilters();
  offerPaths().catch((error) => notice(error.message));
  await apply();
}

function start() {
  const url = new URLSearchParams(location.search);
  $("where").value = url.get("where") ?? "";
  $("columns").value = url.get("columns") ?? "";
  $("canaries").checked = url.get("canaries") === "1";
  page.list = new List($("list"), $("space"), { draw: drawRow, open: (row, into) => showDetail(row, into, page), limit: LIMIT });
  for (const view of VIEWS) $(`show-${view}`).addEventListener("click", () => show(view));
  $("filter-form").addEventListener("submit", (event) => {
    event.preventDefault();
    apply();
  });
  $("canaries").addEventListener("change", apply);
  $("pause").addEventListener("click", pause);
  $("clear").addEventListener("click", () => {
    page.list.clear();
    showCounts();
  });
  $("save").addEventListener("click", save);
  $("login-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await post("login", { token: $("token").value });
      await begin();
    } catch (error) {
      $("login-fault").textContent = error.message;
    }
  });
  document.addEventListener("keydown", onKey);
  begin().catch((error) => notice(`The console cannot be reached: ${error.message}`));
}

start();
