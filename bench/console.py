"""Measure the page of the console in a real Chromium: how soon a row is painted, and what 50,000 events take.

Place: `python -m bench console`.
Rules:
1. ``painted`` is the time from the end of a request, when its client has the whole answer, to the first frame that
   shows its row. Events come at an even rate; clocks are those of one machine. The frame counts as shown when the
   task behind it runs. A row that is never drawn, because newer ones came in the same frame, is counted apart.
2. ``heap`` is what the page's values take after a collection, with 50,000 events that came to it, of which one in 2,500
   has a megabyte, and one of those is open. ``input`` is the time from a key press until the page handles it, while
   further events come.
3. It ends with 1 if a figure is above its bound.
Not here: what the console costs the service (switched).
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import measure
from server.console.ring import Ring
from tests.harness.browsers import Chromium, lacks
from tests.harness.console_many import Many
from tests.harness.console_page import Page
from tests.harness.console_rows import add
from tests.harness.consoled import CONSOLE, page_view
from tests.harness.served import Served

RESULTS = Path(__file__).parent / "results" / "console.json"
PER_S = 200
SECONDS = 20.0
ROWS, BATCH, LARGE = 50_000, 2_500, 1_048_576
PRESSES = 100
MOST = {"painted_p99_ms": 200.0, "heap_mb": 150.0, "input_p99_ms": 50.0}

# Notes when the row of each event is shown first: behind the frame, whose callbacks have run.
WATCH = """(() => {
  window.painted = {};
  const channel = new MessageChannel();
  let due = [];
  channel.port1.onmessage = () => {
    const now = performance.timeOrigin + performance.now();
    for (const name of due) window.painted[name] ??= now;
    due = [];
  };
  new MutationObserver((changes) => {
    for (const change of changes) for (const item of change.addedNodes) {
      const name = item.querySelector?.(".text")?.textContent;
      if (name?.startsWith("/n/")) due.push(name);
    }
    if (due.length) channel.port2.postMessage(0);
  }).observe(document.getElementById("space"), { childList: true });
  return 1;
})()"""
LISTEN = """(() => {
  window.delays = [];
  addEventListener("keydown", (event) => window.delays.push(performance.now() - event.timeStamp), { capture: true });
  return 1;
})()"""


def quantile(values: list[float], share: float) -> float:
    """Of a list that is not empty."""
    each = sorted(values)
    return each[min(len(each) - 1, int(share * len(each)))]


def send(address: tuple[str, int], count: int, ends: dict[str, float]) -> None:
    """Post events at an even rate, and note when each answer was there."""
    connection = http.client.HTTPConnection(*address, timeout=30)
    began = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, began + number / PER_S - time.monotonic()))
        body = json.dumps(page_view(f"/n/{number}")).encode()
        connection.request("POST", "/v1/events", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        ends[f"/n/{number}"] = time.time() * 1000
    connection.close()


def painted(browser: Chromium, directory: Path, seconds: float) -> dict[str, Any]:
    """The time from the end of a request to its row."""
    with Served(directory, console=CONSOLE) as service:
        host, port = service.admin_address
        page = Page(browser, f"http://{host}:{port}/console/?columns=page")
        page.show_at(1280, 900)
        page.ask(WATCH)
        ends: dict[str, float] = {}
        began = time.monotonic()
        send(service.address, int(PER_S * seconds), ends)
        took_s = time.monotonic() - began
        page.until(f"document.getElementById('counts').textContent.includes('{len(ends)} ')")
        seen: dict[str, float] = page.ask("window.painted")
        page.close()
    delays = [seen[name] - end for name, end in ends.items() if name in seen]
    return {
        "events": len(ends),
        "events_per_s": round(len(ends) / took_s, 1),
        "rows_seen": len(delays),
        "painted_p50_ms": round(statistics.median(delays), 1),
        "painted_p99_ms": round(quantile(delays, 0.99), 1),
        "painted_most_ms": round(max(delays), 1),
    }


def fill(ring: Ring) -> None:
    """Add a part of the 50,000 events, one of them with a megabyte."""
    for number in range(BATCH):
        value = {"page": "x" * LARGE} if number == 0 else {"page": f"/{number}", "meta": {"id": f"id-{number}"}}
        add(ring, value, test="many")


@contextlib.contextmanager
def coming(many: Many) -> Iterator[None]:
    """Events that go on coming."""
    over = threading.Event()

    def add_more() -> None:
        while not over.wait(0.05):
            many.add(lambda ring: [add(ring, {"page": "/more"}, test="many") for _ in range(PER_S // 20)])

    thread = threading.Thread(target=add_more)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def held(browser: Chromium, directory: Path) -> dict[str, Any]:
    """The heap of the page with 50,000 events, and the delay of key presses."""
    with Many(directory) as many:
        page = Page(browser, many.url)
        page.show_at(1280, 900)
        for batch in range(ROWS // BATCH):
            many.add(fill)
            page.until(f"document.getElementById('counts').textContent.startsWith('{(batch + 1) * BATCH} of')")
        page.ask(f"(document.getElementById('list').scrollTop = {BATCH - 1} * 36, 1)")
        page.until("document.querySelector(\".item[aria-posinset='2500']\") !== null")
        page.ask("(document.querySelector(\".item[aria-posinset='2500'] .row\").click(), 1)")
        page.until("document.querySelector('.detail pre') !== null")
        page.ask(LISTEN)
        page.ask("(document.getElementById('list').focus(), 1)")
        with coming(many):
            for number in range(PRESSES):
                page.press("j" if number % 3 else "k")
        delays: list[float] = page.ask("window.delays")
        heap_bytes = page.heap_bytes()
        drawn = page.ask("document.querySelectorAll('.item').length")
        page.close()
    return {
        "rows": ROWS,
        "heap_mb": round(heap_bytes / 1e6, 1),
        "rows_in_document": drawn,
        "presses": len(delays),
        "input_p50_ms": round(statistics.median(delays), 1),
        "input_p99_ms": round(quantile(delays, 0.99), 1),
    }


def run(arguments: list[str]) -> int:
    """Measure, print. 1 when a figure is above its bound."""
    parser = argparse.ArgumentParser(prog="python -m bench console", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"of {PER_S} events a second")
    parser.add_argument("--keep", action="store_true", help=f"write bench/results/{RESULTS.name}")
    options = parser.parse_args(arguments)
    if lacking := lacks("chromium"):
        print(f"console: {lacking} is not installed", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as name, Chromium(Path(name) / "chromium") as browser:
        for part in ("served", "many"):
            (Path(name) / part).mkdir()
        found = painted(browser, Path(name) / "served", options.seconds) | held(browser, Path(name) / "many")
    for what, value in found.items():
        print(f"{what:<20}{value:>12,}" + (f"  (bound {MOST[what]:g})" if what in MOST else ""))
    if options.keep:
        RESULTS.write_text(json.dumps({"environment": measure.environment(), **found}, indent=1) + "\n")
    return 1 if any(found[what] > most for what, most in MOST.items()) else 0
