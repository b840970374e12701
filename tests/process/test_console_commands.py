"""The commands that ask the console of a real service: tail, expect, record, replay; and dev, which runs one."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.console.client import ConsoleClient
from tests.harness.consoled import CONSOLE, client_of, page_view, send
from tests.harness.running import PATIENCE_S, ROOT, Running, eventually
from tests.harness.served import EXAMPLES, Served


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("commands"), workers=1, console=CONSOLE) as service:
        for page in ("/a", 5, "/b\x1b[2J"):
            send(service.address, page_view(page), headers={"X-Penstock-Test": "run"})
        client_of(service).ask("POST", "/expect", {"session": "run", "at_least": 3, "within_ms": 20_000}, within_s=60)
        yield service


def run(service: Served, command: str, *arguments: str, code: int = 0) -> str:
    host, port = service.admin_address
    place = [] if command == "replay" else ["--console", f"http://{host}:{port}"]
    settings = ["-c", str(service.settings_file)]
    done = subprocess.run(
        [sys.executable, "-m", "server", command, *settings, *place, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code in (0, 1) else done.stderr


def test_tail_prints_rows_by_a_filter_without_signs_that_move_a_terminal(service: Served) -> None:
    lines = run(service, "tail", "--since-start", "--count", "3").splitlines()
    (invalid,) = run(service, "tail", "--since-start", "--count", "1", "--filter", "verdict:invalid").splitlines()
    objects = run(service, "tail", "--since-start", "--count", "2", "--json", "--filter", "verdict:accepted")
    events = [json.loads(line) for line in objects.splitlines()]

    assert len(lines) == 3
    assert invalid.split()[1:4] == ["invalid", "400", "web.page_view"]
    assert [one["event"]["page"] for one in events] == ["/a", "/b\x1b[2J"]
    assert "\x1b" not in "".join(lines) + objects.replace("\\u001b", "")


def test_tail_points_at_the_fault_of_a_filter(service: Served) -> None:
    said = run(service, "tail", "--filter", "verdict:invald", code=2)

    assert "verdict:invald\n        ^\n" in said
    assert "did you mean invalid?" in said


def test_expect_has_an_exit_code_and_a_report_for_a_ci(service: Served, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    met = run(service, "expect", "--session", "run", "--where", "verdict:accepted", "--exactly", "2")
    missed = run(
        service,
        *("expect", "--session", "run", "--where", 'page:"/z" verdict:accepted', "--within", "0s"),
        *("--junit", str(report)),
        code=1,
    )

    assert met.startswith("matched: 2 events")
    assert 'page:"/z": found ["/' in missed
    assert ET.parse(report).getroot().find("testcase/failure") is not None


def test_a_recording_is_validated_again_and_changes_are_named(service: Served, tmp_path: Path) -> None:
    recording, changed, har = tmp_path / "run.ndjson", tmp_path / "changed.ndjson", tmp_path / "page.har"
    recording.write_text(run(service, "record", "--session", "run"))
    lines = [json.loads(line) for line in recording.read_text().splitlines()]
    lines[0]["verdict"] = "invalid"
    lines[2]["stored"]["page"] = "/other"
    changed.write_text("\n".join(map(json.dumps, lines)))
    posts = [("http://a/v1/events", [page_view("/har"), page_view(1)]), ("http://a/other", [page_view(2)])]
    entries = [{"request": {"url": url, "postData": {"text": json.dumps(body)}}} for url, body in posts]
    har.write_text(json.dumps({"log": {"entries": entries}}))

    assert [line["event"]["page"] for line in lines] == ["/a", 5, "/b\x1b[2J"]
    assert run(service, "replay", str(recording)) == "3 events, 0 of them changed\n"
    said = run(service, "replay", str(changed), code=1)
    assert "event 1: was invalid, is accepted" in said
    assert 'event 3: /page changed: "/other" → "/b' in said
    assert "event 2: is invalid: '.page' should be string" in run(service, "replay", str(har), code=1)


def test_coverage_says_what_no_event_had_and_can_fail(service: Served) -> None:
    lines = run(service, "coverage", "--session", "run").splitlines()
    found = json.loads(run(service, "coverage", "--session", "run", "--json"))
    run(service, "coverage", "--session", "run", "--at-least", "90", code=1)
    run(service, "coverage", "--session", "no-such-run", "--at-least", "1", code=1)

    (schema,) = found["schemas"]
    assert schema["schema"] == "/web/page_view/1.1.0"
    assert lines[0].startswith(f"/web/page_view/1.1.0: {schema['seen']} of {schema['fields']} fields")
    assert "  never seen: referrer" in lines
    assert "stream without an event: shop.order" in lines


def test_a_console_that_is_not_there_is_named(service: Served) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "server", "tail", "--console", "http://127.0.0.1:9"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )

    assert done.returncode == 1
    assert "the console cannot be reached" in done.stderr


class Developed(Running):
    """``penstock dev`` with schemas of its own, which a test changes."""

    def __init__(self, directory: Path) -> None:
        shutil.copytree(EXAMPLES, directory / "examples", symlinks=True)
        self.schemas = directory / "examples" / "schemas"
        # A port that is known beforehand, so that dev can show a fault on the page.
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.admin_port: int = probe.getsockname()[1]
        settings: dict[str, Any] = {
            "workers": 1,
            "http": {"listen": ["127.0.0.1:0"]},
            "admin": {"listen": f"127.0.0.1:{self.admin_port}"},
            "schemas": {"base_uris": ["examples/schemas"], "prepared_path": ""},
            "streams": {"sources": ["examples/streams.yaml"]},
            "sink": {"kind": "memory"},
        }
        self.settings_file = directory / "penstock.yaml"
        self.settings_file.write_text(json.dumps(settings))
        super().__init__(["-m", "server", "dev", "-c", str(self.settings_file)], directory / "log")

    def client(self) -> ConsoleClient:
        return ConsoleClient(f"http://127.0.0.1:{self.admin_port}")

    def address(self) -> tuple[str, int]:
        host, _, port = self.says(r"ready: generation .*? on http://([\d.]+:\d+)")[-1].partition(":")
        return host, int(port)


def test_dev_uses_a_schema_as_soon_as_it_is_saved_and_shows_its_faults(tmp_path: Path) -> None:
    with Developed(tmp_path) as dev:
        try:
            address = dev.address()
            assert send(address, page_view("/x", mine=1))[0] == 400
            file = dev.schemas / "web" / "page_view" / "1.1.0.yaml"
            before = file.read_text("utf-8")

            file.write_text("{")
            dev.says("the change cannot be used")
            notices = eventually(lambda: dev.client().ask("GET", "/info")["notices"])
            assert notices[0]["is_error"]
            assert send(address, page_view("/x"))[0] == 201

            file.write_text(before.replace("properties:", "properties:\n  mine: {type: integer}", 1))
            dev.says("ready: generation", 2)
            eventually(lambda: send(dev.address(), page_view("/x", mine=1))[0] == 201, or_show=dev.log)

            settings = dev.settings_file.read_text()
            dev.settings_file.write_text("nonsense: 1\n")
            said = eventually(lambda: dev.client().ask("GET", "/info")["notices"], or_show=dev.log)[0]["text"]
            assert "nonsense: unknown setting" in said
            dev.settings_file.write_text(settings)
            eventually(lambda: dev.client().ask("GET", "/info")["notices"] == [], or_show=dev.log)
        finally:
            dev.signal(signal.SIGTERM)
            code = dev.exit_code()
    assert code == 0
