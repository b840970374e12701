"""``penstock recover`` over the embedded sink: what is recovered, how it is stored, and what is left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from server.__main__ import main
from server.sink.spool import claim
from tests.fakes import Message
from tests.server.recovery.site import ERRORS, STREAM, Site, a_sale
from tests.server.sink.test_events import store

LONGER = {"note": {"type": "string", "maxLength": 80}}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def recovered(
    site: Site, capsys: pytest.CaptureFixture[str], *options: str, stream: str = STREAM
) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    given = ["recover", "-c", str(site.settings), "--stream", stream, "--format", "json", "--rate", "100000", *options]
    code = main(given)
    return code, json.loads(capsys.readouterr().out)


def test_after_a_schema_was_corrected_the_events_are_stored_as_they_would_have_been(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.refuse(a_sale(1))
    site.put_schema("1.0.0", **LONGER)
    code, report = recovered(site, capsys)
    [record] = site.stored()

    assert (code, report["found"], report["recovered"], report["refused"]) == (0, 1, 1, 0)
    assert record["value"] == a_sale(1)
    assert record["key"] == {"count": 1}
    assert record["timestamp_ms"] == 1_795_078_800_000  # 2026-11-19T09:00:00Z, its own meta.dt.
    assert record["headers"]["recovered-from"] == "error-0"


def test_an_event_without_a_time_of_its_own_has_that_of_its_receipt(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    sale = a_sale(1)
    del sale["meta"]["dt"]
    site.refuse(sale)
    site.put_schema("1.0.0", **LONGER)
    recovered(site, capsys)
    [record] = site.stored()

    assert record["timestamp_ms"] == 1_795_168_800_250  # The dt of its error event.
    assert record["value"]["meta"]["dt"] == "2026-11-20T10:00:00.250Z"


def test_another_run_stores_nothing_twice_and_more_after_another_correction(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.refuse(a_sale(1), a_sale(2, note="x" * 100))
    site.put_schema("1.0.0", **LONGER)
    first, second = recovered(site, capsys), recovered(site, capsys)
    site.put_schema("1.0.0", note={"type": "string"})
    third = recovered(site, capsys)

    counts = [
        (code, report["recovered"], report["stored_before"], report["refused"])
        for code, report in (first, second, third)
    ]

    assert counts == [(1, 1, 0, 1), (1, 0, 1, 1), (0, 1, 1, 0)]
    assert site.ids() == ["sale-1", "sale-2"]


def test_an_event_that_was_refused_several_times_or_sent_again_is_stored_once(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.refuse(a_sale(1), a_sale(1), a_sale(2))
    site.put_schema("1.0.0", **LONGER)
    store(site.events, Message(STREAM, json.dumps(a_sale(2)).encode(), None, 5, []))
    code, report = recovered(site, capsys)

    assert (code, report["recovered"], report["stored_before"]) == (0, 1, 2)
    assert sorted(site.ids()) == ["sale-1", "sale-2"]


def test_an_event_without_an_id_is_stored_once_for_each_error_event(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    sale = a_sale(1, meta={"stream": STREAM})
    site.refuse(sale, sale)
    site.put_schema("1.0.0", **LONGER)
    recovered(site, capsys)
    _, report = recovered(site, capsys)

    assert (report["stored_before"], len(site.stored()), len(set(site.ids()))) == (2, 2, 2)


def test_a_dry_run_reports_the_same_and_stores_nothing(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.refuse(a_sale(1), a_sale(2, count="many"), "{cut off", "{" + "x" * 65_535)
    site.put_schema("1.0.0", **LONGER)
    dry = recovered(site, capsys, "--dry-run")[1]

    assert site.stored() == []

    wet = recovered(site, capsys)[1]

    assert dry == wet | {"is_dry": True}
    assert (wet["recovered"], wet["refused"]) == (1, 3)
    assert {error["text"] for error in wet["errors"]} == {
        "'.count' should be integer",
        "it is no JSON object",
        "it was cut, because it is too long",
    }


def test_another_version_may_judge_and_the_event_names_it(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.refuse(a_sale(1))
    site.put_schema("1.1.0", **LONGER)

    assert recovered(site, capsys)[0] == 1
    assert recovered(site, capsys, "--schema", "1.1.0")[0] == 0
    assert [record["value"]["$schema"] for record in site.stored()] == ["/shop/sale/1.1.0"]


def test_events_are_repaired_before_they_are_judged(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.refuse(a_sale(7, count="7"))
    code, _ = recovered(site, capsys, "--map", "integer .count", "--map", "cut .note 8")

    assert code == 0
    assert site.stored()[0]["value"] == a_sale(7, note="longer t")


def test_only_events_of_the_stream_that_were_refused_since_are_looked_at(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.refuse(a_sale(1), dt="2026-11-01T00:00:00Z")
    site.refuse(a_sale(2), dt="2026-11-02T00:00:00Z", first=1)
    store(site.events, site.record(a_sale(3), "2026-11-02T00:00:00Z", 3, "another.stream"))
    site.put_schema("1.0.0", **LONGER)
    _, report = recovered(site, capsys, "--since", "2026-11-02T00:00:00Z")

    assert (report["found"], site.ids()) == (1, ["sale-2"])


def test_an_error_event_that_holds_no_event_is_counted(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    record = site.record(a_sale(1), "yesterday", 0)
    record.value = record.value.replace(b'"yesterday"', b"5")
    store(site.events, record)
    code, report = recovered(site, capsys)

    assert (code, report["found"], report["unusable"]) == (1, 0, 1)


def test_events_keep_the_order_in_which_they_were_refused(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.refuse(*(a_sale(number) for number in range(50)))
    site.put_schema("1.0.0", **LONGER)
    recovered(site, capsys)

    assert site.ids() == [f"sale-{number}" for number in range(50)]


def test_two_recoveries_do_not_run_at_once(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.refuse(a_sale(1))
    lock = claim.take(site.events / "recover")

    assert lock is not None
    assert main(["recover", "-c", str(site.settings), "--stream", STREAM]) == 2
    assert "another recovery is running" in capsys.readouterr().err


def test_nothing_is_stored_where_damage_hides_what_is_stored(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.refuse(a_sale(1))
    site.put_schema("1.0.0", **LONGER)
    (site.events / "events-7.broken-20261120T100000Z").write_bytes(b"damaged")

    assert main(["recover", "-c", str(site.settings), "--stream", STREAM]) == 1
    assert "an event could be stored twice" in capsys.readouterr().err
    assert site.stored() == []


def test_without_error_events_there_is_nothing_to_recover(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    off = ("--set", 'intake.error_stream=""')

    assert main(["recover", "-c", str(site.settings), "--stream", STREAM, *off]) == 2
    assert "intake.error_stream is empty" in capsys.readouterr().err


def test_the_report_for_people_names_errors_and_examples(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.refuse(a_sale(1))

    assert main(["recover", "-c", str(site.settings), "--stream", STREAM]) == 1
    assert capsys.readouterr().out.splitlines()[:5] == [
        f"{STREAM}: 1 refused events found",
        "  0 recovered",
        "  0 stored before",
        "  1 refused again",
        "1 × schema_violation: '.note' should NOT be longer than 8 characters",
    ]
    assert site.stored(ERRORS) != []
