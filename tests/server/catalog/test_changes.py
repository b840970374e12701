"""What a change of declarations would do, said before it is done."""

from __future__ import annotations

import pytest

from server.catalog.changes import changes
from server.catalog.snapshot import Snapshot, build
from server.config.framework.document import parse

BEFORE = r"""
streams:
  a: {schema_title: one, message_key_fields: {id: page.id}, sample: {rate: 1}, destination_event_service: x}
  '/^jobs\./': {schema_title: jobs}
"""


def snapshot(text: str) -> Snapshot:
    return build([parse(text, "streams.yaml")], topic_prefix="", wiki=None)


def told(before: str, after: str, to: str = BEFORE) -> list[tuple[str, str, bool]]:
    found = changes(snapshot(to), snapshot(to.replace(before, after)))
    return [(change.stream, change.text, change.is_breaking) for change in found]


def test_nothing_is_told_of_what_stays() -> None:
    assert told("", "") == []


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("page.id", "page.name", "a key change breaks partitioning"),
        ("message_key_fields: {id: page.id}, ", "", "key: id: page.id → none"),
        ("schema_title: one", "schema_title: two", "schema_title: one → two"),
        ("schema_title: one", "schema_title: one, topics: [b]", "topic: a → b"),
        ("service: x", "service: y", "service: x → y"),
        ("sample:", "producers: {eventgate: {enabled: false}}, sample:", "enabled: true → false"),
    ],
)
def test_what_senders_or_readers_would_notice_breaks(before: str, after: str, words: str) -> None:
    found = told(before, after)

    assert any(words in text and is_breaking for _, text, is_breaking in found)
    assert {stream for stream, _, _ in found} == {"a"}


def test_settings_of_others_are_told_and_break_nothing() -> None:
    assert told("rate: 1", "rate: 0.5, unit: session") == [
        ("a", "sample.rate: 1 → 0.5", False),
        ("a", "sample.unit: absent → session", False),
    ]
    assert told("one,", "one, topic_prefixes: [x., y.],") == [("a", "topics for readers: a → x.a, y.a", False)]


def test_streams_come_and_go() -> None:
    assert told("  a:", "  b:") == [
        ("a", "is gone: its events are refused with unknown_stream", True),
        ("b", "is new", False),
    ]
    more = BEFORE + "  jobs.one: {schema_title: jobs}\n"
    assert told("  jobs.one: {schema_title: jobs}\n", "", more) == [
        ("jobs.one", r"is gone; its events now go to /^jobs\./", True)
    ]
