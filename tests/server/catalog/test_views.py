"""Effective settings as readers see them: the table of the existing system's own tests, and its vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from server.catalog.query import Query, parse
from server.catalog.snapshot import build
from server.catalog.sources import read_files, sections
from server.catalog.views import Views
from server.config.framework import document

CORPUS = Path(__file__).parents[3].parent / "shared" / "corpus"

TEXT = r"""
default_settings: {topic_prefixes: [eqiad., codfw.]}
default_settings_overrides:
  private: {canary_events_enabled: false}
streams:
  integer_indexed: {schema_title: integer_indexed_schema, destination_event_service: eventgate-main}
  nonya:
    schema_title: mediawiki/nonya
    sample: {rate: .5}
    destination_event_service: eventgate-analytics
    topics: [nonya_topic]
  eventlogging_Test:
    schema_title: analytics/legacy/test
    sample: {rate: 1.0, unit: session}
    destination_event_service: eventgate-analytics
    topic_prefixes: null
  test.event:
    schema_title: test/event
    sample: {rate: 1.0, unit: session}
    destination_event_service: eventgate-main
    topic_prefixes: [dc1., dc2.]
  '/^mediawiki\.job\..+/': {schema_title: mediawiki/job, sample: {rate: .8}, destination_event_service: eventgate-main}
stream_overrides:
  otherwiki:
    nonya: {sample: {rate: 0}}
    only.there: {schema_title: test/event}
    '/(broken/': {schema_title: test/event}
"""
JOBS = r"/^mediawiki\.job\..+/"


def views(text: str = TEXT, wiki: str | None = None) -> Views:
    return Views(sections([document.parse(text, "streams.yaml")]), wiki)


def ask(query: Query | bytes, made: Views | None = None) -> dict[str, Any]:
    asked = parse(query) if isinstance(query, bytes) else query
    return dict(entry for entry in (made or views()).of(asked.wiki).select(asked) if entry is not None)


def test_a_stream_with_a_topic_of_its_own_keeps_its_prefixes() -> None:
    assert ask(b"streams=nonya") == {
        "nonya": {
            "topic_prefixes": ["eqiad.", "codfw."],
            "schema_title": "mediawiki/nonya",
            "sample": {"rate": 0.5},
            "destination_event_service": "eventgate-analytics",
            "topics": ["nonya_topic"],
            "stream": "nonya",
        }
    }


def test_prefixes_of_a_stream_replace_those_of_the_defaults() -> None:
    found = ask(b"streams=nonya|test.event")

    assert list(found) == ["nonya", "test.event"]
    assert found["test.event"]["topics"] == ["dc1.test.event", "dc2.test.event"]


def test_a_name_that_a_regex_matches_is_its_own_key_with_its_own_topics() -> None:
    found = ask(b"streams=nonya|mediawiki.job.A|mediawiki.job.B")

    assert list(found) == ["nonya", "mediawiki.job.A", "mediawiki.job.B"]
    assert found["mediawiki.job.A"]["stream"] == JOBS
    assert found["mediawiki.job.A"]["topics"] == ["eqiad.mediawiki.job.A", "codfw.mediawiki.job.A"]


def test_all_streams_are_there_in_declared_order_and_the_regex_under_its_own_name() -> None:
    found = ask(b"")

    assert list(found) == ["integer_indexed", "nonya", "eventlogging_Test", "test.event", JOBS]
    assert found["integer_indexed"]["topics"] == ["eqiad.integer_indexed", "codfw.integer_indexed"]
    assert found["eventlogging_Test"]["topic_prefixes"] is None
    assert found["eventlogging_Test"]["topics"] == ["eventlogging_Test"]
    assert found[JOBS]["topics"] == [r"/^(eqiad\.|codfw\.)mediawiki\.job\..+/"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        (b"streams=unconfigured", []),
        (b"streams=", []),
        (b"streams=" + b"x" * 300, []),
        (b"streams=mediawiki.job.a%20b", []),
        (b"constraints=destination_event_service=eventgate-main", ["integer_indexed", "test.event", JOBS]),
        (b"streams=mediawiki.job.w&constraints=destination_event_service=eventgate-main", ["mediawiki.job.w"]),
        (b"streams=mediawiki.job.w&constraints=destination_event_service=eventgate-analytics", []),
        (b"constraints=sample[unit]=session", ["eventlogging_Test", "test.event"]),
        (b"constraints=sample[rate]=1|sample[unit]=session", ["eventlogging_Test", "test.event"]),
        (b"constraints=sample[rate]=0.8", [JOBS]),
        (b"constraints=topic_prefixes[]=codfw.", ["integer_indexed", "nonya", JOBS]),
        (b"constraints=topics[]=dc2.test.event", ["test.event"]),
        (b"constraints=stream=mediawiki.job.workworkwork", [JOBS]),
        (b"constraints=stream=nonya", ["nonya"]),
        (b"constraints=stream=/^mediawiki\\.job\\..%2B/", []),
        (b"streams=/^mediawiki\\.job\\..%2B/", [JOBS]),
    ],
)
def test_streams_that_are_asked_for(query: bytes, names: list[str]) -> None:
    assert list(ask(query)) == names


def test_a_wiki_sees_its_own_overrides_and_any_other_none() -> None:
    def rate(query: bytes, own: str | None = None) -> object:
        return ask(query, views(wiki=own))["nonya"]["sample"]["rate"]

    assert rate(b"wiki=otherwiki") == 0
    assert rate(b"wiki=elsewhere") == 0.5
    assert rate(b"", own="otherwiki") == 0
    assert rate(b"wiki=elsewhere", own="otherwiki") == 0.5
    assert "only.there" in ask(b"wiki=otherwiki")
    assert ask(b"wiki=private&streams=nonya")["nonya"]["canary_events_enabled"] is False


def test_names_of_strangers_are_not_remembered_and_wikis_of_strangers_neither() -> None:
    made = views()
    for number in range(100):
        ask(b"streams=mediawiki.job.%d&wiki=w%d" % (number, number), made)

    assert len(made._made) == 1


def vectors() -> list[Any]:
    if not CORPUS.is_dir():
        return []
    found: list[Any] = json.loads((CORPUS / "streamconfigs-vectors.json").read_text())["vectors"]
    return found


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"the corpus is not there: {CORPUS}")
@pytest.mark.parametrize("vector", vectors())
def test_the_vectors_of_the_existing_system(vector: Any) -> None:
    request = vector["request"]
    made = Views(sections(read_files([CORPUS / "streams-production.yaml"])), request["wiki"])

    answer = ask("&".join(f"{name}={value}" for name, value in request["params"].items()).encode(), made)

    assert answer == vector["response"]["streams"]


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"the corpus is not there: {CORPUS}")
def test_readers_and_events_see_the_same_settings() -> None:
    sources = read_files([CORPUS / "streams-production.yaml"])
    snapshot = build(sources, topic_prefix="", wiki="private")

    answer = ask(b"", Views(snapshot.sections, "private"))

    assert answer == {name: snapshot.settings(name) for name in snapshot.names()}
    assert len(answer) == 50
