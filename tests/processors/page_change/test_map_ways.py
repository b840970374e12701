"""Both ways of mapping an event give the same draft: the typed decode, and the whole one."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest

from processors.page_change import map as maps
from processors.page_change.draft import Draft, Heartbeat, Invalid
from processors.page_change.map import STREAMS, map_event, map_whole
from processors.page_change.oracle.run import history_of
from tests.processors.page_change.events import T, event

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 7.0, 0.5, 1 << 63, (1 << 63) - 1, (1 << 64) - 1, 1e300),
    *("", "x", "é", "\x00", "canary", "2026-01-01T00:00:00Z", "2026-13-01", "/mediawiki/page/move/9.9.9"),
    *([], {}, [1], {"text": True}, {"text": True, "user": True, "comment": 0}),
)
TEXTS = (
    b"",
    b"{}",
    b"null",
    b"[" * 2_000,
    b'{"meta":' * 500,
    b'{"meta":{"stream":"\\ud800"}}',
    b"\xef\xbb\xbf{}",
    b"{} x",
)


def events() -> list[dict[str, Any]]:
    """An event of each stream, and those of a small history."""
    shortest = [event(stream.removeprefix("mediawiki."), 11, 0) for stream in STREAMS]
    wiki, _ = history_of(5, 20)
    return shortest + [sent.event for sent in wiki.sent]


def places(value: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """Each member of an event, at any depth, with the object that holds it."""
    found = []
    for name, inner in value.items():
        found.append((value, name))
        if isinstance(inner, dict):
            found += places(inner)
    return found


def changed(given: dict[str, Any], chance: random.Random) -> bytes:
    """The event with a member of another value, or without it, or named twice, or with other bytes."""
    one = orjson.loads(orjson.dumps(given))
    holder, name = chance.choice(places(one))
    how = chance.randrange(5)
    if how == 0:
        del holder[name]
    elif how == 1:
        holder[chance.choice(("id", "domain", "visibility", "prior_state", "rev_parent_id"))] = chance.choice(ODD)
    elif how < 4:
        holder[name] = chance.choice(ODD)
    raw = bytearray(orjson.dumps(one))
    if how == 3:
        other = orjson.dumps({name: chance.choice(ODD)})
        raw[-1:] = b"," + other[1:]
    if how == 4:
        for _ in range(chance.randrange(1, 3)):
            raw[chance.randrange(len(raw))] = chance.choice(b'{}[]",:\\ \x00\xff\xc3u0n')
    return bytes(raw)


@pytest.mark.parametrize("seed", range(5))
def test_both_ways_give_the_same_draft(seed: int) -> None:
    chance = random.Random(seed)
    given = events()
    seen = set()
    for _ in range(2_000):
        raw = changed(chance.choice(given), chance)
        at = chance.choice((T, T, T, T, None, 0, -1, 1 << 60))
        found = map_event(raw, at)
        seen.add(type(found))
        assert found == map_whole(raw, at), raw

    assert seen == {Draft, Heartbeat, Invalid}


@pytest.mark.parametrize("raw", TEXTS, ids=repr)
def test_both_ways_refuse_alike_what_is_no_event(raw: bytes) -> None:
    assert isinstance(map_event(raw, T), Invalid)
    assert map_event(raw, T) == map_whole(raw, T)


def test_events_of_a_wiki_need_no_whole_decode(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("the whole event was decoded")

    monkeypatch.setattr(maps, "map_whole", never)

    assert all(isinstance(map_event(orjson.dumps(one), T), Draft) for one in events())


def test_a_number_beyond_all_doubles_is_told_when_it_is_written_and_stops_nothing() -> None:
    from processors.page_change.consolidator import FOREVER, Consolidator
    from processors.page_change.draft import Bounds
    from tests.processors.page_change.events import NAMES

    raw = orjson.dumps(event("revision-create", 11, 0, rev_len=5)).replace(b'"rev_len":5', b'"rev_len":1e999')
    consolidator = Consolidator(Bounds(), NAMES)
    consolidator.take(raw, T)
    (output,) = consolidator.advance(FOREVER)

    assert output.stream == NAMES.error
    assert consolidator.counts[NAMES.output, "refused"] == 1
