"""``penstock check`` names streams whose first example makes no canary."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from server.commands.check import run
from server.errors import EXIT_DONE
from tests.server.canary.test_event import example, schema


def warnings(directory: Path, streams: dict[str, Any], *options: str, **keywords: Any) -> list[str]:
    (directory / "settings.yaml").write_text(
        "sink: {kind: sqlite}\nservice_name: penstock\nschemas: {base_uris: [schemas]}\n"
        "streams: {sources: [streams.yaml]}\nintake: {error_stream: ''}\n"
    )
    (directory / "streams.yaml").write_text(json.dumps({"streams": streams}))
    path = directory / "schemas" / "a" / "b" / "1.0.0.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(schema("1.0.0", **keywords)))
    out = io.StringIO()
    code = run(directory / "settings.yaml", options, environ={}, out=out)
    assert code == EXIT_DONE
    return [line for line in out.getvalue().splitlines() if line.startswith("warning: ") and "example" in line]


ONE = {"one": {"schema_title": "a/b"}}
GOOD = [example("/a/b/1.0.0")]
BAD = [example("/a/b/1.0.0", name=7)]


def test_a_valid_first_example_is_no_finding(tmp_path: Path) -> None:
    assert warnings(tmp_path, ONE, "canary.enabled=true", examples=GOOD) == []


def test_an_invalid_example_is_named_with_each_of_its_streams(tmp_path: Path) -> None:
    streams = {
        **ONE,
        "two": {"schema_title": "a/b"},
        "off": {"schema_title": "a/b", "canary_events_enabled": False},
        "/^r/": {"schema_title": "a/b"},
    }

    found = warnings(tmp_path, streams, examples=BAD)

    assert len(found) == 2
    for stream, line in zip(("one", "two"), found, strict=True):
        assert stream in line
        assert "the first example of /a/b/1.0.0 makes no valid event: '.name' should be string" in line


@pytest.mark.parametrize(
    ("options", "settings", "count"),
    [
        ((), {}, 0),
        (("canary.enabled=true",), {}, 1),
        ((), {"canary_events_enabled": True}, 1),
        (("canary.enabled=true",), {"canary_events_enabled": False}, 0),
    ],
)
def test_a_missing_example_is_named_where_canaries_are_wanted(
    tmp_path: Path, options: tuple[str, ...], settings: dict[str, Any], count: int
) -> None:
    found = warnings(tmp_path, {"one": {"schema_title": "a/b", **settings}}, *options)

    assert len(found) == count
    assert all("the schema /a/b/1.0.0 has no examples" in line for line in found)
