"""Canaries through the real service and the embedded sink: each stage's fault is named, and deadlines hold."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from tests.harness.running import ROOT
from tests.harness.served import Served
from tests.harness.site import Behaviour, Site, body, status
from tests.process.scraped import Scrape, ask_admin

ALARMS = "penstock.expectation_alarm"
STREAMS = ("web.page_view", "shop.order", "penstock.client_report", ALARMS, "penstock.error.validation")


def canary(settings: Path, action: str, *arguments: str, target: str = "") -> tuple[int, list[dict[str, Any]]]:
    """Run ``penstock canary ACTION --json``. Returns the exit code and the lines."""
    targets = ["--set", f"canary.targets.here={target}"] if target else []
    done = subprocess.run(
        [sys.executable, "-m", "server", "canary", action, "-c", str(settings), "--json", *targets, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=120,
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done.returncode, json.loads(done.stdout)


def url_of(address: tuple[str, int]) -> str:
    return f"http://{address[0]}:{address[1]}"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("canaries"), workers=1) as served:
        yield served


def test_every_canary_comes_back_with_its_own_identity(service: Served) -> None:
    code, lines = canary(service.settings_file, "once", target=url_of(service.address))

    assert [(line["stream"], line["target"], line["ok"], line["stage"]) for line in lines] == [
        (stream, "here", True, "done") for stream in STREAMS
    ]
    assert code == 0
    assert all(line["roundtrip_ms"] > 0 for line in lines)
    stored = service.events("web.page_view")[-1]["value"]
    assert stored["meta"]["domain"] == "canary"
    assert stored["$schema"] == "/web/page_view/1.1.0"


def test_canaries_are_counted_apart_from_events(tmp_path: Path) -> None:
    stream = "shop.order"
    with Served(tmp_path, workers=1) as service:  # Its own: counters are copied some time after an event.

        def counts() -> tuple[float, float]:
            scrape = Scrape.of(service)
            names = ("penstock_events_accepted_total", "penstock_events_canaries_total")
            accepted, canaries = (scrape.value(name, stream=stream) for name in names)
            return accepted, canaries

        assert canary(service.settings_file, "once", "--stream", stream, target=url_of(service.address))[0] == 0
        service.until(lambda: counts() == (1, 1))
        order = {"$schema": "/shop/order/1.0.0", "meta": {"stream": stream}, "order_id": "A-1", "total": 1}
        with closing(http.client.HTTPConnection(*service.address, timeout=60)) as connection:
            connection.request("POST", "/v1/events", json.dumps(order))
            assert connection.getresponse().status == 201
        service.until(lambda: counts() == (2, 1))


def test_an_intake_that_is_down_is_a_fault_of_http(service: Served) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # It does not listen.
        code, lines = canary(service.settings_file, "once", target=url_of(unused.getsockname()))

    assert (code, {line["stage"] for line in lines}) == (1, {"http"})


def test_an_event_that_was_answered_201_and_is_nowhere_is_a_fault_of_the_sink(service: Served) -> None:
    with Site() as site:
        site.otherwise = body("", status=201)
        short = ("--set", "canary.roundtrip_s=1", "--set", "canary.request_s=1")
        code, lines = canary(service.settings_file, "once", "--stream", "shop.order", *short, target=site.url())

    assert (code, [line["stage"] for line in lines]) == (1, ["sqlite"])
    assert "answered 201, but the event is not in the topic" in lines[0]["detail"]


def test_a_target_that_swallows_everything_ends_by_the_deadline_of_the_run(service: Served) -> None:
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen()
        times = ("--set", "canary.request_s=2", "--set", "canary.roundtrip_s=2", "--set", "canary.run_s=6")
        one = ("--set", "canary.concurrency=1")
        code, lines = canary(service.settings_file, "once", *times, *one, target=url_of(hole.getsockname()))

    assert (code, {line["stage"] for line in lines}) == (1, {"http"})
    assert "no complete answer within 2 s" in lines[0]["detail"]
    assert "not sent before the deadline of the run" in lines[-1]["detail"]


def relay(services: list[Served]) -> Behaviour:
    """Pass a request on to the first of the services, and its answer back."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        with closing(http.client.HTTPConnection(*services[0].address, timeout=60)) as connection:
            connection.request(handler.command, handler.path, getattr(handler, "sent", b""), dict(handler.headers))
            with connection.getresponse() as response:
                body(response.read(), status=response.status)(handler)

    return answer


def often(site: Site, **more: Any) -> dict[str, Any]:
    """Settings of canaries that are sent all the time, by way of the site."""
    times = {"period_s": 2.0, "run_s": 2.0, "roundtrip_s": 2.0, "request_s": 2.0}
    return {"enabled": True, "targets": {"here": site.url()}, **times, **more}


