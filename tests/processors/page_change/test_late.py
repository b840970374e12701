"""The oracle where every page has late events: what is allowed there, and nothing else."""

from __future__ import annotations

import orjson
import pytest

from processors.page_change.consolidator import Consolidator
from processors.page_change.draft import Bounds
from processors.page_change.embedded.watermarks import Watermarks
from processors.page_change.oracle.history import Wiki
from processors.page_change.oracle.inputs import Inputs, spread
from processors.page_change.oracle.run import verdict_on
from processors.page_change.records import Output
from tests.processors.page_change.events import NAMES

ENDED = 1 << 60


def late_history(seed: int, pages: int) -> tuple[Wiki, Inputs]:
    wiki = Wiki(seed, pages)
    wiki.run()
    return wiki, spread(wiki, seed, 60_000, 30_000, late_share=1.0)


def consolidated(inputs: Inputs) -> list[Output]:
    """All records, where that input is read on which lags most."""
    consolidator = Consolidator(Bounds(), NAMES)
    marks = Watermarks(60_000, {})
    left = {centre: list(reversed(records)) for centre, records in inputs.centres.items()}
    newest = dict.fromkeys(left, -1)
    found: list[Output] = []
    while any(left.values()):
        centre = min((name for name, records in left.items() if records), key=lambda name: newest[name])
        one = left[centre].pop()
        newest[centre] = max(newest[centre], one.at)
        found += consolidator.take(one.raw, one.at)
        marks.note(centre, one.at, None if left[centre] else ENDED)
        found += consolidator.advance(marks.value(list(left)))
    return found + consolidator.flush()


@pytest.mark.slow(reason="histories in which every page has late events")
@pytest.mark.parametrize("seed", range(3))
def test_pages_with_late_events_keep_the_promises(seed: int) -> None:
    wiki, inputs = late_history(seed, 60)

    report = verdict_on(wiki, inputs, consolidated(inputs))

    assert report.is_good, report
    assert report.set_aside > 50


def test_a_move_may_be_an_edit_only_if_a_side_stream_has_its_page_move() -> None:
    wiki, inputs = late_history(5, 60)
    outputs = consolidated(inputs)
    moved = {(page, one.rev) for page, history in wiki.truth.items() for one in history if one.kind == "move"}
    edits = {_change(one) for one in outputs if one.stream == NAMES.output and b'"edit"' in one.value} & moved
    kept = [one for one in outputs if one.stream != NAMES.late or _told(one) not in edits]

    assert edits
    assert verdict_on(wiki, inputs, outputs).unexpected == 0
    assert verdict_on(wiki, inputs, kept).unexpected >= len(edits)


def _change(one: Output) -> tuple[int, int]:
    event = orjson.loads(one.value)
    return event["page"]["page_id"], event["revision"]["rev_id"]


def _told(one: Output) -> tuple[int, int]:
    event = orjson.loads(one.value)
    return event["page_id"], event["rev_id"]
