"""Streams are watched minute by minute, by one process at a time, and what was learned outlives it."""

from __future__ import annotations

import json
import logging
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from server.catalog.snapshot import Snapshot, build
from server.config.framework.document import parse
from server.console.facts import FACTS
from server.filter.language import compile_filter
from server.log import Limited
from server.plausibility import watcher as watcher_module
from server.plausibility.sampling.files import Report
from server.plausibility.sampling.sample import StreamReport
from server.plausibility.shares import Signal
from server.plausibility.shown import said
from server.plausibility.state import FILE, Learned, LearnedState
from server.plausibility.watcher import Total, Watcher
from tests.server.plausibility.test_model import KNOWN, learned

PER_MINUTE = 10


class Host:
    """A service whose counts and clock the test sets."""

    def __init__(self, directory: Path, **streams: dict[str, Any]) -> None:
        self.directory = directory
        self.totals: dict[str, Total] = {}
        self.now_s = KNOWN * 60.0
        self.report: Report | None = None
        self.schemas = ["/a/b/1.0.0", "/other/1.0.0"]
        self.versions: dict[str, int] = {}
        self.agents: dict[str, int] = {}
        self.declare(**streams)

    def declare(self, **streams: dict[str, Any]) -> None:
        self.snapshot = declared({name: {"schema_title": "a/b", **more} for name, more in streams.items()})

    def watcher(self) -> Watcher:
        return Watcher(
            self.directory,
            lambda: dict(self.totals),
            lambda: self.snapshot,
            lambda: self.now_s,
            lambda: self.report,
            lambda: self.schemas,
            lambda: dict(self.versions),
            lambda: dict(self.agents),
        )

    def minutes(self, watcher: Watcher, count: int, **rates: int) -> None:
        """So many minutes pass, with these events in each."""
        for _ in range(count):
            self.now_s += 60
            for name, rate in rates.items():
                before = self.totals.get(name, Total(0, 0))
                self.totals[name] = before._replace(accepted=before.accepted + rate)
            watcher.look()


def declared(streams: dict[str, Any]) -> Snapshot:
    return build([parse(json.dumps({"streams": streams}), "streams.yaml")], topic_prefix="", wiki=None)


def alarms(watcher: Watcher) -> list[tuple[str, str]]:
    return [(alarm.stream, alarm.kind) for alarm in watcher.alarms.shown()]


def keep(directory: Path, *streams: str) -> None:
    """Store what was learned of streams that always have PER_MINUTE events."""
    state = LearnedState(directory)
    assert state.take()
    state.write(Learned({name: learned(PER_MINUTE) for name in streams}))
    state.release()


def test_counts_are_those_between_two_looks_and_the_first_tells_nothing(tmp_path: Path) -> None:
    host = Host(tmp_path, a={})
    host.totals["a"] = Total(1_000_000, 0)  # Of the time before this process.
    watcher = host.watcher()
    watcher.look()
    assert watcher.models == {}
    host.minutes(watcher, 60, a=7)

    assert watcher.models["a"].seen() == 7 * 60
    assert watcher.watched() == (1, 0)


def test_what_was_learned_outlives_a_restart_and_so_do_alarms(tmp_path: Path) -> None:
    keep(tmp_path, "a", "b")
    host = Host(tmp_path, a={"alarms": {"owner": "team", "severity": "page"}}, b={})
    watcher = host.watcher()
    watcher.look()
    host.minutes(watcher, 10, a=0, b=PER_MINUTE)
    assert alarms(watcher) == [("a", "silent")]
    watcher.close()
    watcher.look()  # It is over.

    second = host.watcher()
    second.look()
    assert alarms(second) == [("a", "silent")]
    (line,) = said(second, 0.0)["alarms"]
    assert (line["stream"], line["owner"], line["severity"], line["is_after_change"]) == ("a", "team", "page", False)
    assert line["expected"] == pytest.approx(600, rel=0.01)
    assert KNOWN * 60 <= line["since_s"] <= host.now_s
    assert said(second, line["since_s"] - 60)["alarms"][0]["is_after_change"]


def test_one_process_at_a_time_watches(tmp_path: Path) -> None:
    host = Host(tmp_path, a={})
    first, second = host.watcher(), host.watcher()
    for watcher in (first, second):
        watcher.look()
    host.minutes(second, 2, a=1)
    assert second.models == {}
    first.close()
    host.minutes(second, 2, a=1)

    assert set(second.models) == {"a"}


def test_streams_that_are_gone_are_forgotten_and_new_ones_are_learned(tmp_path: Path) -> None:
    keep(tmp_path, "a", "b")
    host = Host(tmp_path, a={}, b={})
    watcher = host.watcher()
    watcher.look()
    host.minutes(watcher, 10, a=0, b=PER_MINUTE)
    assert alarms(watcher) == [("a", "silent")]
    host.declare(b={}, c={})
    host.minutes(watcher, 10, b=PER_MINUTE, c=1)

    assert alarms(watcher) == []
    assert set(watcher.models) == {"b", "c"}