def failing(scrape: Scrape, stage: str) -> bool:
    labels = {"target": "here", "stage": stage}
    return all(
        scrape.samples.get(("penstock_canary_failing", frozenset({"stream": stream, **labels}.items()))) == 1
        for stream in STREAMS
    )


def test_the_canary_process_says_what_is_expected_how_old_it_is_and_which_stage_fails(tmp_path: Path) -> None:
    with Site() as site:
        services: list[Served] = []
        site.otherwise = relay(services)
        site.says("/ping", status(200))
        settings = often(site, ping_url=site.url("/ping"))
        with Served(tmp_path, workers=1, canary=settings) as service:
            scrape = Scrape.of(service)
            assert [scrape.value("penstock_canary_expected", stream=one, target="here") for one in STREAMS] == [
                1
            ] * len(STREAMS)
            services.append(service)
            service.until(lambda: "/ping" in site.paths())
            code, lines = canary(service.settings_file, "status")
            assert [(line["stream"], line["condition"]) for line in lines] == [(one, "ok") for one in STREAMS]
            assert code == 0

            site.says("/v1/events", status(500))
            service.until(lambda: failing(Scrape.of(service), "http"))
            pings = site.paths().count("/ping")
            code, lines = canary(service.settings_file, "status")
            assert (code, {line["stage"] for line in lines}) == (1, {"http"})
            said = json.loads(ask_admin(service, "/canaries")[2])
            assert {one["condition"] for one in said["canaries"]} == {"failing"}
            assert said["runs"] > 1 and said["period_s"] == 2.0
            kind, page = ask_admin(service, "/canaries", accept="text/html")[1:]
            assert kind.startswith("text/html") and "failing at http: 500" in page and "web.page_view" in page
            assert "canaries" in ask_admin(service, "/")[2]
            scrape = Scrape.of(service)
            assert scrape.value("penstock_canary_age_seconds", stream="shop.order", target="here", owner="") > 0
            assert site.paths().count("/ping") == pings  # The checker is told of good runs alone.

            del site.behaviours["/v1/events"]
            service.until(lambda: site.paths().count("/ping") > pings)
            service.signal(signal.SIGTERM)
            assert service.exit_code() == 0


def test_of_two_services_one_sends_and_the_other_takes_over(tmp_path: Path) -> None:
    with Site() as site:
        services: list[Served] = []
        site.otherwise = relay(services)
        settings = often(site, path=str(tmp_path / "canaries"))
        directories = [tmp_path / "one", tmp_path / "two"]
        for directory in directories:
            directory.mkdir()
        with Served(directories[0], workers=1, canary=settings) as first:
            services.append(first)
            first.says("this process sends canaries")
            with Served(directories[1], workers=1, canary=settings) as second:
                second.until(lambda: first_success(second) > 0)  # It shows what the leader has found.
                assert "this process sends canaries" not in second.log()
                services.insert(0, second)
                first.signal(signal.SIGKILL)
                second.says("this process sends canaries")
                before = runs(second)
                second.until(lambda: runs(second) > before)


def first_success(service: Served) -> float:
    return Scrape.of(service).sum("penstock_canary_last_success_timestamp_seconds", stream="shop.order")


def runs(service: Served) -> int:
    return int(json.loads(ask_admin(service, "/canaries")[2])["runs"])


def test_a_process_that_is_stuck_or_has_no_lock_is_seen_by_its_heartbeat(tmp_path: Path) -> None:
    with Site() as site, Served(tmp_path, workers=1, canary=often(site)) as service:
        lock = tmp_path / "var" / "canary" / "leader.lock"
        service.until(lambda: runs(service) > 0)
        lock.unlink()
        with lock.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            period_s = Scrape.of(service).value("penstock_canary_period_seconds")
            service.until(lambda: Scrape.of(service).value("penstock_canary_heartbeat_age_seconds") > 3 * period_s)
        before = runs(service)
        service.until(lambda: runs(service) > before)


def test_a_gate_does_not_pass_because_nothing_was_checked(tmp_path: Path) -> None:
    (tmp_path / "streams.yaml").write_text(
        "streams: {shop.order: {schema_title: shop/order, canary_events_enabled: false}}"
    )
    served = Served.__new__(Served)
    served.settings_file = tmp_path / "penstock.yaml"
    served.write(streams={"sources": ["streams.yaml"]})

    assert canary(served.settings_file, "once", target="http://127.0.0.1:9") == (1, [])
    assert canary(served.settings_file, "status") == (1, [])
