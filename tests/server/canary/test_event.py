"""A canary is made of the latest schema's first example, and of nothing that the intake fills in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from server.canary.event import NoCanaryError, make
from server.config.catalog_settings import SchemaSettings
from server.config.settings import Intake
from server.schemas.repository import SchemaRepository, open_schemas

NOW_S = 1_790_000_000.25
NOW = "2026-09-21T14:13:20.250Z"
META = {
    "type": "object",
    "required": ["dt", "stream"],
    "properties": {
        name: {"type": "string", "maxLength": 200} for name in ("dt", "stream", "id", "domain", "request_id")
    },
}


def schema(version: str, more: dict[str, Any] | None = None, **keywords: Any) -> dict[str, Any]:
    """A schema of the title ``a/b``, with these properties too."""
    text = {"type": "string", "maxLength": 200}
    return {
        "title": "a/b",
        "$id": f"/a/b/{version}",
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "required": ["$schema", "meta", "name"],
        "properties": {"$schema": text, "meta": META, "name": text, **(more or {})},
        **keywords,
    }


def repository(directory: Path, *schemas: dict[str, Any]) -> SchemaRepository:
    for one in schemas:
        path = directory / f"{one['$id'][1:]}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(one))
    return open_schemas(SchemaSettings(base_uris=[str(directory)], prepared_path=""), directory)


def made(schemas: SchemaRepository) -> dict[str, Any]:
    canary = make("the.stream", "a/b", schemas, Intake(), "run-1", NOW_S)
    event: dict[str, Any] = json.loads(canary.text)
    assert canary.text.count(canary.identity.encode()) == 1
    assert event["meta"].pop("id") == canary.identity
    return event


def example(uri: str, **more: Any) -> dict[str, Any]:
    return {
        "$schema": uri,
        "name": "first",
        "meta": {"stream": "other", "id": "old", "dt": "2019-01-01T00:00:00Z", "domain": "en.wikipedia.org"},
        **more,
    }


def test_it_is_the_first_example_of_the_latest_version_without_what_the_server_sets(tmp_path: Path) -> None:
    old = schema("1.9.0", examples=[example("/a/b/1.9.0", name="old")])
    new = schema("1.10.0", examples=[example("/a/b/1.0.0"), example("/a/b/1.10.0", name="second")])

    assert made(repository(tmp_path, old, new)) == {
        "$schema": "/a/b/1.10.0",
        "name": "first",
        "meta": {"stream": "the.stream", "domain": "canary", "request_id": "run-1"},
    }


def test_the_time_of_the_event_is_now_where_the_schema_has_one(tmp_path: Path) -> None:
    dt = {"dt": {"type": "string", "format": "date-time", "maxLength": 64}}
    one = schema("1.0.0", dt, examples=[example("/a/b/1.0.0", dt="2019-01-01T00:00:00Z")])

    assert made(repository(tmp_path, one))["dt"] == NOW


def test_each_canary_has_an_identity_of_its_own_and_the_example_is_not_changed(tmp_path: Path) -> None:
    schemas = repository(tmp_path, schema("1.0.0", examples=[example("/a/b/1.0.0")]))

    identities = {make("s", "a/b", schemas, Intake(), "run", NOW_S).identity for _ in range(5)}

    assert len(identities) == 5
    assert made(schemas)["meta"]["domain"] == "canary"


@pytest.mark.parametrize(
    ("schemas", "reason"),
    [
        ((), "is not in a directory"),
        ((schema("1.0.0"),), "has no examples"),
        ((schema("1.0.0", examples=[]),), "has no examples"),
        ((schema("1.0.0", examples=["text"]),), "is not an object"),
        ((schema("1.0.0", examples=[{"meta": {}}]),), "makes no valid event: '' should have required property 'name'"),
        (
            (schema("1.0.0", examples=[example("/a/b/1.0.0", name=7)]),),
            "makes no valid event: '.name' should be string",
        ),
    ],
)
def test_without_a_valid_example_there_is_no_canary(
    schemas: tuple[dict[str, Any], ...], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(NoCanaryError) as raised:
        make("s", "a/b", repository(tmp_path, *schemas), Intake(), "run", NOW_S)

    assert reason in str(raised.value)