def test_a_stream_that_is_declared_again_within_a_week_is_known_still_and_later_it_is_new(tmp_path: Path) -> None:
    keep(tmp_path, "a", "b")
    host = Host(tmp_path, a={}, b={})
    watcher = host.watcher()
    watcher.look()
    host.minutes(watcher, 2, a=PER_MINUTE, b=PER_MINUTE)
    host.declare(b={})
    host.minutes(watcher, 60, a=PER_MINUTE, b=PER_MINUTE)
    assert set(watcher.models) == {"b"}
    watcher.close()
    watcher = host.watcher()
    watcher.look()
    host.declare(a={}, b={})
    host.minutes(watcher, 60, a=PER_MINUTE, b=PER_MINUTE)
    assert watcher.watched() == (0, 2)
    host.minutes(watcher, 10, a=0, b=PER_MINUTE)
    assert alarms(watcher) == [("a", "silent")]

    host.declare(b={})
    host.minutes(watcher, 1)
    host.now_s += 8 * 24 * 3600
    host.minutes(watcher, 1)
    host.declare(a={}, b={})
    host.minutes(watcher, 2)
    assert watcher.watched() == (1, 1)


def test_a_stream_may_have_no_alarms_or_a_minimum_from_the_first_hour(tmp_path: Path) -> None:
    keep(tmp_path, "off")
    host = Host(tmp_path, off={"alarms": {"enabled": False}}, least={"alarms": {"expected_min_per_h": 100}})
    watcher = host.watcher()
    watcher.look()
    host.minutes(watcher, 60, off=0, least=1)

    assert alarms(watcher) == [("least", "below_minimum")]


def test_a_model_that_cannot_be_read_is_learned_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    keep(tmp_path, "a", "b")
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute("UPDATE stream SET model = x'00' WHERE name = 'a'")
    database.close()
    host = Host(tmp_path, a={}, b={})
    watcher = host.watcher()
    watcher.look()

    assert set(watcher.models) == {"b"}
    assert "stream a cannot be read and is learned again" in caplog.text


def test_a_database_that_cannot_be_read_now_is_not_replaced_and_a_damaged_one_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher_module, "_limited", Limited(logging.getLogger("plausibility")))
    keep(tmp_path, "a")
    host = Host(tmp_path, a={})
    with sqlite3.connect(tmp_path / FILE) as other:
        other.execute("BEGIN EXCLUSIVE")
        watcher = host.watcher()
        watcher.look()
        assert "cannot be kept: database is locked" in caplog.text
    other.close()
    host.minutes(watcher, 2, a=PER_MINUTE)
    assert watcher.watched() == (0, 1)
    watcher.close()

    (tmp_path / FILE).write_bytes(b"no database" * 1000)
    second = host.watcher()
    second.look()
    host.minutes(second, 2, a=PER_MINUTE)
    assert second.watched() == (1, 0)
    second.close()
    third = host.watcher()
    third.look()

    assert "is damaged and was set aside" in caplog.text
    assert third.watched() == (1, 0)
    assert len([path for path in tmp_path.iterdir() if path.suffix == ".damaged"]) == 1


def sampled(host: Host, **stream: Any) -> None:
    host.report = Report(1, host.now_s, {"a": StreamReport(**stream)})


def test_an_alarm_of_samples_names_events_and_leads_to_the_console(tmp_path: Path) -> None:
    keep(tmp_path, "a")
    host = Host(tmp_path, a={})
    watcher = host.watcher()
    watcher.look()
    for _ in range(5):
        sampled(host, sampled=100, shares={"duplicate": 10}, examples={"duplicate": ["id-1", 'id-"2']})
        host.minutes(watcher, 1, a=PER_MINUTE)
        sampled(host, sampled=100, shares={"duplicate": 10}, examples={"duplicate": ["id-1", 'id-"2']})
    (line,) = said(watcher, 0.0, has_console=True)["alarms"]

    assert (line["kind"], line["expected"], line["seen"]) == ("duplicate", 0, 0.1)
    assert line["examples"] == ["id-1", 'id-"2']
    where = parse_qs(urlsplit(line["console"]).query)["where"][0]
    assert where == '"id-1" or "id-\\"2"'
    compile_filter(where, FACTS)
    assert said(watcher, 0.0)["alarms"][0]["console"] is None


def test_a_field_that_has_drifted_is_an_alarm_until_no_report_comes_any_more(tmp_path: Path) -> None:
    keep(tmp_path, "a")
    host = Host(tmp_path, a={})
    watcher = host.watcher()
    watcher.look()
    for _ in range(5):
        host.now_s += 1
        sampled(host, sampled=100, signals=[Signal("field_missing", 0.01, 0.5, "user.name")], newest=["id-9"])
        host.now_s -= 1
        host.minutes(watcher, 1, a=PER_MINUTE)
    (line,) = said(watcher, 0.0)["alarms"]
    assert (line["kind"], line["of"], line["examples"]) == ("field_missing", "user.name", ["id-9"])
    host.minutes(watcher, 20, a=PER_MINUTE)

    assert alarms(watcher) == []
    assert said(watcher, 0.0)["samples"] == []


