"""``penstock check`` names watched fields that no event can have, and those that nothing watches."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from server.commands.check import run
from server.errors import EXIT_DONE
from tests.server.canary.test_event import schema

SAMPLES = ("plausibility.enabled=true", "plausibility.samples.enabled=true")


def warnings(directory: Path, alarms: dict[str, Any], *options: str) -> list[str]:
    (directory / "settings.yaml").write_text(
        "sink: {kind: sqlite}\nservice_name: penstock\nschemas: {base_uris: [schemas]}\n"
        "streams: {sources: [streams.yaml]}\nintake: {error_stream: ''}\n"
    )
    (directory / "streams.yaml").write_text(json.dumps({"streams": {"one": {"schema_title": "a/b", "alarms": alarms}}}))
    path = directory / "schemas" / "a" / "b" / "1.0.0.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(schema("1.0.0") | {"additionalProperties": False}))
    out = io.StringIO()
    assert run(directory / "settings.yaml", options, environ={}, out=out) == EXIT_DONE
    return [line for line in out.getvalue().splitlines() if "alarms.fields" in line]


@pytest.mark.parametrize("fields", [False, True, ["name"], ["meta.id"]])
def test_fields_of_the_schema_are_no_finding(tmp_path: Path, fields: object) -> None:
    assert warnings(tmp_path, {"fields": fields}, *SAMPLES) == []


def test_a_field_that_the_schema_does_not_have_is_named(tmp_path: Path) -> None:
    (line,) = warnings(tmp_path, {"fields": ["name", "nmae"]}, *SAMPLES)
    assert "the schema /a/b/1.0.0 has no field 'nmae'" in line


def test_fields_without_samples_have_no_effect(tmp_path: Path) -> None:
    (line,) = warnings(tmp_path, {"fields": True}, "plausibility.enabled=true")
    assert "no samples of events are taken" in line
    assert warnings(tmp_path, {"fields": False}) == []
