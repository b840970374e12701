"""server.intake.enrich: what the server knows, where the event lacks it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from server.intake.arrival import Arrival
from server.intake.enrich import Filling, Source, fill_defaults, gaps_of
from server.intake.members import Members, Path
from validators.shape import Default

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


def _source(text: bytes | None) -> Source:
    return Source(lambda _: text, text is not None, ())


def _fill(raw: bytes, fields: dict[Path, bytes | None]) -> bytes:
    reader = Members(fields)
    sources = {path: _source(text) for path, text in fields.items()}
    filling = Filling(sources, reader, gaps_of(sources))
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


def test_defaults_below_what_is_no_object_are_not_written() -> None:
    defaults = {"part": Default(None, {"size": Default(b"3", {})})}

    assert fill_defaults(b'{"part":null}', defaults) == b'{"part":null}'
    assert fill_defaults(b'{"part":{}}', defaults) == b'{"part":{"size":3}}'


def test_a_default_object_gets_the_defaults_inside_it() -> None:
    defaults = {"part": Default(b'{"kind":"a"}', {"size": Default(b"3", {})})}

    assert json.loads(fill_defaults(b"{}", defaults)) == {"part": {"kind": "a", "size": 3}}
