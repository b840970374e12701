"""Streams at URLs: the whole service, a real web site that fails, real processes that die."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from pathlib import Path

import orjson
import pytest

from tests.harness import site as behaviours
from tests.harness.running import Running, is_alive
from tests.harness.served import EXAMPLES, Served
from tests.harness.site import Site
from tests.process.fetched import QUICK, TICK, error_type, fetcher_of, post, settings, takes, tick
from tests.process.test_served import ask, ask_on


def until_asked_again(service: Served, site: Site, times: int = 1) -> None:
    """What the fetcher has published is on its disk by then: workers may have it a moment before."""
    asked = len(site.asked)
    service.until(lambda: len(site.asked) >= asked + times)


def test_streams_of_a_url_are_served_and_changes_reach_every_worker_without_a_restart(tmp_path: Path) -> None:
    with Site() as site:
        site.says("/api", behaviours.streams(**{"app.one": TICK}))
        headers = {"Host": "meta.example.org"}
        wanted = settings(site, streams={"headers": headers, "constraints": {"destination_event_service": "a b"}})
        with Served(tmp_path, **wanted) as service:
            workers = service.workers()
            assert takes(service, "app.one")
            assert error_type(post(service, tick("app.two"))) == "unknown_stream"
            path, sent = site.asked[0]
            assert (path, sent["Host"]) == (
                "/api?constraints=destination_event_service%3Da%2520b",
                "meta.example.org",
            )
            before = orjson.loads(ask(service.address))["streams"]["digest"]
            site.says("/api", behaviours.streams(**{"app.two": TICK}))
            service.says("streams are now those of snapshot", times=2)

            assert [takes(service, "app.two") for _ in range(8)] == [True] * 8
            assert error_type(post(service, tick("app.one"))) == "unknown_stream"
            assert orjson.loads(ask(service.address))["streams"]["digest"] != before
            assert service.workers() == workers
            assert any("If-None-Match" in asked for _, asked in site.asked)


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (behaviours.html(), "answered with a web page"),
        (behaviours.streams(**{"app.x": {"schema_title": "/leading"}}), "is refused"),
        (behaviours.endless, "is larger than"),
    ],
)
def test_a_bad_answer_keeps_the_last_good_one_and_is_said_once(
    tmp_path: Path, trouble: behaviours.Behaviour, reason: str
) -> None:
    with Site() as site:
        site.says("/api", behaviours.streams(**{"app.one": TICK}))
        with Served(tmp_path, **settings(site, fetch=QUICK | {"max_answer_bytes": 1_000_000})) as service:
            site.says("/api", trouble)
            asked = len(site.asked)
            (said,) = service.says(r".*the last good answer stays in force")
            service.until(lambda: len(site.asked) > asked + 3)

            assert reason in said
            assert takes(service, "app.one")
            (url,) = orjson.loads(ask(service.address))["streams"]["urls"]
            assert url["failing_s"] > 0
            site.says("/api", behaviours.streams(**{"app.two": TICK}))
            service.says("answers again, after")
            service.until(lambda: takes(service, "app.two"))
            assert len(re.findall("stays in force", service.log())) == 1
            (url,) = orjson.loads(ask(service.address))["streams"]["urls"]
            assert url["failing_s"] == 0


def test_a_restart_while_the_url_is_down_starts_from_the_last_good_answer_and_says_so(tmp_path: Path) -> None:
    with Site() as site:
        site.says("/api", behaviours.streams(**{"app.one": TICK}))
        with Served(tmp_path, **settings(site)) as service:
            site.says("/api", behaviours.streams(**{"app.two": TICK}))
            service.says("streams are now those of snapshot", times=2)
            until_asked_again(service, site)
            service.signal(signal.SIGTERM)
            assert service.exit_code() == 0
        site.stop()
        (tmp_path / "log").unlink()
        with Served(tmp_path, **settings(site)) as service:
            assert service.says(r"starting from its last good answer, of 20\d\d-")
            assert takes(service, "app.two")
            site.says("/api", behaviours.streams(**{"app.three": TICK}))
            site.start_again()
            service.says("streams are now those of snapshot", times=2)
            assert takes(service, "app.three")


def test_no_good_answer_at_all_ends_the_start_with_exit_code_3(tmp_path: Path) -> None:
    with Site() as site:
        site.says("/api", behaviours.status(500))
        service = Served(tmp_path, **settings(site))
        try:
            assert service.exit_code() == 3
        finally:
            service.end()
        assert (
            "answered 500; no earlier answer is kept. See that it answers, or set streams.on_missing" in service.log()
        )


def test_on_missing_wait_waits_until_there_is_an_answer(tmp_path: Path) -> None:
    with Site() as site:
        site.says("/api", behaviours.in_turn(*[behaviours.status(404)] * 2, behaviours.streams(**{"app.one": TICK})))
        with Served(tmp_path, **settings(site, streams={"on_missing": "wait"})) as service:
            assert takes(service, "app.one")
            assert len(re.findall("waiting for streams", service.log())) == 1


def test_a_service_that_waits_for_streams_can_be_told_to_stop(tmp_path: Path) -> None:
    with Site() as site:
        service = Served(tmp_path, **settings(site, streams={"on_missing": "wait"}))
        try:
            service.says("waiting for streams")
            service.signal(signal.SIGTERM)
            assert service.exit_code() == 0
        finally:
            service.end()


def test_a_killed_fetcher_is_replaced_and_goes_on_where_it_was(tmp_path: Path) -> None:
    with Site() as site:
        site.says("/api", behaviours.streams(**{"app.one": TICK}))
        with Served(tmp_path, **settings(site)) as service:
            first = service.until(lambda: fetcher_of(service))
            site.says("/api", behaviours.streams(**{"app.two": TICK}))
            service.says("streams are now those of snapshot", times=2)
            until_asked_again(service, site)
            os.kill(first, signal.SIGKILL)
            service.says(rf"fetcher {first} \(generation 1\) died: SIGKILL")
            until_asked_again(service, site, times=2)

            assert takes(service, "app.two")
            assert len(re.findall("streams are now those", service.log())) == 2
            (worker, *_) = service.workers()
            os.kill(worker, signal.SIGKILL)
            service.says(rf"worker {worker} .*died: SIGKILL")
            service.says("streams are now those of snapshot", times=3)  # Forked from older ones, it caught up.
            assert [takes(service, "app.two") for _ in range(8)] == [True] * 8


def test_a_reload_that_adds_a_url_asks_it_and_files_merge_in_the_order_of_the_settings(tmp_path: Path) -> None:
    with Site() as site:
        file = tmp_path / "last.yaml"
        file.write_text("streams: {app.one: {topics: [from.file]}}")
        wanted = settings(site, streams={"sources": [str(EXAMPLES / "streams.yaml")]})
        site.says("/api", behaviours.streams(**{"app.one": {**TICK, "topics": ["from.url"]}}))
        with Served(tmp_path, **wanted) as service:
            assert not site.asked
            service.write(**settings(site, streams={"sources": [site.url("/api"), str(file)]}))
            service.reload()
            service.until(lambda: takes(service, "app.one"))  # Workers of before may still answer while they leave.
            assert [event["topic"] for event in service.events() if "error" not in event["topic"]] == ["from.file"]
            site.stop()
            service.reload()
            assert takes(service, "app.one")
            site.start_again()


def listening_sockets(port: int) -> set[str]:
    """As links of descriptors show them. Columns of /proc/net/tcp: proc(5)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {f"socket:[{row[9]}]" for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")}


def open_files(pid: int) -> set[str]:
    return {os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()}


def is_refused(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address, timeout=60):
            return False
    except ConnectionRefusedError:
        return True


def test_no_worker_carries_the_http_client_and_no_fetcher_holds_a_listening_socket(tmp_path: Path) -> None:
    with Site() as site:
        site.says("/api", behaviours.streams(**{"app.one": TICK}))
        with Served(tmp_path, **settings(site)) as service:
            fetcher = service.until(lambda: fetcher_of(service))
            others = service.workers()

            assert len(others) == 2
            assert all("aiohttp" not in Path(f"/proc/{pid}/maps").read_text() for pid in (*others, service.pid))
            listening = listening_sockets(service.address[1])
            assert listening
            assert listening <= open_files(min(others))
            assert listening.isdisjoint(open_files(fetcher))
            service.signal(signal.SIGSTOP)
            for pid in others:
                os.kill(pid, signal.SIGKILL)
            service.process.kill()
            service.process.wait(10)
            service.until(lambda: not any(map(is_alive, others)))
            service.until(lambda: not is_alive(fetcher))
            service.until(lambda: is_refused(service.address))


def test_without_a_url_there_is_no_fetcher(tmp_path: Path) -> None:
    with Served(tmp_path) as service:
        assert len(service.workers()) == 2
        assert fetcher_of(service) == 0


def test_check_says_what_a_url_answers(tmp_path: Path) -> None:
    with Site() as site:
        site.says("/api", behaviours.html())
        settings_file = tmp_path / "penstock.yaml"
        schemas = {"base_uris": [str(EXAMPLES / "schemas")]}
        settings_file.write_text(json.dumps({**settings(site), "schemas": schemas}))
        with Running(["-m", "server", "check", "-c", str(settings_file)], tmp_path / "log") as check:
            assert check.exit_code() == 3
            assert re.search(
                r"yaml:\d+: streams.sources\[0\]: .*/api: answered with a web page; no earlier", check.log()
            )
        site.says("/api", behaviours.streams(**{"app.one": TICK}))
        with Running(["-m", "server", "check", "-c", str(settings_file)], tmp_path / "log") as check:
            assert check.exit_code() == 0


def test_hup_gives_new_streams_to_the_workers_that_run(tmp_path: Path) -> None:
    """No worker is replaced, no connection closed; a new schema or another setting needs new workers as before."""
    file = tmp_path / "streams.yaml"
    file.write_text("streams: {app.one: {schema_title: app/tick}}")
    with Served(tmp_path, streams={"sources": [str(file)]}) as service:
        workers = service.workers()
        with socket.create_connection(service.address, timeout=60) as kept:
            ask_on(kept, "/_info")
            for turn, name in enumerate(["app.two", "app.one", "app.two"], 1):
                file.write_text(f"streams: {{{name}: {{schema_title: app/tick}}}}")
                service.signal(signal.SIGHUP)
                service.says("streams are now those of snapshot", times=2 * turn)
                assert takes(service, name)
            ask_on(kept, "/_info")
        assert service.workers() == workers
        os.kill(min(workers), signal.SIGKILL)
        service.until(lambda: service.workers() - workers)
        service.says("streams are now those of snapshot", times=7)
        assert [takes(service, "app.two") for _ in range(8)] == [True] * 8
        file.write_text("streams: {web.page_view: {schema_title: web/page_view}}")
        before = service.workers()
        service.reload()
        service.until(lambda: service.workers().isdisjoint(before))  # They may have taken the next connection yet.
        assert error_type(post(service, tick("app.two"))) == "unknown_stream"
