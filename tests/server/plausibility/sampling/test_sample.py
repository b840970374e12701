"""Samples tell of duplicates, clocks and sample rates, and name events as examples; any bytes may be an event."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from server.plausibility.sampling.drift import LEARN_MINUTES
from server.plausibility.sampling.repeats import MOST, Repeats
from server.plausibility.sampling.sample import StreamReport, StreamSample

SALT = b"0" * 32
DT = "2026-11-29T12:00:00Z"
_numbers = itertools.count()


def event(**more: Any) -> bytes:
    meta = {"id": f"id-{next(_numbers)}", "dt": DT} | more.pop("meta", {})
    return json.dumps({"meta": meta} | more).encode()


def taken(*values: bytes, rate: float | None = None) -> StreamReport:
    return StreamSample(0, SALT).take(values, [], rate, 1)


def test_events_with_an_identity_that_came_before_are_duplicates() -> None:
    sample = StreamSample(0, SALT)
    first = [event() for _ in range(5)]
    assert sample.take(first, [], None, 1).shares == {}
    report = sample.take([*first[:2], event()], [], None, 2)

    assert (report.sampled, report.shares) == (3, {"duplicate": 2})
    assert report.examples["duplicate"] == [json.loads(value)["meta"]["id"] for value in first[:2]]


def test_an_event_of_the_future_and_another_sample_rate_are_counted() -> None:
    values = [event(dt="2026-11-29T13:00:00Z"), event(dt="2026-11-29T11:59:58Z"), event(dt="nonsense")]
    report = taken(*values)
    assert report.shares == {"ahead": 1}
    assert (report.skew_p50_s, report.skew_p99_s) == (3600, 3600)
    rates = [event(sample={"rate": rate}) for rate in (0.1, 0.5, True, "0.5")]

    assert taken(*rates, rate=0.1).shares == {"sample_rate": 1}
    assert taken(*rates).shares == {}


def test_canaries_are_left_out() -> None:
    assert taken(event(meta={"domain": "canary"}), event()).sampled == 1


@pytest.mark.parametrize(
    "value",
    [b"", b"[", b"[]", b"null", b"\xff", b"{}", b'{"meta":7}', b'{"meta":{"id":7,"dt":7,"domain":[]},"dt":{}}',
     b'{"sample":[],"dt":"9999-99-99"}', b"[" * 100_000, b'{"a":' * 5000 + b"1" + b"}" * 5000,
     b'{"meta":{"id":"\\ud800","dt":"0001-01-01T00:00:00+23:59"},"dt":"9999-12-31T23:59:59-23:59"}'],
)  # fmt: skip
def test_any_bytes_may_be_an_event(value: bytes) -> None:
    sample = StreamSample(0, SALT)
    report = sample.take([value, event()], ["a.b", "meta"], 0.5, 1)

    assert report.sampled in (1, 2)


def test_examples_of_a_field_that_has_drifted_are_events_that_show_it() -> None:
    sample = StreamSample(0, SALT)
    sample.restore(-LEARN_MINUTES, 100, {})
    for minute in range(0, 100, 20):
        sample.take([event(a={"b": "x"}) for _ in range(200)], ["a.b"], None, minute)
    assert sample.drift.signals == []
    for minute in range(100, 160):
        mixed = [event(a={"b": "x"}) for _ in range(10)] + [event(a={}, meta={"id": f"bad-{minute}"})] * 10
        report = sample.take(mixed, ["a.b"], None, minute)

    assert [(signal.kind, signal.of) for signal in report.signals] == [("field_missing", "a.b")]
    shown = report.examples["field_missing a.b"]
    assert len(shown) == 3 and all(one.startswith("bad-") for one in shown)


def test_identities_are_remembered_in_bounded_memory_and_seldom_confused() -> None:
    repeats = Repeats()
    wrong = sum(repeats.take(f"a{at}") for at in range(5 * MOST))
    assert wrong < 5 * MOST / 200

    assert all(repeats.take(f"a{at}") for at in range(4 * MOST, 5 * MOST))
