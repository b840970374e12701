"""Clients of others and ours read streams, lose nothing when the worker that serves them dies, and get each event once:
from the embedded sink, and from a real Apache Kafka.

Rule: a client that is not installed skips its test with the reason.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.harness.broker import Kafka
from tests.harness.browsers import ENGINES, Browser, lacks
from tests.harness.running import ROOT, eventually
from tests.harness.streaming import OWN, Intake, Streams
from tests.kafka.fixtures import kafka_broker, kafka_node, topic

__all__ = ["kafka_broker", "kafka_node", "topic"]

NODE_MODULES = ROOT / "clients" / "js" / "node_modules"
PATH = "/v2/stream/web.page_view"
FAST = {"retry_s": 0.2, "keepalive_s": 1.0}

both = pytest.mark.parametrize("pair", ["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)], indirect=True)


class Pair(NamedTuple):
    """Both programs on one source; ``first`` is the offset of the first event."""

    intake: Intake
    streams: Streams
    first: int


@pytest.fixture
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    more: dict[str, Any] = {}
    if getattr(request, "param", "sqlite") == "kafka":
        more = on_kafka(tmp_path, request.getfixturevalue("kafka_broker"), request.getfixturevalue("topic"))
    own = {"eventstreams": OWN | FAST}
    with Intake(tmp_path, **more, **own) as intake, Streams(tmp_path, **more, **own) as streams:
        yield Pair(intake, streams, first=0 if more else 1)


def on_kafka(directory: Path, kafka: Kafka, topic: str) -> dict[str, Any]:
    """Return the settings of web.page_view on a topic of one partition, in which all events have an order."""
    admin = AdminClient({"bootstrap.servers": kafka.servers, "log_level": 0})
    for made in admin.create_topics([NewTopic(topic, 1, 1)]).values():
        made.result(60)
    declared = directory / "own.yaml"
    stream = f"{{schema_title: web/page_view, topics: [{topic}], consumers: {{eventstreams: {{enabled: true}}}}}}"
    declared.write_text(f"streams: {{web.page_view: {stream}}}")
    return {
        "streams": {"sources": [str(declared)]},
        "sink": {"kind": "kafka", "kafka": {"bootstrap.servers": kafka.servers}},
    }


def replace_worker(streams: Streams) -> None:
    """Kill the worker that serves all streams, and wait for the next."""
    (worker,) = streams.workers()
    os.kill(worker, signal.SIGKILL)
    streams.until(lambda: len(streams.workers() - {worker}) == 1)


def check(intake: Intake, streams: Streams, pages: Callable[[], list[str]]) -> None:
    """Send events before, between and after a death of the worker; the client must have each once, in order."""
    sent = [f"/{number}" for number in range(30)]
    intake.post(*sent[:10])
    eventually(lambda: pages() == sent[:10], or_show=lambda: str(pages()))
    replace_worker(streams)
    intake.post(*sent[10:20])
    eventually(lambda: pages() == sent[:20], or_show=lambda: str(pages()))
    intake.post(*sent[20:])
    eventually(lambda: pages() == sent, or_show=lambda: str(pages()))


@both
@pytest.mark.slow("a browser is started")
@pytest.mark.parametrize("engine", list(ENGINES))
def test_eventsource_of_browsers(engine: str, pair: Pair, tmp_path: Path) -> None:
    if lacking := lacks(engine):
        if os.environ.get("REQUIRE_BROWSERS"):
            pytest.fail(f"REQUIRE_BROWSERS is set, and there is no {lacking}")
        pytest.skip(f"there is no {lacking} for {engine}")
    intake, streams, _ = pair
    with ENGINES[engine](tmp_path) as browser:
        host, port = streams.address
        tab = browser.open(f"http://{host}:{port}/v2/ui")
        of_page(browser, tab, intake)
        source = f'new EventSource("{PATH}?since=earliest&on_gap=earliest")'
        listen = "s.addEventListener('message', e => window.pages.push(JSON.parse(e.data).page))"
        browser.run(tab, f"((s) => {{ window.pages = []; window.source = s; {listen}; return 1 }})({source})")

        def pages() -> list[str]:
            return [one for one in browser.run(tab, "window.pages") if one != "/page"]

        check(intake, streams, pages)
        told_a_position_without_an_event(browser, tab, intake, streams)


def of_page(browser: Browser, tab: str, intake: Intake) -> None:
    """The page that is served starts a stream and shows its events."""
    eventually(lambda: browser.run(tab, 'document.querySelectorAll("#stream option").length') > 0)
    press = 'document.getElementById("go").click()'
    browser.run(tab, f'((d) => {{ d.getElementById("stream").value = "web.page_view"; {press}; return 1 }})(document)')
    state = 'document.getElementById("state").textContent'
    eventually(lambda: "Connected" in browser.run(tab, state), or_show=lambda: browser.run(tab, state))
    intake.post("/page")
    shown = 'document.querySelectorAll("#events li").length'
    eventually(lambda: browser.run(tab, shown) == 1)
    assert "/page" in browser.run(tab, 'document.querySelector("#events pre").textContent')
    browser.run(tab, '((d) => { d.getElementById("stop").click(); return 1 })(document)')


def told_a_position_without_an_event(browser: Browser, tab: str, intake: Intake, streams: Streams) -> None:
    """An id without data moves the position that the browser sends when it returns (HTML, section 9.2.6)."""
    source = f'new EventSource("{PATH}?filter=page:/wanted")'
    listen = "s.onmessage = e => window.wanted.push(e.lastEventId); s.onopen = () => { window.opened += 1 }"
    start = f"((s) => {{ window.wanted = []; window.opened = 0; window.quiet = s; {listen}; return 1 }})({source})"
    browser.run(tab, start)
    eventually(lambda: browser.run(tab, "window.opened") == 1)
    intake.post("/other", "/other", "/other")
    passed_over = "penstock_eventstreams_filter_evaluations_total 3.0"
    streams.until(lambda: passed_over in streams.get("/metrics", is_admin=True)[1].decode())
    replace_worker(streams)
    eventually(lambda: browser.run(tab, "window.opened") >= 2)
    intake.post("/wanted")
    eventually(lambda: len(browser.run(tab, "window.wanted")) == 1)


@both
def test_the_package_eventsource(pair: Pair, tmp_path: Path) -> None:
    if not shutil.which("node") or not (NODE_MODULES / "eventsource").is_dir():
        pytest.skip("there is no Node.js with the package eventsource: make node-modules")
    intake, streams, _ = pair
    host, port = streams.address
    said = tmp_path / "said"
    program = str(ROOT / "tests" / "eventstreams" / "js_client.mjs")
    url = f"http://{host}:{port}{PATH}"
    with said.open("w") as out:
        client = subprocess.Popen(["node", program, str(NODE_MODULES), url], stdout=out, stderr=out)
    try:
        eventually(lambda: "open" in said.read_text(), or_show=said.read_text)

        def pages() -> list[str]:
            return [line.split()[1] for line in said.read_text().splitlines() if line.startswith("message ")]

        check(intake, streams, pages)
        assert '"cluster":"' in said.read_text()
    finally:
        client.kill()
        client.wait(10)


@both
def test_the_javascript_client(pair: Pair, tmp_path: Path) -> None:
    esbuild = NODE_MODULES / "esbuild"
    if not shutil.which("node") or not esbuild.is_dir():
        pytest.skip("there is no Node.js with the package esbuild: make node-modules")
    module, position, said = tmp_path / "reading.mjs", tmp_path / "position", tmp_path / "said"
    source = ROOT / "clients" / "js" / "src" / "reading" / "index.ts"
    bundle = ["node", str(esbuild / "bin" / "esbuild"), str(source), "--bundle", "--format=esm", f"--outfile={module}"]
    subprocess.run(bundle, check=True, capture_output=True, timeout=120)
    program = str(ROOT / "tests" / "eventstreams" / "js_reading.mjs")

    def pages() -> list[str]:
        return [line.split()[1] for line in said.read_text().splitlines() if line.startswith("message ")]

    intake, streams, first = pair
    host, port = streams.address
    url = f"http://{host}:{port}{PATH}?since=earliest"
    with said.open("w") as out:
        client = subprocess.Popen(["node", program, module, url, position], stdout=out, stderr=out)
    try:
        check(intake, streams, pages)
        eventually(lambda: f'"offset":{first + 30}' in position.read_text())  # Behind all of them.
    finally:
        client.kill()
        client.wait(10)
    intake.post("/later")
    with said.open("w") as out:
        again = ["node", program, str(module), f"{url}&limit=1", str(position)]
        assert subprocess.run(again, stdout=out, stderr=out, timeout=120).returncode == 0
    assert "done" in said.read_text()
    assert pages()[-1] == "/later" and len(pages()) == 1


@both
def test_httpx_sse(pair: Pair) -> None:
    httpx, httpx_sse = pytest.importorskip("httpx"), pytest.importorskip("httpx_sse")
    got: list[str] = []

    def read(base: str, is_over: threading.Event) -> None:
        """Return with the last id, as its documentation shows."""
        last_id = ""
        with httpx.Client(base_url=base, timeout=60) as client:
            while not is_over.is_set():
                try:
                    headers = {"Last-Event-ID": last_id} if last_id else {}
                    with httpx_sse.connect_sse(client, "GET", PATH + "?since=earliest", headers=headers) as source:
                        for event in source.iter_sse():
                            last_id = event.id or last_id
                            if event.event == "message" and event.data:
                                got.append(event.json()["page"])
                except httpx.TransportError:
                    is_over.wait(0.05)

    read_in_a_thread(pair.intake, pair.streams, read, got)


@both
def test_requests_sse(pair: Pair) -> None:
    requests, requests_sse = pytest.importorskip("requests"), pytest.importorskip("requests_sse")
    got: list[str] = []

    def read(base: str, is_over: threading.Event) -> None:
        with (
            contextlib.suppress(requests.RequestException),  # The server is gone: the test has ended.
            requests_sse.EventSource(f"{base}{PATH}?since=earliest", timeout=60, reconnection_time=None) as source,
        ):
            got.extend(json.loads(event.data)["page"] for event in source if event.type == "message")

    read_in_a_thread(pair.intake, pair.streams, read, got)


def read_in_a_thread(
    intake: Intake, streams: Streams, read: Callable[[str, threading.Event], None], got: list[Any]
) -> None:
    host, port = streams.address
    is_over = threading.Event()
    thread = threading.Thread(target=read, args=(f"http://{host}:{port}", is_over), daemon=True)
    thread.start()
    try:
        check(intake, streams, lambda: list(got))
    finally:
        is_over.set()
        streams.signal(signal.SIGTERM)
        streams.exit_code()
        thread.join(60)
