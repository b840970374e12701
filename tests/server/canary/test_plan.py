"""Which canaries are expected."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from server.canary.plan import checks
from server.catalog.snapshot import Snapshot, build
from server.catalog.sources import read_files
from server.config.checks.canary_rules import targets_of
from server.config.settings import Config

STREAMS = """\
default_settings: {schema_title: a/b}
streams:
  plain: {}
  asked: {canary_events_enabled: true, alarms: {owner: a-team}}
  unwanted: {canary_events_enabled: false}
  disabled: {producers: {eventgate: {enabled: false}}}
  ours: {destination_event_service: mine}
  others: {destination_event_service: theirs}
  page: {producers: {eventgate: {origins: ['https://*.a.example', 'https://b.example']}}}
  '/^a\\..+/': {}
"""
PUBLIC = """\
default_settings: {schema_title: a/b}
streams:
  private: {}
  off: {consumers: {eventstreams: {enabled: false}}}
  open: {consumers: {eventstreams: {enabled: true}}}
  hidden: {consumers: {eventstreams: {enabled: true, redact: [user, meta.id]}}}
  hidden.whole: {consumers: {eventstreams: {enabled: true, redact: [meta]}}}
  near: {consumers: {eventstreams: {enabled: true, redact: [meta.id_of_user]}}}
  keyed: {consumers: {eventstreams: {enabled: true, auth: [api_keys]}}}
  either: {consumers: {eventstreams: {enabled: true, auth: [none, api_keys]}}}
"""


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    path = tmp_path / "streams.yaml"
    path.write_text(STREAMS)
    return build(read_files([path]), topic_prefix="p.", wiki=None)


def config(**sections: object) -> Config:
    return msgspec.convert({"service_name": "mine", **sections}, Config)


def test_there_is_one_for_each_stream_and_target_unless_the_stream_declines(snapshot: Snapshot) -> None:
    two = config(canary={"targets": {"x": "http://x.example/", "y": "http://y.example"}})

    expected = checks(snapshot, two)

    assert [(one.stream, one.target) for one in expected] == [
        (stream, target) for stream in ("plain", "asked", "ours", "page") for target in ("x", "y")
    ]
    assert {one.url for one in expected} == {"http://x.example", "http://y.example"}
    assert expected[0].topic == "p.plain"
    assert [one.origin for one in expected[-3:]] == [None, "https://b.example", "https://b.example"]
    assert {(one.stream, one.owner) for one in checks(snapshot, two, ["asked"])} == {("asked", "a-team")}
    assert expected[0].owner == ""


@pytest.mark.parametrize(
    ("http", "url"),
    [
        ({}, "http://127.0.0.1:8192"),
        ({"listen": ["unix:/x", ":80"]}, "http://127.0.0.1:80"),
        ({"listen": ["[::]:80"]}, "http://[::1]:80"),
        ({"listen": ["a.example:80"]}, "http://a.example:80"),
        ({"listen": ["unix:/x", "127.0.0.1:0"]}, None),
        ({"proxy_protocol": True}, None),
    ],
)
def test_without_targets_it_is_the_first_address_that_a_client_can_use(
    http: dict[str, object], url: str | None
) -> None:
    assert targets_of(config(http=http)) == ({"local": url} if url else {})


def test_canaries_are_awaited_in_eventstreams_where_everyone_may_read_them(tmp_path: Path) -> None:
    (tmp_path / "streams.yaml").write_text(PUBLIC)
    streams = build(read_files([tmp_path / "streams.yaml"]), topic_prefix="", wiki=None)
    expected = checks(streams, config(canary={"eventstreams_url": "http://e.example:8194/"}))

    assert {one.stream: one.reader_url for one in expected if one.reader_url is not None} == {
        name: f"http://e.example:8194/v2/stream/{name}" for name in ("open", "near", "either")
    }
    assert {one.reader_url for one in checks(streams, config())} == {None}
