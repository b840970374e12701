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


def versions(directory: Path, stream: dict[str, Any], *bodies: dict[str, Any]) -> list[str]:
    """The warnings about a stream of a schema with these versions."""
    findings(directory, {}, {"canary_events_enabled": False, **stream}, keys_file="keys")
    for number, body in enumerate(bodies):
        whole = {"title": "person", "$id": f"/person/1.{number}.0", "type": "object", **body}
        (directory / "schemas" / "person" / f"1.{number}.0.yaml").write_text(json.dumps(whole))
    examined = examine(load(directory / "penstock.yaml", [], {}))
    assert {each.level for each in examined.findings} <= {"warning"}
    return [str(each).replace(f"{directory}/", "") for each in examined.findings]


MAIL = {"properties": {"mail": marked("drop"), "id": marked("hash")}}


def test_an_expectation_of_a_dropped_value_is_a_warning_at_its_line(tmp_path: Path) -> None:
    (found,) = versions(tmp_path, {}, {**MAIL, "x-expect": {"required": ["mail"]}})

    assert found.startswith("schemas/person/1.0.0.yaml:1: the expectation #/x-expect of schema /person/1.0.0 requires")
    assert "requires 'mail', which is never stored (x-privacy: drop): it can never be met" in found


def test_events_that_are_not_valid_as_they_are_stored_are_judged_by_no_expectation(tmp_path: Path) -> None:
    expected = {**MAIL, "required": ["mail"], "x-expect": {"required": ["id"]}}
    (found,) = versions(tmp_path, {}, expected)

    assert "schema /person/1.0.0 requires 'mail', which is never stored (x-privacy: drop), so that no event" in found
    assert versions_again(tmp_path, {"producers": {"eventgate": {"expect_rate": 0}}}) == []


def versions_again(directory: Path, stream: dict[str, Any]) -> list[str]:
    streams = {"streams": {"people": {"schema_title": "person", "canary_events_enabled": False, **stream}}}
    (directory / "streams.yaml").write_text(json.dumps(streams))
    return [str(each) for each in examine(load(directory / "penstock.yaml", [], {})).findings]


def trying(version: str, rate: float = 1) -> dict[str, Any]:
    return {"producers": {"eventgate": {"shadow_schema": version, "shadow_rate": rate}}}


def test_a_version_that_is_tried_and_requires_what_is_dropped_is_a_warning(tmp_path: Path) -> None:
    wanting = {
        "properties": {"mail": {"type": "string"}, "id": {"type": "string", "maxLength": 9}},
        "required": ["mail"],
    }
    found = versions(tmp_path, trying("1.1.0"), MAIL, wanting)

    assert [each.partition("that is tried ")[2].partition(",")[0] for each in found] == [
        "requires 'mail'",
        "says something else of 'id'",
    ]
    assert "(x-privacy: drop in /person/1.0.0)" in found[0]
    assert versions_again(tmp_path, trying("latest")) != []
    assert versions_again(tmp_path, trying("1.1.0", 0)) == versions_again(tmp_path, trying("1.0.0")) == []


def test_a_version_that_is_tried_and_says_the_same_is_none(tmp_path: Path) -> None:
    more = {"properties": {**MAIL["properties"], "more": {"type": "integer"}}, "required": ["more"]}

    assert versions(tmp_path, trying("1.1.0"), MAIL, more) == []
