"""Compute the topics of a stream, and the one that its events are produced to.

Place: catalog.stream and the settings API → HERE.
Rules: a stream's topics are ``topics`` when it is set; else the name with each prefix of ``topic_prefixes``; else the
name. Events go to the only topic of an explicit list, else to the name with the service's ``topic_prefix``, or without
it when the stream's ``topic_prefixes`` is null.
Not here: merging settings (catalog.merge).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from server.catalog.regex import is_regex, with_prefixes

LENGTH_MAX = 249  # Kafka's limit: a topic names a directory, followed by a partition number.
_LEGAL = re.compile(r"[A-Za-z0-9._-]{1,249}")


def is_legal(topic: str) -> bool:
    """Whether Kafka takes the name."""
    return _LEGAL.fullmatch(topic) is not None and topic not in (".", "..")


def effective(settings: Mapping[str, Any], name: str) -> list[str]:
    """Return all topics of a stream; for the name of a regex stream, one regex with the prefixes inside."""
    topics: list[str] | None = settings.get("topics")
    if topics is not None:
        return list(topics)
    prefixes: list[str] | None = settings.get("topic_prefixes")
    if not prefixes:
        return [name]
    if is_regex(name):
        return [with_prefixes(name, prefixes)]
    return [prefix + name for prefix in prefixes]


def produced(settings: Mapping[str, Any], name: str, topic_prefix: str) -> str:
    """Return the topic that the stream's events are produced to.

    A regex in ``topics`` is an answer of the settings API, and no topic."""
    topics: list[str] = [topic for topic in settings.get("topics") or () if not is_regex(topic)]
    if len(topics) == 1:
        return topics[0]
    if settings.get("topic_prefixes", ()) is None:
        return name
    return topic_prefix + name
