"""The Python client decides as the vectors say that both client libraries share."""

from __future__ import annotations

import json
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from penstock_client import Ticket, batches, decisions, streams
from penstock_client.core import Core
from penstock_client.lanes import Lane
from penstock_client.options import Options
from penstock_client.validation import Judge

VECTORS = Path(__file__).parents[2] / "contract" / "clients"
NOW_S = datetime.fromisoformat("2026-11-28T12:00:00Z").timestamp()


def cases(name: str) -> pytest.MarkDecorator:
    """The cases of a file, as parameters."""
    found = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))["cases"]
    return pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in found])


@cases("retry")
def test_what_becomes_of_each_event(case: dict[str, Any]) -> None:
    given = case["input"]
    if "failure" in given:
        found = decisions.after_failure(given["events"], given["failure"])
    else:
        found = decisions.after_answer(given["events"], given["status"], given["headers"], given["body"], NOW_S)

    assert {
        "outcomes": list(found.outcomes),
        "reasons": list(found.reasons),
        "split": found.is_split,
        "pause": found.pauses,
        "retry_after_s": found.retry_after_s,
    } == case["expected"]


@cases("backoff")
def test_how_long_to_wait(case: dict[str, Any]) -> None:
    assert {"delay_s": decisions.backoff_s(**case["input"])} == case["expected"]


@cases("retry_after")
def test_how_long_the_server_asks_to_wait(case: dict[str, Any]) -> None:
    given = case["input"]
    now_s = datetime.fromisoformat(given["now"]).timestamp()

    assert {"retry_after_s": decisions.parse_retry_after(given["value"], given["date"], now_s)} == case["expected"]


@cases("receipts")
def test_what_a_receipt_leads_to(case: dict[str, Any]) -> None:
    assert {"action": decisions.after_receipt(**case["input"])} == case["expected"]


@cases("batching")
def test_how_events_become_batches(case: dict[str, Any]) -> None:
    given = case["input"]
    found: list[list[int]] = []
    too_large: list[int] = []
    if "halve" in given:
        found = [list(half) for half in batches.halve(range(given["halve"]))]
    else:
        sizes, max_bytes = given["sizes"], given["max_bytes"]
        left = [index for index, size in enumerate(sizes) if batches.fits(size, max_bytes)]
        too_large = [index for index in range(len(sizes)) if index not in left]
        lane = Lane("http://intake.invalid", is_hasty=False)
        lane.fresh.extend(Ticket("stream", str(index), b"x" * sizes[index], lane, 0.0) for index in left)
        while (batch := lane.take(0.0, given["max_events"], max_bytes)) is not None:
            found.append([int(ticket.id) for ticket in batch.tickets])

    assert found == case["expected"]["batches"]
    assert too_large == case["expected"].get("too_large", [])


@cases("validation")
def test_what_is_valid(case: dict[str, Any]) -> None:
    given = case["input"]

    assert {"valid": not Judge(given["schema"]).errors(given["event"])} == case["expected"]


@cases("sampling")
def test_what_is_in_the_sample(case: dict[str, Any]) -> None:
    assert {"in_sample": streams.is_in_sample(**case["input"])} == case["expected"]


@cases("curation")
def test_what_passes_curation(case: dict[str, Any]) -> None:
    assert {"passes": streams.passes_curation(**case["input"])} == case["expected"]


@cases("submit")
def test_what_becomes_of_what_is_submitted(case: dict[str, Any]) -> None:
    core = Core(Options("http://intake.invalid"), 0.0, lambda: int(NOW_S * 1e9), lambda: 0.5)

    ticket = core.prepare(case["input"]["stream"], case["input"]["event"], False, None, 0.0)

    if ticket.body is None:
        assert {"reason": ticket.outcome.reason} == case["expected"]
        return
    sent = json.loads(ticket.body)
    if case["expected"]["event"]["meta"]["id"] == "<made>" and uuid.UUID(sent["meta"]["id"]).version == 7:
        sent["meta"]["id"] = "<made>"
    assert {"event": sent} == case["expected"]


@cases("streamconfig")
def test_what_becomes_of_an_event_under_a_configuration(case: dict[str, Any]) -> None:
    given = case["input"]
    declared = None if given["streams"] is False else streams.Streams(given["streams"])
    event = given["event"] | {"meta": given["event"].get("meta", {}) | {"stream": given["stream"]}}
    found = streams.judge(declared, given["stream"], event, given["ids"], lambda: given["context"])
    if isinstance(found, str):
        outcome: dict[str, Any] = {"sent": False, "reason": found}
    else:
        outcome = {"sent": True, "url": streams.destination(found, given["services"], given["url"]), "event": event}

    assert outcome == case["expected"]
