"""Streams found by name."""

from __future__ import annotations

import re
from typing import Any

import pytest

from server.catalog import snapshot as module
from server.catalog.snapshot import Snapshot, build
from server.config.framework.document import parse

TEXT = r"""
default_settings:
  topic_prefixes: [eqiad., codfw.]
  producers: {eventgate: {enrich_fields_from_http_headers: {meta.request_id: X-Request-Id, a.user-agent: false}}}
default_settings_overrides:
  private: {producers: {eventgate: {validation: observe}}}
streams:
  exact: {schema_title: one, message_key_fields: {wiki_id: wiki_id, page_id: page.page_id}}
  app.special: {schema_title: special}
  /^app\./: {schema_title: first, destination_event_service: ours}
  /^app\.x/: {schema_title: second}
  bare: {schema_title: one, topic_prefixes: null, producers: {eventgate: {enabled: false, max_event_bytes: 2000}}}
  named: {schema_title: one, topics: [elsewhere]}
stream_overrides:
  testwiki: {exact: {schema_title: other, message_key_fields: null}, only.here: {schema_title: one}}
"""


def make(text: str = TEXT, *, prefix: str = "dc.", wiki: str | None = None) -> Snapshot:
    return build([parse(text, "streams.yaml")], topic_prefix=prefix, wiki=wiki)


def find(snapshot: Snapshot, name: str) -> Any:
    stream = snapshot.find(name)
    assert stream is not None
    return stream


def test_a_declared_stream_is_ready_to_use() -> None:
    stream = find(make(), "exact")

    assert (stream.name, stream.declared, stream.schema_title, stream.topic) == ("exact", "exact", "one", "dc.exact")
    assert stream.key_fields == (("wiki_id", ("wiki_id",)), ("page_id", ("page", "page_id")))
    assert stream.header_fields == ((("meta", "request_id"), b"x-request-id"),)
    assert (stream.validation, stream.enabled, stream.max_event_bytes, stream.service) == ("enforce", True, None, None)


def test_null_prefixes_and_an_explicit_topic_are_obeyed() -> None:
    snapshot = make()

    assert find(snapshot, "bare").topic == "bare"
    assert find(snapshot, "named").topic == "elsewhere"
    assert (find(snapshot, "bare").enabled, find(snapshot, "bare").max_event_bytes) == (False, 2000)


def test_an_exact_name_goes_before_a_regex_and_the_first_regex_before_the_second() -> None:
    snapshot = make()

    assert find(snapshot, "app.special").schema_title == "special"
    assert find(snapshot, "app.x1").schema_title == "first"
    assert find(snapshot, "app.x1").declared == r"/^app\./"
    assert find(snapshot, "app.x1").topic == "dc.app.x1"


@pytest.mark.parametrize(
    "name", [r"/^app\./", "nope", "", "app. ", "app./", "app.\n", "app." + "x" * 246, "x" * 10_000]
)
def test_what_is_not_declared_or_no_legal_topic_is_no_stream(name: str) -> None:
    snapshot = make(prefix="")

    assert snapshot.find(name) is None
    assert snapshot.find(name) is None


def test_overrides_of_a_wiki_apply_to_that_wiki_alone() -> None:
    assert find(make(wiki="private"), "exact").validation == "observe"
    assert find(make(wiki="testwiki"), "exact").schema_title == "other"
    assert find(make(wiki="testwiki"), "exact").key_fields == ()
    assert find(make(wiki="testwiki"), "only.here").schema_title == "one"
    assert make().find("only.here") is None


def test_a_later_source_is_laid_over_an_earlier_one() -> None:
    later = parse("streams: {exact: {schema_title: later}, more: {schema_title: m}}", "later.yaml")

    snapshot = build([parse(TEXT, "a.yaml"), later], topic_prefix="", wiki=None)

    assert find(snapshot, "exact").schema_title == "later"
    assert find(snapshot, "exact").key_fields != ()
    assert snapshot.names()[-1] == "more"


def test_a_name_seen_before_asks_no_regex_again(monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = make()
    first = find(snapshot, "app.new")
    assert snapshot.find("nope") is None
    monkeypatch.setattr(Snapshot, "_find_new", None)

    assert snapshot.find("app.new") is first
    assert snapshot.find("nope") is None


def test_a_million_invented_names_take_a_bounded_memory_and_forget_no_declaration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "NAMES_MAX", 10)
    snapshot = make()

    for number in range(1000):
        snapshot.find(f"app.{number}")
        snapshot.find(f"nope.{number}")

    assert len(snapshot._cache) == len(snapshot.names()) - 2 + 20
    assert snapshot.find("exact") is not None
    assert find(snapshot, "app.999").schema_title == "first"
    assert find(snapshot, "app.0").schema_title == "first"


def test_misses_push_out_no_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NAMES_MAX", 10)
    snapshot = make()
    first = find(snapshot, "app.kept")

    for number in range(100):
        snapshot.find(f"nope.{number}")

    assert snapshot.find("app.kept") is first


def test_invented_names_that_a_regex_matches_push_out_none_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NAMES_MAX", 10)
    snapshot = make()
    first = find(snapshot, "app.kept")

    for number in range(200):
        snapshot.find(f"app.{number}")
        if number % 9 == 0:
            assert snapshot.find("app.kept") is first
    for number in range(200, 230):
        snapshot.find(f"app.{number}")
    assert snapshot.find("app.kept") is not first
    assert len(snapshot._matches) <= 20


def test_without_sources_any_legal_topic_is_a_stream() -> None:
    snapshot = build([], topic_prefix="p.", wiki=None)

    assert snapshot.is_open
    stream = find(snapshot, "anything")
    assert (stream.topic, stream.schema_title, stream.validation) == ("p.anything", None, "enforce")
    assert snapshot.find("no spaces") is None
    assert snapshot.find("x" * 248) is None


def test_a_source_with_streams_is_not_open() -> None:
    assert not make().is_open


def test_settings_tell_the_declared_name_and_the_topics_of_the_name_asked_for() -> None:
    settings = make().settings("app.new")

    assert settings is not None
    assert settings["stream"] == r"/^app\./"
    assert settings["topics"] == ["eqiad.app.new", "codfw.app.new"]
    regex = make().settings(r"/^app\./")
    assert regex is not None and regex["topics"] == [r"/^(eqiad\.|codfw\.)app\./"]
    assert make().settings("nope") is None


def test_the_digest_is_that_of_the_settings_and_of_their_order() -> None:
    comment = make("# a comment\n" + TEXT)
    fields = ("wiki_id: wiki_id, page_id: page.page_id", "page_id: page.page_id, wiki_id: wiki_id")

    assert re.fullmatch("[0-9a-f]{64}", make().digest)
    assert make().digest == comment.digest
    assert make().digest != make(wiki="private").digest
    assert make().digest != make(TEXT.replace(*fields)).digest


def test_a_stream_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        find(make(), "exact").topic = "other"


def test_what_thousands_of_streams_say_alike_is_held_once() -> None:
    own = "{schema_title: one, producers: {eventgate: {enrich_fields_from_http_headers: {a.b: x}}}}"
    lines = "".join(f"  s{number}: {own}\n" for number in range(1_000))
    snapshot = make(TEXT.replace("streams:\n", f"streams:\n{lines}", 1))

    producers = [find(snapshot, f"s{number}").settings["producers"] for number in range(1_000)]
    assert producers[0]["eventgate"]["enrich_fields_from_http_headers"] == {
        "meta.request_id": "X-Request-Id",
        "a.user-agent": False,
        "a.b": "x",
    }
    assert len({id(each) for each in producers}) == 1
