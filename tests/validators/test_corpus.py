"""Real schemas and events: every version loads, every example and every event is valid."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema_rs
import msgspec
import pytest

from validators import Registry, SchemaError, errors_text


@pytest.fixture(scope="module")
def registry(corpus: Path) -> Registry:
    return Registry([str(corpus / "jsonschema")])


@pytest.fixture(scope="module")
def uris(corpus: Path) -> list[str]:
    names = (file.relative_to(corpus / "jsonschema").as_posix() for file in (corpus / "jsonschema").rglob("*.yaml"))
    return sorted(f"/{name.removesuffix('.yaml')}" for name in names if re.search(r"/\d+\.\d+\.\d+\.yaml$", name))


@pytest.mark.slow(reason="it loads every version of every real schema")
def test_every_version_loads_and_is_secure(registry: Registry, uris: list[str]) -> None:
    failed = []
    for uri in uris:
        try:
            registry.validator(uri)
        except SchemaError as error:
            failed.append(str(error))

    assert len(uris) > 100
    assert failed == []


def test_every_example_is_valid_by_its_schema(registry: Registry, uris: list[str]) -> None:
    examples = [(uri, each) for uri in uris for each in registry.validator(uri).schema.get("examples", [])]
    wrong = [(uri, registry.validator(uri).check(msgspec.json.encode(each))) for uri, each in examples]

    assert len(examples) > 100
    assert [(uri, errors_text(found)) for uri, found in wrong if found] == []


@pytest.mark.parametrize("name", ["events-routed.ndjson", "events-old-versions.ndjson"])
def test_every_event_is_valid_by_its_schema(registry: Registry, corpus: Path, name: str) -> None:
    events = (corpus / name).read_bytes().splitlines()
    wrong = [(each, registry.validator(json.loads(each)["$schema"]).check(each)) for each in events]

    assert len(events) > 20
    assert [(each, errors_text(found)) for each, found in wrong if found] == []


def test_versions_are_found_by_title(registry: Registry, uris: list[str]) -> None:
    titles = {uri.rpartition("/")[0][1:] for uri in uris}

    assert sorted(uri for title in titles for uri in registry.uris_of(title)) == uris
    assert registry.uris_of("test/event")[0] == "/test/event/0.0.2"


def test_mutilated_events_are_judged_as_by_an_independent_judge(registry: Registry, uris: list[str]) -> None:
    """Every leaf of every example, replaced in turn by something of another kind."""
    disagreed = []
    count = 0
    for uri in uris[::3]:
        validator = registry.validator(uri)
        judge = jsonschema_rs.Draft7Validator(validator.schema, validate_formats=True)
        for example in validator.schema.get("examples", [])[:1]:
            for event in mutilated(example):
                count += 1
                raw = msgspec.json.encode(event)
                if (validator.check(raw) is None) != judge.is_valid(event):
                    disagreed.append((uri, raw))

    assert count > 1_000
    assert disagreed == []


def mutilated(event: object) -> list[object]:
    if isinstance(event, dict):
        changed: list[object] = [event | {name: other} for name, each in event.items() for other in mutilated(each)]
        removed = [{other: event[other] for other in event if other != name} for name in event]
        return [*changed, *removed, event | {"something else": 1}, None]
    if isinstance(event, list):
        return [
            *([*event[:i], other, *event[i + 1 :]] for i, each in enumerate(event) for other in mutilated(each)),
            {},
        ]
    return [None, 1, -1, 2**64, 1.5, "", "x", "x" * 5_000, "2020-13-01T00:00:00Z", "2020-01-01T00:00:00Z", True, [], {}]
