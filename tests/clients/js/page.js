// The page of the browser tests: an intake by the options in the address, and functions for the test to call.
const { store, isFull, ...options } = JSON.parse(decodeURIComponent(location.hash.slice(1)) || "{}");
if (isFull) {
  IDBObjectStore.prototype.put = () => {
    throw new DOMException("full", "QuotaExceededError");
  };
}
window.notices = [];
window.intake = penstock.createIntake({
  url: location.origin,
  rate: false,
  batch: { intervalMs: 100 },
  // On a busy machine an answer may take seconds: a request that is only slow is not one whose outcome is unknown.
  retry: { baseMs: 100, capMs: 500, timeoutMs: 15000, settleMs: 3000, giveUpMs: 30000 },
  ...options,
  ...(store ? { store: penstock.persistence() } : {}),
});
for (const kind of ["sent", "rejected", "dropped", "retry", "warning"]) {
  window.intake.on(kind, ({ id, reason, message }) => window.notices.push([kind, id, reason ?? message]));
}
window.submit = (label, count, pad = 0) => {
  for (let i = 0; i < count; i++) {
    const meta = { id: `${label}-${i}`, pad: "x".repeat(pad) };
    window.intake.submit("app.tick.test", { $schema: "/app/tick/1.0.0", meta, count: i });
  }
  return count;
};
// The identities by which samples are drawn, as a client of this page would write them. Nothing is sent: there is no room.
window.identities = () => {
  const provide_values = ["performer_session_id", "performer_pageview_id"];
  const streams = { probe: { producers: { metrics_platform_client: { provide_values } } } };
  const probe = penstock.createIntake({ url: location.origin, streams, queue: { maxEvents: 0 } });
  let found;
  probe.on("queued", ({ event }) => (found = event.performer));
  probe.submit("probe", { $schema: "/probe/1.0.0" });
  return found;
};
window.kept = () => {
  const opening = indexedDB.open("penstock:" + location.origin, 1);
  opening.onsuccess = () => {
    const counting = opening.result.transaction("events").objectStore("events").count();
    counting.onsuccess = () => {
      window.keptCount = counting.result;
      opening.result.close();
    };
  };
  return window.keptCount ?? -1;
};
window.addEventListener("pageshow", (event) => (window.isRestored = event.persisted));
window.isReady = true;
