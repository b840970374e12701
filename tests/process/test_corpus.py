"""The real schemas, events and streams beside the checkout, served as they are."""

from __future__ import annotations

import http.client
import json
import re
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.served import Served

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
FILES = ("events-routed.ndjson", "events-old-versions.ndjson")
# What these events name and no file of declarations does: old streams, gone since.
OLD_STREAMS = {
    "error.example": "error",
    "test.event": "test/event",
    "mediawiki.page_change": "mediawiki/page/change",
    "test.analytics.ios": "analytics/test",
    "test.analytics.mediawiki": "analytics/test",
}
FILLED_IN = {("meta", "id"), ("meta", "dt"), ("dt",), ("http", "client_ip")}

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="there are no real events beside this checkout")


@pytest.fixture(scope="module")
def events() -> list[bytes]:
    return [line for name in FILES for line in (CORPUS / name).read_bytes().splitlines()]


@pytest.fixture(scope="module", params=["declared streams", "any stream"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("corpus")
    sources: list[str] = []
    if request.param == "declared streams":
        old = directory / "old.yaml"
        old.write_text(json.dumps({"streams": {name: {"schema_title": title} for name, title in OLD_STREAMS.items()}}))
        sources = [str(CORPUS / "streams.yaml"), str(old)]
    settings = {
        "service_name": None,
        "schemas": {"base_uris": [str(CORPUS / "jsonschema")]},
        "streams": {"sources": sources},
    }
    with Served(directory, **settings) as service:
        yield service


def test_every_event_is_accepted_one_by_one_and_kept_as_it_is(service: Served, events: list[bytes]) -> None:
    before = len(service.events())

    statuses = [_post(service, event) for event in events]

    assert statuses == [201] * len(events)
    stored = service.events()[before:]
    # The values as text: `penstock events` prints each as it was stored.
    assert sorted(_without_filled(row["value"]) for row in stored) == sorted(
        _without_filled(json.loads(event)) for event in events
    )


def test_every_event_is_accepted_in_one_batch(service: Served, events: list[bytes]) -> None:
    assert _post(service, b"[" + b",".join(events) + b"]") == 201


def test_every_event_is_accepted_in_one_hasty_batch(service: Served, events: list[bytes]) -> None:
    before = len(service.events())

    assert _post(service, b"[" + b",".join(events) + b"]", "?hasty=true") == 202
    service.until(lambda: len(service.events()) == before + len(events))


def test_the_bytes_are_those_that_were_sent_but_for_what_was_filled_in(service: Served, events: list[bytes]) -> None:
    service_rows = _raw_rows(service)

    for event in events:
        _post(service, event)

    added = _raw_rows(service)[len(service_rows) :]
    assert len(added) == len(events)
    for row in added:
        assert any(_is_spliced(row, event) for event in events), row


def _post(service: Served, body: bytes, query: str = "") -> int:
    connection = http.client.HTTPConnection(*service.address, timeout=60)
    try:
        connection.request("POST", f"/v1/events{query}", body, {"content-type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()


def _raw_rows(service: Served) -> list[bytes]:
    """The stored values, byte for byte, in the order in which they were stored."""
    rows = []
    for path in sorted(service.settings_file.parent.glob("events/*.db")):
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        rows += database.execute("SELECT stored_ns, id, CAST(value AS BLOB) FROM event").fetchall()
        database.close()
    return [value for _, _, value in sorted(rows)]


def _is_spliced(stored: bytes, sent: bytes) -> bool:
    """Whether ``stored`` is ``sent`` with up to a few members inserted: every byte sent is there, in order."""
    at = 0
    for piece in _pieces(sent):
        at = stored.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    return len(stored) - len(sent) < 250


def _pieces(sent: bytes) -> list[bytes]:
    """The event cut behind every brace, where members may have been inserted."""
    return [piece + b"{" for piece in sent.split(b"{")[:-1]] + [sent.rpartition(b"{")[2]]


def _without_filled(value: dict[str, Any], path: tuple[str, ...] = ()) -> str:
    kept = {
        name: json.loads(_without_filled(inner, (*path, name))) if isinstance(inner, dict) else inner
        for name, inner in value.items()
        if (*path, name) not in FILLED_IN
    }
    return json.dumps({name: inner for name, inner in kept.items() if inner != {}}, sort_keys=True)


def test_nearly_all_of_them_were_judged_in_one_pass(service: Served) -> None:
    """Last in this file: the service is told to stop, and its workers say what they did."""
    service.signal(signal.SIGTERM)
    assert service.exit_code() == 0

    line = r"validated: (\d+) while they were read, (\d+) after fields were filled in, (\d+) by"
    said = re.findall(line, service.log())
    one_decode, one_pass, referred = (sum(map(int, each)) for each in zip(*said, strict=True))
    assert one_decode + one_pass + referred >= 300
    assert one_decode + one_pass >= 0.95 * (one_decode + one_pass + referred)
