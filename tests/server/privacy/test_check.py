"""``penstock check`` says which annotations cannot be obeyed, and where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from server.boot.examine import examine
from server.config.framework.finding import Finding
from server.config.load import load

SECRET = "s" * 32


def findings(directory: Path, properties: dict[str, Any], stream: dict[str, Any], **privacy: Any) -> list[Finding]:
    """The findings about a stream ``people`` of a schema with these properties."""
    path = directory / "schemas" / "person" / "1.0.0.yaml"
    path.parent.mkdir(parents=True)
    whole = {"title": "person", "$id": "/person/1.0.0", "type": "object", "required": sorted(properties)}
    path.write_text(json.dumps({**whole, "properties": properties}))
    (directory / "streams.yaml").write_text(json.dumps({"streams": {"people": {"schema_title": "person", **stream}}}))
    (directory / "keys").write_text(f"k1 {SECRET}\n")
    settings = {
        "schemas": {"base_uris": ["schemas"]},
        "streams": {"sources": ["streams.yaml"]},
        "sink": {"kind": "memory"},
        "privacy": privacy,
    }
    (directory / "penstock.yaml").write_text(json.dumps(settings))
    return examine(load(directory / "penstock.yaml", [], {})).findings


def marked(action: str) -> dict[str, Any]:
    return {"type": "string", "x-privacy": action}


def test_annotations_that_can_be_obeyed_are_no_finding(tmp_path: Path) -> None:
    found = findings(
        tmp_path, {"name": marked("hash"), "ip": marked("truncate-ip")}, {"message_key_fields": {"name": "name"}},
        keys_file="keys",
    )  # fmt: skip

    assert found == []


def test_a_schema_with_hashes_needs_a_key(tmp_path: Path) -> None:
    (found,) = findings(tmp_path, {"name": marked("hash")}, {})

    assert (found.level, found.stream) == ("warning", "people")
    assert "there is no key: they are dropped" in found.reason


@pytest.mark.parametrize("action", ["drop", "truncate-ip", "coarse-time"])
def test_a_key_field_has_to_be_stored(tmp_path: Path, action: str) -> None:
    (found,) = findings(tmp_path, {"name": marked(action)}, {"message_key_fields": {"who": "name"}})

    assert (found.level, found.stream) == ("error", "people")
    assert f"`x-privacy: {action}` for 'name', the key field 'who'" in found.reason


def test_a_key_field_inside_a_dropped_value_is_found_too(tmp_path: Path) -> None:
    inner = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"], "x-privacy": "drop"}
    (found,) = findings(tmp_path, {"person": inner}, {"message_key_fields": {"who": "person.name"}})

    assert found.level == "error"


@pytest.mark.parametrize(
    ("properties", "field"),
    [
        ({"$schema": marked("drop")}, "$schema"),
        ({"meta": {"type": "object", "properties": {"stream": marked("hash")}}}, "meta.stream"),
    ],
)
def test_the_names_of_schema_and_stream_are_not_withheld(
    tmp_path: Path, properties: dict[str, Any], field: str
) -> None:
    found = findings(tmp_path, properties, {}, keys_file="keys")

    assert [(each.level, field in each.reason) for each in found] == [("error", True)]


def test_a_file_of_keys_that_cannot_be_read_is_an_error_of_its_setting(tmp_path: Path) -> None:
    (found,) = findings(tmp_path, {"name": marked("hash")}, {}, keys_file="no-such-file")

    assert (found.level, found.key) == ("error", "privacy.keys_file")


def test_an_action_that_does_not_exist_makes_the_schema_unusable(tmp_path: Path) -> None:
    (found,) = findings(tmp_path, {"name": marked("dorp")}, {})

    assert found.level == "error"
    assert "x-privacy is 'dorp'; it may be drop, hash, truncate-ip, coarse-time, keep" in found.reason


@pytest.mark.parametrize(("name", "action"), [("id", "drop"), ("id", "hash"), ("dt", "coarse-time")])
def test_identity_and_time_are_needed_by_canaries(tmp_path: Path, name: str, action: str) -> None:
    meta = {"meta": {"type": "object", "properties": {name: marked(action)}}}
    (found,) = findings(tmp_path, meta, {}, keys_file="keys")

    assert (found.level, found.stream) == ("warning", "people")
    assert f"withholds 'meta.{name}', by which stored canaries are known" in found.reason


def test_identity_may_be_withheld_where_there_are_no_canaries(tmp_path: Path) -> None:
    meta = {"meta": {"type": "object", "properties": {"id": marked("drop")}}}

    assert findings(tmp_path, meta, {"canary_events_enabled": False}) == []