def test_a_schema_that_was_seen_first_shortly_before_an_alarm_is_named_also_after_a_restart(tmp_path: Path) -> None:
    keep(tmp_path, "a")
    host = Host(tmp_path, a={})
    watcher = host.watcher()
    watcher.look()
    host.minutes(watcher, 180, a=PER_MINUTE)
    host.schemas += ["/a/b/1.1.0", "/other/1.1.0"]
    host.minutes(watcher, 10, a=PER_MINUTE)
    watcher.close()
    second = host.watcher()
    second.look()
    host.minutes(second, 10, a=0)
    (line,) = said(second, 0.0)["alarms"]

    assert (line["kind"], line["new_schemas"]) == ("silent", ["/a/b/1.1.0"])


def test_types_of_invalid_events_old_ones_and_wrong_clocks_are_told_apart(tmp_path: Path) -> None:
    keep(tmp_path, "a", "b", "c")
    host = Host(tmp_path, a={}, b={}, c={})
    watcher = host.watcher()
    watcher.look()
    host.totals = dict.fromkeys("abc", Total(0, 0))
    host.minutes(watcher, 1)
    for each in range(1, 60):
        accepted = PER_MINUTE * each
        host.totals = {
            "a": Total(accepted, 5 * each, by_type={"schema_violation": 5 * each}),
            "b": Total(30 * accepted, 0, old=29 * accepted),
            "c": Total(accepted, 0, askew=accepted // 2),
        }
        host.minutes(watcher, 1)
    lines = {(line["stream"], line["kind"], line["of"]) for line in said(watcher, 0.0, has_console=True)["alarms"]}

    assert lines == {("a", "invalid", "schema_violation"), ("c", "askew", None)}


def test_lost_events_are_an_alarm_and_invalid_ones_name_the_programs_that_send_them(tmp_path: Path) -> None:
    keep(tmp_path, "a", "b")
    host = Host(tmp_path, a={}, b={})
    watcher = host.watcher()
    watcher.look()
    host.totals = dict.fromkeys("ab", Total(0, 0))
    host.minutes(watcher, 1)
    assert watcher.announce("web 4.2 is deployed") is not None
    for each in range(1, 60):
        accepted = PER_MINUTE * each
        host.totals = {
            "a": Total(accepted, 5 * each, by_type={"schema_violation": 5 * each}),
            "b": Total(accepted, 0, lost={"broker_timeout": 2 * each}),
        }
        host.agents = {"a bad/2": 4 * each, "a other/1": each}
        host.minutes(watcher, 1)
    shown = said(watcher, 0.0)["alarms"]

    assert {(line["stream"], line["kind"], line["of"]) for line in shown} == {
        ("a", "invalid", "schema_violation"),
        ("b", "lost", "broker_timeout"),
    }
    agents = {line["stream"]: [one["agent"] for one in line["agents"]] for line in shown}
    assert agents == {"a": ["bad/2", "other/1"], "b": []}
    assert [line["changes"][0]["text"] for line in shown] == ["web 4.2 is deployed"] * 2


def test_a_version_that_is_missing_is_an_alarm_and_versions_and_changes_outlive_a_restart(tmp_path: Path) -> None:
    state = LearnedState(tmp_path)
    assert state.take()
    parts = {("a", f"/a/b/1.{at}.0"): learned(PER_MINUTE) for at in range(2)}
    state.write(Learned({"a": learned(2 * PER_MINUTE)}, versions=parts))
    state.release()
    host = Host(tmp_path, a={})
    watcher = host.watcher()
    watcher.look()
    host.versions = {"a /a/b/1.0.0": 7, "a /a/b/1.1.0": 7, "(others)": 1}
    host.minutes(watcher, 1, a=2 * PER_MINUTE)
    watcher.announce("an app is deployed")
    watcher.close()
    watcher = host.watcher()
    watcher.look()
    host.minutes(watcher, 1, a=PER_MINUTE)
    for _ in range(30):
        host.versions["a /a/b/1.1.0"] += PER_MINUTE
        host.minutes(watcher, 1, a=2 * PER_MINUTE - 4)
    (line,) = said(watcher, 0.0)["alarms"]

    assert (line["kind"], line["of"]) == ("version", "/a/b/1.0.0")
    assert [one["text"] for one in line["changes"]] == ["an app is deployed"]
    assert watcher.announce("x") is not None and host.watcher().announce("x") is None


def test_a_directory_that_cannot_be_used_is_logged_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    host = Host(tmp_path / "file" / "below", a={})
    watcher = host.watcher()
    watcher.look()
    watcher.close()

    assert "what was learned of streams cannot be kept" in caplog.text
