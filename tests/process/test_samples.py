"""The sampling process of a real service: what it reports, and that its faults are its own."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import signal
from contextlib import closing
from pathlib import Path
from typing import Any

from server.plausibility.sampling.files import LEARNED, REPORT, read_report
from server.plausibility.sampling.sample import StreamReport
from tests.harness.served import Served
from tests.process.scraped import Scrape, ask_admin
from tests.process.test_plausibility import known

STREAM = "shop.order"
SETTINGS: dict[str, Any] = {"enabled": True, "path": "learned", "samples": {"enabled": True, "period_s": 0.2}}


def post(service: Served, identity: str, count: int = 1) -> None:
    event = {
        "$schema": "/shop/order/1.0.0",
        "meta": {"stream": STREAM, "id": identity},
        "order_id": "A-1",
        "total": 1,
    }
    with closing(http.client.HTTPConnection(*service.address, timeout=60)) as connection:
        connection.request("POST", "/v1/events", json.dumps([event] * count))
        assert connection.getresponse().status == 201


def identity(number: int) -> str:
    return f"01890000-0000-7000-8000-{number:012d}"


def latest(directory: Path) -> StreamReport:
    report = read_report(directory / "learned")
    return report.streams.get(STREAM, StreamReport()) if report is not None else StreamReport()


def sampler(service: Served) -> int:
    said = json.loads(ask_admin(service, "/status")[2])
    return next((int(one["pid"]) for one in said["companions"] if one["name"] == "samples"), 0)


def streams(directory: Path, **more: Any) -> dict[str, Any]:
    """Streams of which one watches all fields of its schema."""
    declared = {STREAM: {"schema_title": "shop/order", "alarms": {"fields": True}} | more}
    (directory / "streams.yaml").write_text(json.dumps({"streams": declared}))
    return {"sources": ["streams.yaml"]}


def test_samples_are_taken_where_events_are_stored_and_outlive_a_killed_process(tmp_path: Path) -> None:
    with Served(tmp_path, workers=1, plausibility=SETTINGS, streams=streams(tmp_path)) as service:
        post(service, identity(1), 5)
        service.until(lambda: latest(tmp_path).newest)
        assert latest(tmp_path).newest[-1] == identity(1)
        assert latest(tmp_path).examples["duplicate"] == [identity(1)] * 3
        service.until((tmp_path / "learned" / LEARNED).exists)

        before = sampler(service)
        os.kill(before, signal.SIGKILL)
        service.until(lambda: sampler(service) not in (0, before))
        post(service, identity(2))
        service.until(lambda: identity(2) in latest(tmp_path).newest)
        assert Scrape.of(service).value("penstock_workers", state="ready") == 1
        service.signal(signal.SIGTERM)
        assert service.exit_code() == 0


def test_a_directory_that_takes_no_file_is_logged_and_used_again_when_it_does(tmp_path: Path) -> None:
    (tmp_path / "learned" / REPORT / "in the way").mkdir(parents=True)
    with Served(tmp_path, workers=1, plausibility=SETTINGS) as service:
        service.says("no samples of events could be taken")
        post(service, identity(3))
        (tmp_path / "learned" / REPORT / "in the way").rmdir()
        (tmp_path / "learned" / REPORT).rmdir()
        post(service, identity(4))
        service.until(lambda: identity(4) in latest(tmp_path).newest)
        assert [path.name for path in (tmp_path / "learned").iterdir() if path.name.startswith(f"{REPORT}.")] == []


def test_of_two_services_with_one_directory_one_takes_samples(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    shared = SETTINGS | {"path": str(tmp_path / "learned")}
    with Served(tmp_path / "one", workers=1, plausibility=shared) as first:
        post(first, identity(5))
        first.until(lambda: identity(5) in latest(tmp_path).newest)
        with Served(tmp_path / "two", workers=1, plausibility=shared) as second:
            post(second, identity(6))
            first.signal(signal.SIGTERM)
            assert first.exit_code() == 0
            second.until(lambda: identity(6) in latest(tmp_path).newest)


def test_a_sampler_that_is_stuck_or_has_no_lock_is_seen_by_the_age_of_its_report(tmp_path: Path) -> None:
    with Served(tmp_path, workers=1, plausibility=SETTINGS) as service:
        service.until((tmp_path / "learned" / REPORT).exists)
        lock = tmp_path / "learned" / "samples.lock"
        lock.unlink()
        with lock.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            service.until(lambda: age_s(service) > 10 * SETTINGS["samples"]["period_s"])
        post(service, identity(7))
        service.until(lambda: identity(7) in latest(tmp_path).newest)
        service.until(lambda: age_s(service) < 10 * SETTINGS["samples"]["period_s"])


def age_s(service: Served) -> float:
    return Scrape.of(service).value("penstock_plausibility_samples_age_seconds")


def test_without_samples_there_is_no_such_process_and_no_report(tmp_path: Path) -> None:
    with Served(tmp_path, workers=1, plausibility={"enabled": True, "path": "learned"}) as service:
        assert sampler(service) == 0
        assert known(service)["samples"] == []
        assert not (tmp_path / "learned" / REPORT).exists()
