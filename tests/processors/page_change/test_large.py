"""Records that are too large for their topics become error events, with the reason, and stop nothing."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import orjson
import pytest

from processors.page_change import limits
from processors.page_change.catalog import open_catalog
from processors.page_change.consolidator import FOREVER, Consolidator
from processors.page_change.draft import Bounds, Invalid
from processors.page_change.embedded.store import NAME
from processors.page_change.limits import FRAME_BYTES
from processors.page_change.oracle.inputs import Arrival
from processors.page_change.oracle.kafka import Topics
from processors.page_change.oracle.run import history_of, prepared, records_of, run_once, verdict_on
from processors.page_change.records import LEAST_BYTES, Output, Records
from processors.page_change.settings import load
from server.errors import PenstockError
from tests.harness.running import Running, eventually, open_things
from tests.processors.page_change.events import NAMES, T, event
from tests.processors.page_change.runs import events_read, limit, process

LARGE_PAGE = 1 << 40
LARGE = "0123456789abcdef" * 400


def taken(*events: bytes, most: dict[str, int], until: int = T + 200_000) -> tuple[list[Output], Consolidator]:
    """All records of these events, where each event but the first finds the watermark at ``until``."""
    consolidator = Consolidator(Bounds(), NAMES, most=most)
    found: list[Output] = []
    for one in events:
        found += consolidator.take(one, None)
        found += consolidator.advance(until)
    return found + consolidator.advance(FOREVER), consolidator


def test_a_change_that_is_too_large_becomes_an_error_event_and_counts() -> None:
    large = orjson.dumps(event("revision-create", 11, 1, comment=LARGE))
    small = orjson.dumps(event("revision-create", 12, 2, rev_parent_id=11))
    found, consolidator = taken(large, small, most={NAMES.output: 3_000, NAMES.error: 3_000})
    error, change = (orjson.loads(one.value) for one in found)

    assert [one.stream for one in found] == [NAMES.error, NAMES.output]
    assert error["message"].startswith("it has 6")
    assert error["message"].endswith(f" bytes with its key, and the topic of {NAMES.output} takes 3000")
    assert error["errored_stream_name"] == NAMES.output
    assert change["prior_state"]["revision"]["rev_id"] == 11
    assert consolidator.counts[NAMES.output, "too_large"] == 1
    assert consolidator.counts["mediawiki.revision-create", "emitted"] == 1
    assert consolidator.counts["mediawiki.revision-create", "late_emitted"] == 1
    assert (sum(consolidator.kinds.values()), consolidator.aside[NAMES.error]) == (1, 1)


def test_the_key_counts() -> None:
    one = orjson.dumps(event("revision-create", 11, 1, comment=LARGE))
    (output,), _ = taken(one, most={})
    size = len(output.value) + len(output.key or b"")

    assert [found.stream for found in taken(one, most={NAMES.output: size})[0]] == [NAMES.output]
    assert [found.stream for found in taken(one, most={NAMES.output: size - 1})[0]] == [NAMES.error]


def test_a_side_event_that_is_too_large_has_an_error_event_of_its_own() -> None:
    newer = orjson.dumps(event("revision-create", 12, 1))
    late = orjson.dumps(event("revision-create", 11, 0, comment=LARGE))
    gone = orjson.dumps(event("page-delete", 12, 2))
    edit = orjson.dumps(event("revision-create", 13, 4, comment=LARGE, rev_parent_id=12))
    found, consolidator = taken(newer, late, most={NAMES.late: 4_000})
    both, _ = taken(gone, edit, most=dict.fromkeys((NAMES.output, NAMES.inconsistent), 4_000), until=T)
    errors = [orjson.loads(one.value) for one in both if one.stream == NAMES.error]

    assert [one.stream for one in found] == [NAMES.output, NAMES.error]
    assert consolidator.counts[NAMES.late, "too_large"] == 1
    assert consolidator.counts["mediawiki.revision-create", "late"] == 1
    assert {one["errored_stream_name"] for one in errors} == {NAMES.output, NAMES.inconsistent}
    assert len({one["meta"]["id"] for one in errors}) == 2


@pytest.mark.parametrize("raw", [b"x", b"\x00" * 200_000, "✓".encode() * 100_000, b'"' * 100_000])
@pytest.mark.parametrize("reason", ["short", "\x01" * 100_000])
@pytest.mark.parametrize("most", [LEAST_BYTES, 100_000, 1_000_000])
def test_an_error_event_always_fits(raw: bytes, reason: str, most: int) -> None:
    records = Records(NAMES, lambda value: None, {NAMES.error: most})
    output = records.refused(Invalid("mediawiki.revision-visibility-change", reason, raw), T, "id")

    assert len(output.value) <= most
    assert orjson.loads(output.value)["raw_event"] if raw else True


def test_an_embedded_sink_has_the_limit_of_the_settings(tmp_path: Path) -> None:
    lines = [orjson.dumps(event("revision-create", 11, 1, comment=LARGE))]
    config = prepared(tmp_path, {"eqiad": records_of(lines)}, most_record_bytes=4_000)

    (output,) = run_once(config)

    assert output.stream == NAMES.error


def test_a_start_that_no_broker_answers_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ASK_S", 0.3)
    config = prepared(tmp_path, {})
    intake = orjson.loads((tmp_path / "intake.yaml").read_bytes())
    intake["sink"] = {"kind": "kafka", "kafka": {"bootstrap.servers": "127.0.0.1:9"}, "topic_prefix": "eqiad."}
    (tmp_path / "intake.yaml").write_bytes(orjson.dumps(intake))
    settings, base_dir = load(config)
    catalog = open_catalog(settings, base_dir)
    faults = []
    gc.collect()
    gc.disable()
    try:
        before = open_things()
        for _ in range(3):
            with pytest.raises(PenstockError, match="the limits of the topics cannot be asked for: ") as found:
                limits.most_bytes(settings, catalog)
            faults.append(found.value)  # As a caller that tells of it later.
        eventually(lambda: open_things() <= before)
    finally:
        gc.enable()


@pytest.mark.kafka
@pytest.mark.slow(reason="starts a broker")
def test_a_topic_that_takes_little_gets_everything_else(topics: Topics, tmp_path: Path) -> None:
    wiki, inputs = history_of(37, 60)
    large = orjson.dumps(event("revision-create", 11, 1, page_id=LARGE_PAGE, comment=LARGE))
    inputs.centres["eqiad"].insert(0, Arrival("mediawiki.revision-create", T, LARGE_PAGE, large))
    topics.produce(inputs.centres)
    limit(topics, 4_000)  # Less than a batch of what is written at once.

    process(sys.executable, topics.settings(tmp_path))
    outputs = topics.outputs()
    errors = [orjson.loads(one.value) for one in outputs if one.stream == NAMES.error]

    assert [f"takes {4_000 - FRAME_BYTES}" in one["message"] for one in errors] == [True]
    assert verdict_on(wiki, inputs, outputs).is_good


@pytest.mark.kafka
@pytest.mark.slow(reason="starts a broker")
def test_a_topic_that_takes_less_from_now_on_costs_a_start_and_no_order(topics: Topics, tmp_path: Path) -> None:
    wiki, inputs = history_of(38, 400)
    topics.produce(inputs.centres)
    config = topics.settings(tmp_path, commit_events=200, commit_s=3_600)
    command = ["-m", "server", "process", "page-change", "-c", str(config), "--once"]
    with Running(command, tmp_path / "log") as one:
        eventually(lambda: events_read(tmp_path / "out" / NAME) > 200)
        limit(topics, 4_000)
        ended = one.exit_code()
        one.says("the output cannot be written to topic .*size too large.* nothing of it is committed")
    process(sys.executable, config)
    seen: dict[bytes, Output] = {}
    for output in topics.outputs():
        seen.setdefault(output.value, output)

    assert ended == 1
    assert verdict_on(wiki, inputs, list(seen.values())).is_good
