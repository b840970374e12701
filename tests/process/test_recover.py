"""``penstock recover`` next to the service that has refused the events and goes on."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

import pytest

from server.__main__ import main
from tests.harness.running import PATIENCE_S
from tests.harness.served import EXAMPLES, Served
from tests.server.recovery.site import ERRORS, STREAM, Site, a_sale


def post(service: Served, *events: dict[str, Any]) -> int:
    connection = http.client.HTTPConnection(*service.address, timeout=PATIENCE_S)
    try:
        head = {"content-type": "application/json", "x-request-id": "request-1"}
        connection.request("POST", "/v1/events", json.dumps(events), head)
        return connection.getresponse().status
    finally:
        connection.close()


def test_refused_events_are_stored_as_the_intake_had_filled_them_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = Site(tmp_path)
    schemas = {"base_uris": [str(tmp_path / "schemas"), str(EXAMPLES / "schemas")]}
    streams = {"sources": [str(tmp_path / "streams.yaml")]}
    with Served(tmp_path, workers=1, schemas=schemas, streams=streams) as service:
        bare = a_sale(1, meta={"stream": STREAM})
        assert post(service, bare, a_sale(2), a_sale(3, note="short")) == 207
        errors = service.until(lambda: found if len(found := site.stored(ERRORS)) == 2 else [])
        site.put_schema("1.0.0", note={"type": "string", "maxLength": 80})
        capsys.readouterr()
        assert main(["recover", "-c", str(site.settings), "--stream", STREAM, "--format", "json"]) == 0
        report = json.loads(capsys.readouterr().out)
        assert post(service, a_sale(4, note="short")) == 201
        again = main(["recover", "-c", str(site.settings), "--stream", STREAM])

    by_count = {record["value"]["count"]: record for record in site.stored()}
    raws = {raw["count"]: raw for raw in (json.loads(error["value"]["raw_event"]) for error in errors)}

    assert (report["found"], report["recovered"], again) == (2, 2, 0)
    assert sorted(by_count) == [1, 2, 3, 4] == sorted(record["value"]["count"] for record in site.stored())
    assert {count: by_count[count]["value"] for count in raws} == raws
    assert raws[1]["meta"]["id"]  # The intake gave it one before it refused it.
    assert [by_count[count]["key"] for count in (1, 2, 3)] == [{"count": 1}, {"count": 2}, {"count": 3}]
