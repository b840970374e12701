"""Streams of a URL: asking, checking, publishing; without processes."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from server.catalog.publication import Publication, head_of
from server.catalog.snapshot import Reading, build
from server.catalog.sources import of_answer
from server.config.catalog_settings import Fetch
from server.config.catalog_settings import StreamSettings as StreamSettings
from server.config.framework.document import parse
from server.config.settings import Config
from server.fetch.client import HttpClient
from server.fetch.fetched_streams import Streams
from server.fetch.health import Health
from server.fetch.store import Answers, StoredAnswer
from server.fetch.stream_source import ask, constrained
from server.fetch.trouble import FetchError
from tests.harness import site as behaviours
from tests.harness.site import Behaviour, Site

FETCH = Fetch(connect_s=30.0, total_s=60.0, attempts=1, retry_s=0.001)
ONE = {"a": {"schema_title": "t"}}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://a/w/api.php", "http://a/w/api.php?constraints=x%5By%5D%3Da%2520b%257C%7Cz%3D1"),
        ("http://a/?format=json", "http://a/?format=json&constraints=x%5By%5D%3Da%2520b%257C%7Cz%3D1"),
    ],
)
def test_constraints_are_added_to_the_query(url: str, expected: str) -> None:
    assert constrained(url, {"x[y]": "a b|", "z": "1"}) == expected
    assert constrained(url, {}) == url


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (behaviours.body('{"streams": {"app.x": '), "is not JSON, or only a part"),
        (behaviours.body("[" * 100_000), "is not JSON, or only a part"),
        (behaviours.body("[]"), "is not a JSON object"),
        (behaviours.body('{"error": {"code": "readonly"}}'), "is an error: {'code': 'readonly'}"),
        (behaviours.body('{"streams": []}'), "is not of the form"),
        (behaviours.body('{"streams": {"a": null}}'), "is not of the form"),
        (behaviours.streams(), "has no streams"),
        (behaviours.cut_short('{"streams": {"a": {}}}'), "ot enough data|ncomplete|payload"),
    ],
)
def test_what_declares_no_streams_is_an_error(behaviour: Behaviour, reason: str) -> None:
    async def run() -> None:
        async with HttpClient(FETCH, [url]) as client:
            await ask(client, Config(fetch=FETCH), url, None)

    with Site() as site:
        url = site.says("/api", behaviour)
        with pytest.raises(FetchError, match=reason):
            asyncio.run(run())


class Bench:
    """A fetcher's streams over one file and one URL, asked as often as a test says."""

    def __init__(self, directory: Path, url: str) -> None:
        self.url = url
        self.config = Config(fetch=FETCH, streams=StreamSettings(sources=["file", url]))
        file = parse("streams: {b: {schema_title: file}}", "file")
        first = build([file], topic_prefix="", wiki=None)
        self.snapshot = first
        self.publication = Publication(first.digest)
        self.health = Health([url], [0.0])
        self.answers = Answers(directory, {})
        self.streams = Streams(self.config, [file, of_answer(url, b'{"streams":{"a":{"schema_title":"old"}}}')], None,
                               self.publication, self.health, self.answers)  # fmt: skip

    def ask_until(self, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let it ask so many times."""
        left = [times]

        async def sleep(_: float) -> None:
            left[0] -= 1
            if not left[0]:
                raise asyncio.CancelledError

        async def run() -> None:
            async with HttpClient(FETCH, [self.url]) as client:
                await self.streams.keep_fresh(client, self.url)

        with monkeypatch.context() as patch:
            patch.setattr(asyncio, "sleep", sleep)
            with pytest.raises(asyncio.CancelledError):
                asyncio.run(run())

    def published(self) -> dict[str, Any]:
        """Effective settings of each stream, as a worker would have them."""
        _, text = self.publication.read()
        snapshot = Reading(text, "", self.snapshot).go_on(float("inf"))
        assert snapshot is not None
        assert head_of(snapshot.digest) == self.publication.digest_head
        return {stream.name: stream.settings for stream in snapshot.streams()}


def test_an_answer_is_laid_over_the_files_published_once_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Site() as site:
        bench = Bench(tmp_path, site.says("/api", behaviours.streams(b={"topics": ["x"]}, **ONE)))
        bench.ask_until(3, monkeypatch)

        assert bench.publication.number == 1
        assert bench.published() == {"b": {"schema_title": "file", "topics": ["x"]}, "a": {"schema_title": "t"}}
        kept = bench.answers.good(bench.url)
        assert kept is not None
        assert kept.etag
        assert [asked.get("If-None-Match") for _, asked in site.asked] == [None, kept.etag, kept.etag]


def test_a_refused_answer_is_said_once_and_the_next_good_one_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    good, bad = behaviours.streams(**ONE), behaviours.streams(a={"schema_title": "/leading"})
    with Site() as site:
        turn = behaviours.in_turn(good, bad, behaviours.status(500), bad, good)
        bench = Bench(tmp_path, site.says("/api", turn))
        bench.ask_until(4, monkeypatch)
        (health,) = bench.health.all()

        assert health.failures == 3
        assert health.failing_s >= 0
        assert bench.publication.number == 1
        bench.ask_until(1, monkeypatch)
        said = [record.getMessage() for record in caplog.records if "streams:" in record.getMessage()]
        assert ["the answer is refused" in said[0], "answers again" in said[1], len(said)] == [True, True, 2]
        assert bench.health.all()[0].failing_s == 0


def test_a_disk_that_takes_nothing_keeps_no_streams_from_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "streams").write_text("in the way")
    with Site() as site:
        bench = Bench(tmp_path, site.says("/api", behaviours.streams(**ONE)))
        bench.ask_until(1, monkeypatch)

    assert bench.published()["a"] == {"schema_title": "t"}
    assert "its answer cannot be kept" in caplog.text


def test_what_the_fetcher_before_kept_is_published_before_anything_is_asked(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "http://127.0.0.1:1/")
    bench.answers.keep(StoredAnswer(bench.url, 1.0, b'{"streams":{"a":{"schema_title":"kept"}}}'))
    bench.streams.catch_up([bench.url])
    bench.streams.catch_up([bench.url])

    assert bench.publication.number == 1
    assert bench.published()["a"] == {"schema_title": "kept"}
