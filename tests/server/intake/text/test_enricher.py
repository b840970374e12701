"""server.intake.text.enricher: what the server knows, where the event lacks it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.intake.arrival import Arrival
from server.intake.text import enricher as module
from server.intake.text.enricher import Enricher, Insert, Plan, Ready, gaps_of
from server.intake.text.enrichment import NEW_ID, EnrichmentSource
from server.intake.text.members import MemberReader, Path

NAMES = st.sampled_from(["meta", "http", "headers", "dt", "q'"])
LEAVES = st.sampled_from([None, 0, 1.5, "", "{}", '{"dt":1}', "é"])
EVENTS = st.dictionaries(
    NAMES,
    st.recursive(
        LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
    ),
    max_size=4,
)
FIELDS: dict[Path, bytes | None] = {
    ("dt",): b'"now"',
    ("meta", "dt"): b"1",
    ("meta", "q'"): b'{"dt":1}',
    ("http", "dt"): None,
    ("http", "headers", "dt"): b"[2]",
    ("http", "headers", "meta"): b'"{}"',
}


def _source(text: bytes | None) -> EnrichmentSource:
    return EnrichmentSource(lambda _: text, text is not None, ())


def _fill(raw: bytes, fields: dict[Path, bytes | None]) -> bytes:
    reader = MemberReader(fields)
    sources = {path: _source(text) for path, text in fields.items()}
    filling = Enricher(sources, reader, gaps_of(sources))
    return filling.fill(raw, filling.missing(reader.read(raw)), Arrival(0, b'""', {}))


def _expected(event: dict[str, Any], fields: dict[Path, bytes | None]) -> dict[str, Any]:
    """The same by parsing, setting and nothing clever."""
    filled: dict[str, Any] = json.loads(json.dumps(event))
    for path, text in fields.items():
        level: Any = filled
        if text is None:
            continue
        for name in path[:-1]:
            level = level.setdefault(name, {}) if isinstance(level, dict) else None
        if isinstance(level, dict):
            level.setdefault(path[-1], json.loads(text))
    return filled


@given(event=EVENTS, chosen=st.sets(st.sampled_from(sorted(FIELDS)), min_size=1), spaced=st.booleans())
def test_splicing_gives_the_same_event_as_parsing_and_setting(
    event: dict[str, Any], chosen: set[Path], spaced: bool
) -> None:
    fields = {path: FIELDS[path] for path in sorted(chosen)}
    raw = json.dumps(event, indent=1 if spaced else None, separators=(" ,", " : ") if spaced else (",", ":")).encode()

    assert json.loads(_fill(raw, fields)) == _expected(event, fields)


def test_an_event_that_lacks_nothing_is_the_same_object() -> None:
    raw = b'{"dt":null}'

    assert _fill(raw, {("dt",): b"1"}) is raw


@given(event=EVENTS, escaped=st.booleans(), spaced=st.booleans(), names=st.sets(st.sampled_from(["dt", "id", "x"])))
def test_the_fast_way_gives_the_same_bytes_as_the_slow_one(
    event: dict[str, Any], escaped: bool, spaced: bool, names: set[str]
) -> None:
    event["meta"] = {"stream": "a"} | ({"note": "\u00e9"} if escaped else {})
    raw = json.dumps(event, indent=1 if spaced else None).encode()
    plan: Plan = {("meta",): [b'"a":', 0, b',"dt":', -2, b","]}
    if names:
        plan = {(): [piece for name in sorted(names) for piece in (b'"%b":' % name.encode(), 1, b",")]} | plan

    texts: list[bytes | None] = [b"1", b"2"]
    arrival = Arrival(1, b'"now"', {})

    insert, ready = Insert(plan), Ready(texts, {})
    insert.prepare(ready)

    assert insert.into(raw, ready, arrival) == insert.anywhere(raw, texts, arrival)


def test_every_event_gets_an_identity_of_its_own() -> None:
    fields = {("meta", "id"): NEW_ID, ("dt",): _source(b"1")}
    reader = MemberReader(fields)
    filling, arrival = Enricher(fields, reader, gaps_of(fields)), Arrival(0, b'""', {})
    raw = b'{"meta":{"stream":"a"}}'

    filled = [json.loads(filling.fill(raw, filling.missing(reader.read(raw)), arrival)) for _ in range(2)]

    assert filled[0]["meta"]["id"] != filled[1]["meta"]["id"]
    assert all(event == {"dt": 1, "meta": {"stream": "a", "id": event["meta"]["id"]}} for event in filled)


def test_what_clients_choose_does_not_grow_the_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEPT", 2)
    fields: dict[Path, bytes | None] = {("a",): b"1", ("b",): b"2", ("c", "d"): b"3"}
    reader = MemberReader(fields)
    sources = {path: _source(text) for path, text in fields.items()}
    filling = Enricher(sources, reader, gaps_of(sources))

    for raw in (b'{"a":0}', b'{"b":0}', b'{"a":0,"b":0}', b'{"c":{}}', b'{"c":{"d":0}}'):
        filled = filling.fill(raw, filling.missing(reader.read(raw)), Arrival(0, b'""', {}))
        assert json.loads(filled) == _expected(json.loads(raw), fields)

    assert sum(map(len, filling._inserts.values())) == 2
