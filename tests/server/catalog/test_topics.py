"""Topics of a stream, and the one that is produced to."""

from __future__ import annotations

from typing import Any

import pytest

from server.catalog import topics

REGEX = r"/^mediawiki\.job\..+/"


@pytest.mark.parametrize(
    ("settings", "name", "expected"),
    [
        ({}, "nonya", ["nonya"]),
        ({"topic_prefixes": None}, "nonya", ["nonya"]),
        ({"topic_prefixes": []}, "nonya", ["nonya"]),
        ({"topic_prefixes": ["eqiad.", "codfw."]}, "nonya", ["eqiad.nonya", "codfw.nonya"]),
        ({"topic_prefixes": ["eqiad."], "topics": ["nonya_topic"]}, "nonya", ["nonya_topic"]),
        ({}, REGEX, [REGEX]),
        ({"topic_prefixes": ["eqiad.", "codfw."]}, REGEX, [r"/^(eqiad\.|codfw\.)mediawiki\.job\..+/"]),
    ],
)
def test_topics_are_explicit_or_prefixed_or_the_name(settings: dict[str, Any], name: str, expected: list[str]) -> None:
    assert topics.effective(settings, name) == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "eqiad.s"),
        ({"topic_prefixes": ["eqiad.", "codfw."]}, "eqiad.s"),
        ({"topic_prefixes": []}, "eqiad.s"),
        ({"topic_prefixes": None}, "s"),
        ({"topics": ["t"]}, "t"),
        ({"topics": ["t"], "topic_prefixes": None}, "t"),
        ({"topics": ["t", "u"]}, "eqiad.s"),
        ({"topics": None}, "eqiad.s"),
        ({"topics": [r"/^(eqiad\.)s/"]}, "eqiad.s"),
    ],
)
def test_events_go_to_the_only_explicit_topic_or_to_our_prefix_and_the_name(
    settings: dict[str, Any], expected: str
) -> None:
    assert topics.produced(settings, "s", "eqiad.") == expected


@pytest.mark.parametrize("topic", ["", ".", "..", "a b", "a/b", "é", "a\n", "a" * 250])
def test_what_kafka_refuses_is_not_legal(topic: str) -> None:
    assert not topics.is_legal(topic)


@pytest.mark.parametrize("topic", ["a", "...", "A.b_c-9", "a" * 249])
def test_what_kafka_takes_is_legal(topic: str) -> None:
    assert topics.is_legal(topic)
