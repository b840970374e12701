"""Source events for tests, as short as their schemas allow."""

from __future__ import annotations

import itertools
from typing import Any

import orjson

from processors.page_change.consolidator import FOREVER, Consolidator
from processors.page_change.draft import Bounds
from processors.page_change.format import Names
from processors.page_change.records import Output
from processors.page_change.times import text_of

T = 1_767_225_600_000
NAMES = Names()
_numbers = itertools.count()
_SCHEMAS = {
    "page-create": "/mediawiki/revision/create/2.0.0",
    "revision-create": "/mediawiki/revision/create/2.0.0",
    "page-move": "/mediawiki/page/move/1.0.0",
    "page-delete": "/mediawiki/page/delete/1.0.0",
    "page-suppress": "/mediawiki/page/delete/1.0.0",
    "page-undelete": "/mediawiki/page/undelete/1.0.0",
    "revision-visibility-change": "/mediawiki/revision/visibility-change/1.0.0",
}


def event(stream: str, rev: int, at: float, made: float | None = None, **members: Any) -> dict[str, Any]:
    """An event of the page 7, sent ``at`` seconds after T; its revision was made at ``made``, or at the same time."""
    found: dict[str, Any] = {
        "$schema": _SCHEMAS[stream],
        "meta": {
            "stream": f"mediawiki.{stream}",
            "id": members.pop("id", f"id-{next(_numbers)}"),
            "dt": text_of(T + round(at * 1000)),
        },
        "database": members.pop("wiki", "examplewiki"),
        "page_id": members.pop("page_id", 7),
        "page_title": "Title",
        "page_namespace": 0,
        "page_is_redirect": False,
        "rev_id": rev,
    }
    if stream in ("page-create", "revision-create", "revision-visibility-change"):
        found["rev_timestamp"] = text_of(T + round((at if made is None else made) * 1000))
    if stream in ("page-create", "revision-create"):
        found["dt"] = found["rev_timestamp"]
    if stream == "page-move":
        found["prior_state"] = {"page_title": "Before", "page_namespace": 0, "rev_id": rev - 1}
    if stream == "revision-visibility-change":
        found["visibility"] = {"text": False, "user": True, "comment": True}
        found["prior_state"] = {"visibility": {"text": True, "user": True, "comment": True}}
    return found | members


def consolidated(*given: dict[str, Any], bounds: Bounds | None = None) -> tuple[list[dict[str, Any]], Consolidator]:
    """All records that these events become when they arrive before any of them is due, and the counts."""
    consolidator = Consolidator(bounds or Bounds(), NAMES)
    found: list[Output] = []
    for one in given:
        found += consolidator.take(orjson.dumps(one), None)
    found += consolidator.advance(FOREVER)
    return [orjson.loads(output.value) for output in found], consolidator


def kinds(records: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """Kind and revision of each event of the output."""
    return [
        (one["page_change_kind"], one["revision"]["rev_id"]) for one in records if one["meta"]["stream"] == NAMES.output
    ]


def verdicts(consolidator: Consolidator) -> dict[str, int]:
    """Verdict → number, over all streams."""
    found: dict[str, int] = {}
    for (_, verdict), count in consolidator.counts.items():
        found[verdict] = found.get(verdict, 0) + count
    return found
