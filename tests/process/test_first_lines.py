"""The first lines of the log, which tell what was found while the settings were read, look like all others."""

from __future__ import annotations

import json
from pathlib import Path

from tests.harness.served import EXAMPLES, Served

STREAMS = "streams: {a.stream: {schema_title: no/such}}"


def test_what_is_found_at_the_start_is_logged_in_the_style_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text(STREAMS)
    sources = [str(EXAMPLES / "streams.yaml"), "more.yaml"]
    with Served(tmp_path, workers=1, streams={"sources": sources}, log={"style": "json"}) as service:
        lines = [json.loads(line) for line in service.log().splitlines()]

    assert lines[0]["level"] == "warning"
    assert "stream a.stream, schema_title: no schema repository has the title" in lines[0]["message"]
