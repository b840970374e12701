"""The admin process: what it says of a real service, and that nobody depends on it."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

from tests.harness.running import is_alive, name_of
from tests.harness.served import Served
from tests.process.scraped import Scrape, ask_admin


def admin_of(service: Served) -> int:
    return next((pid for pid in service.children() if name_of(pid) == "penstock:admin"), 0)


def test_status_says_how_everybody_is_to_programs_and_to_people(tmp_path: Path) -> None:
    with Served(tmp_path) as service:
        service.until(lambda: ask_admin(service, "/readyz")[0] == 200)
        status, _, body = ask_admin(service, "/status")
        said = json.loads(body)

        assert status == 200
        assert said["master"]["pid"] == service.pid
        assert {worker["pid"] for worker in said["workers"]} == service.workers()
        assert {worker["state"] for worker in said["workers"]} == {"ready"}
        assert all(worker["resident_bytes"] > 1 << 20 and worker["beat_age_s"] < 60 for worker in said["workers"])
        assert [(one["name"], one["pid"]) for one in said["companions"]] == [("admin", admin_of(service))]
        assert len({worker["snapshot"] for worker in said["workers"]}) == 1
        assert said["streams"]["snapshots"][0]["digest"] == said["workers"][0]["snapshot"]
        kind, page = ask_admin(service, "/status", accept="text/html")[1:]
        assert said["busiest_streams"] == []
        assert kind.startswith("text/html") and " MiB" in page and str(service.pid) in page
        assert ask_admin(service, "/")[0] == ask_admin(service, "/healthz")[0] == 200
        assert ask_admin(service, "/metrics", accept="application/openmetrics-text; version=1.0.0")[2].endswith(
            "# EOF\n"
        )
        for path, method, status in (("/v1/events", "GET", 404), ("/metrics", "POST", 405)):
            assert ask_admin(service, path, method)[0] == status
        # It is not on the public address, and the public routes are not here.
        with socket.create_connection(service.address, timeout=60) as client:
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 404")


def test_a_log_level_reaches_everybody_until_the_next_reload(tmp_path: Path) -> None:
    with Served(tmp_path, workers=1) as service:
        assert ask_admin(service, "/log-level", "PUT", b"loud")[0] == 400
        assert json.loads(ask_admin(service, "/log-level", "PUT", b"error")[2])["level"] == "error"
        service.signal(signal.SIGCHLD)  # It looks at the level before each wait: this one ends, then the next begins.
        service.signal(signal.SIGTTIN)
        service.until(lambda: len(service.workers()) == 2)
        assert "one worker added" not in service.log()
        assert ask_admin(service, "/log-level", "PUT", b"")[0] == 200
        service.signal(signal.SIGCHLD)
        service.signal(signal.SIGTTOU)
        service.says("one worker removed: 1")


def test_stacks_are_those_of_a_stuck_worker_too_and_of_nobody_else(tmp_path: Path) -> None:
    with Served(tmp_path, workers=1) as service:
        (worker,) = service.workers()

        def everybody() -> str:  # It is asked again: who is busy for half a second is told to be stuck.
            said = ask_admin(service, "/stacks")[2]
            return said if "server/worker/process.py" in said and "server/admin/process.py" in said else ""

        assert f"== {worker} (worker, slot 0, generation 1, ready)" in service.until(everybody)
        assert ask_admin(service, f"/stacks?pid={worker}")[2].count("== ") == 1
        assert ask_admin(service, f"/stacks?pid={os.getpid()}")[0] == 404
        os.kill(worker, signal.SIGSTOP)
        assert "the process does not answer" in ask_admin(service, f"/stacks?pid={worker}")[2]
        os.kill(worker, signal.SIGCONT)
        assert service.workers() == {worker}


def test_its_death_is_noticed_by_nobody_and_sums_outlive_everybody(tmp_path: Path) -> None:
    with Served(tmp_path) as service:
        first = service.until(lambda: admin_of(service))
        service.until(lambda: ask_admin(service, "/readyz")[0] == 200)
        workers = service.workers()
        for _ in range(3):
            with socket.create_connection(service.address, timeout=60) as client:
                client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert client.recv(65536).startswith(b"HTTP/1.1 200")
        service.until(lambda: Scrape.of(service).sum("penstock_http_responses_total", route="/healthz") == 3)
        os.kill(first, signal.SIGKILL)
        service.until(lambda: admin_of(service) not in (0, first))
        assert service.workers() == workers
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        service.until(lambda: len(service.workers() - workers) == 2)

        scrape = service.until(lambda: at_rest(service))
        assert scrape is not None
        assert scrape.value("penstock_http_responses_total", route="/healthz", status="200") == 3
        assert scrape.value("penstock_child_deaths_total", cause="killed") == 3


def at_rest(service: Served) -> Scrape | None:
    scrape = Scrape.of(service)
    return scrape if scrape.value("penstock_workers", state="ready") == 2 else None


def test_a_reload_keeps_its_address_and_one_that_is_taken_is_refused(tmp_path: Path) -> None:
    with Served(tmp_path) as service, socket.create_server(("127.0.0.1", 0)) as taken:
        address, first = service.admin_address, service.until(lambda: admin_of(service))
        service.reload()
        assert service.admin_address == address
        service.until(lambda: not is_alive(first))
        assert Scrape.of(service).value("penstock_reloads_total", outcome="done") == 1
        service.write(admin={"listen": f"127.0.0.1:{taken.getsockname()[1]}"})
        service.signal(signal.SIGHUP)
        service.says("reload refused, the old settings stay in force: cannot listen on")
        assert Scrape.of(service).value("penstock_reloads_total", outcome="refused") == 1


def test_an_address_that_is_taken_ends_the_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        service = Served(tmp_path, admin={"listen": f"127.0.0.1:{taken.getsockname()[1]}"})
        assert service.exit_code() == 4
        assert "cannot listen on 127.0.0.1" in service.log()
