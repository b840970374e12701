"""Input events become drafts, and these valid events of the output, as the tables say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from processors.page_change import tables_page
from processors.page_change.command import EXAMPLE
from processors.page_change.consolidator import FOREVER, Consolidator
from processors.page_change.draft import Bounds, Draft, Invalid
from processors.page_change.format import NAMESPACE, SCHEMA, Names, identifier
from processors.page_change.map import STREAMS, TITLES, map_event
from processors.page_change.tables import TABLES
from server.schemas.repository import SchemaRepository
from tests.harness.running import ROOT
from tests.processors.page_change.events import NAMES, T, consolidated, event
from validators import Registry

PAGE = ROOT / "docs" / "PAGE_CHANGE.md"


@pytest.fixture(scope="module")
def schemas() -> SchemaRepository:
    """Our own schemas of the inputs and outputs."""
    return SchemaRepository(Registry([str(EXAMPLE / "schemas"), str(ROOT / "server/examples/schemas")]))


def problems(schemas: SchemaRepository, value: dict[str, Any]) -> object:
    found = schemas.find_here(value["$schema"])
    assert not isinstance(found, tuple), found
    return found.check(orjson.dumps(value))


def test_the_documentation_has_the_tables_of_the_code() -> None:
    between = re.search(r"<!-- tables -->\n(.*)\n<!-- /tables -->", PAGE.read_text("utf-8"), re.DOTALL)

    assert between is not None
    assert between[1] == tables_page.text(), "python -m processors.page_change.tables_page"


@pytest.mark.parametrize("kind", TABLES)
def test_every_member_of_a_table_is_one_of_the_schema(kind: str, schemas: SchemaRepository) -> None:
    found = schemas.find_here(SCHEMA)
    assert not isinstance(found, tuple)

    assert [row.target for row in TABLES[kind] if not found.declares(tuple(row.target.split(".")))] == []  # type: ignore[index]


def test_an_identifier_is_that_of_rfc_9562() -> None:
    from uuid import uuid5

    assert identifier("stream", "source") == str(uuid5(NAMESPACE, "stream\nsource"))


@pytest.mark.parametrize("line", (EXAMPLE / "events.ndjson").read_bytes().splitlines())
def test_the_example_events_are_valid_and_so_is_their_output(line: bytes, schemas: SchemaRepository) -> None:
    source = orjson.loads(line)

    records, _ = consolidated(source)

    assert problems(schemas, source) is None
    assert [problems(schemas, record) for record in records] == [None]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"meta": None}, ".meta is missing"),
        ({"meta": {"stream": "other"}}, ".meta.stream 'other' is not one of the inputs"),
        ({"$schema": "/app/tick/1.0.0"}, ".$schema '/app/tick/1.0.0' is not a version of mediawiki/page/move"),
        ({"database": ""}, ".database is missing"),
        ({"page_id": 0}, ".page_id is not a number of a page"),
        ({"page_id": True}, ".page_id is not a number of a page"),
        ({"rev_id": 0}, ".rev_id is not a number of a revision"),
        ({"page_title": None}, ".page_title is missing"),
        ({"meta": {"stream": "mediawiki.page-move", "dt": "soon"}}, ".meta.dt is not a time"),
        ({"prior_state": None}, ".prior_state is missing"),
    ],
)
def test_a_broken_event_is_invalid_with_its_reason(
    change: dict[str, Any], reason: str, schemas: SchemaRepository
) -> None:
    broken = event("page-move", 11, 0) | change
    records, consolidator = consolidated(broken)

    assert [record["message"] for record in records] == [reason]
    assert problems(schemas, records[0]) is None
    assert sum(count for (_, verdict), count in consolidator.counts.items() if verdict == "invalid") == 1


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b'"text"', b"\xff"])
def test_what_is_no_object_is_invalid(raw: bytes) -> None:
    assert isinstance(map_event(raw, T), Invalid)


@pytest.mark.parametrize("at", [-1, 0, 1 << 60])
def test_a_record_whose_time_is_in_no_calendar_is_invalid(at: int) -> None:
    consolidator = Consolidator(Bounds(), NAMES)
    (output,) = consolidator.take(orjson.dumps(event("page-delete", 11, 0)), at)

    assert orjson.loads(output.value)["message"] == "the time of the record is in no calendar"


def test_an_event_without_an_id_is_named_by_its_content() -> None:
    source = event("page-delete", 11, 0)
    del source["meta"]["id"]
    draft = map_event(orjson.dumps(source), None)

    assert isinstance(draft, Draft)
    assert draft.source.startswith("sha256:")


def test_an_output_that_is_not_valid_becomes_an_error_event() -> None:
    consolidator = Consolidator(Bounds(), NAMES, check=lambda value: "'.dt' should be a time")
    consolidator.take(orjson.dumps(event("page-delete", 11, 0)), None)
    (output,) = consolidator.advance(FOREVER)

    assert output.stream == NAMES.error
    assert orjson.loads(output.value)["message"] == "'.dt' should be a time"


def test_a_suppression_says_nothing_of_who_and_what() -> None:
    source = event("page-suppress", 11, 0, performer={"user_text": "Oversight"}, comment="why", rev_count=3)
    records, _ = consolidated(source)

    assert "performer" not in records[0]
    assert records[0]["revision"].keys() == {
        *("rev_id", "rev_dt", "is_content_visible", "is_comment_visible", "is_editor_visible")
    }
    assert not any(value for name, value in records[0]["revision"].items() if name.startswith("is_"))


@pytest.mark.parametrize("is_shown", [True, False])
def test_hidden_text_has_no_digest_and_no_slots(is_shown: bool) -> None:
    bits = {"text": is_shown, "user": True, "comment": True}
    source = event("revision-visibility-change", 11, 0, rev_sha1="abc", rev_content_model="wikitext", visibility=bits)
    records, _ = consolidated(source)

    assert ("rev_sha1" in records[0]["revision"], "content_slots" in records[0]["revision"]) == (is_shown, is_shown)


def corpus_inputs(corpus: Path) -> list[dict[str, Any]]:
    """The corpus's examples of the inputs; those of two schemas also as the other stream that has it."""
    found = []
    for name in ("events-routed.ndjson", "events-old-versions.ndjson"):
        for line in (corpus / name).read_bytes().splitlines():
            one = orjson.loads(line)
            for stream, kind in STREAMS.items():
                if one["$schema"].strip("/").rpartition("/")[0] == TITLES[kind]:
                    found.append(one | {"meta": one["meta"] | {"stream": stream}})
    return found


def test_the_examples_of_every_real_input_schema_map_to_valid_events(corpus: Path) -> None:
    real = SchemaRepository(Registry([str(corpus / "jsonschema")]))
    given = corpus_inputs(corpus)
    checked = 0
    for source in given:
        consolidator = Consolidator(Bounds(), Names())
        consolidator.take(orjson.dumps(source), T)
        (output,) = consolidator.advance(FOREVER)
        record = orjson.loads(output.value)

        assert record["$schema"] == SCHEMA, record.get("message")
        assert problems(real, record) is None
        assert_as_in_the_table(source, record)
        checked += 1

    assert {one["meta"]["stream"] for one in given} == STREAMS.keys()
    assert checked >= 15


def assert_as_in_the_table(source: dict[str, Any], record: dict[str, Any]) -> None:
    """Each plain row of the table holds for this event, which met no other."""
    for row in TABLES[STREAMS[source["meta"]["stream"]]]:
        if row.rule.says or len(row.sources) > 1 or not row.sources[0].isidentifier():
            continue
        assert at(record, row.target) == at(source, row.sources[0]), row


def at(value: Any, dotted: str) -> Any:
    for name in dotted.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
