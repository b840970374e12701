"""``penstock schemas check`` tells of annotations that withhold less than those of the version before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from server.__main__ import main
from server.schemas.judges import Bundle
from server.schemas_tool import rules
from server.schemas_tool.making.merge import merged
from tests.server.schemas_tool.repository import checked, put, rules_of

TEXT: dict[str, Any] = {"type": "string"}
ACTIONS = ("drop", "hash", "truncate-ip", "coarse-time", "keep")


def marked(action: str | None) -> dict[str, Any]:
    return TEXT if action is None else {**TEXT, "x-privacy": action}


def schema(version: str, properties: dict[str, Any], **more: Any) -> str:
    whole = {"title": "shop/order", "$id": f"/shop/order/{version}", "type": "object", "properties": properties}
    return json.dumps(whole | more)


def after(
    capsys: pytest.CaptureFixture[str], root: Path, old: Any, new: Any, version: str = "1.0.1", **more: Any
) -> list[dict[str, Any]]:
    put(root, "1.0.0", schema("1.0.0", old, **more))
    put(root, version, schema(version, new, **more))
    return [each for each in checked(capsys, root)[1] if each["rule"] == "privacy-weakened"]


@pytest.mark.parametrize("before", ACTIONS)
@pytest.mark.parametrize("now", [*ACTIONS, None])
def test_what_is_withheld_less_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], before: str, now: str | None
) -> None:
    found = after(capsys, tmp_path, {"mail": marked(before)}, {"mail": marked(now)})
    is_less = ACTIONS.index(now or "keep") > ACTIONS.index(before)

    assert [(each["path"], each["where"], each["status"]) for each in found] == [
        ("/properties/mail", ".mail", "error")
    ] * is_less


def test_materialize_keeps_the_strictest_annotation_of_the_schemas_that_it_merges() -> None:
    """Otherwise the schema that is made would store what a fragment withholds."""
    own, fragment = {"properties": {"mail": marked("keep")}}, {"properties": {"mail": marked("drop")}}

    for first, second in ((own, fragment), (fragment, own)):
        assert merged({**first, "allOf": [second]})["properties"]["mail"]["x-privacy"] == "drop"


def test_a_new_annotation_and_a_stricter_one_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = {"a": TEXT, "b": marked("hash")}, {"a": marked("hash"), "b": marked("drop"), "c": TEXT}

    assert after(capsys, tmp_path, old, new, "1.1.0") == []


NESTED = {"type": "object", "properties": {"mail": marked("drop")}}
PERSON = {"definitions": {"person": NESTED}}


@pytest.mark.parametrize(
    ("old", "new", "places"),
    [
        ({"a": NESTED}, {"a": {"type": "object", "properties": {"mail": TEXT}}}, [".a.mail"]),
        ({"a": NESTED}, {"a": {"type": "object"}}, [".a.mail"]),
        ({"a": NESTED}, {"a": {"type": "object", "additionalProperties": False}}, []),
        ({"a": NESTED}, {"a": {"type": "object", "additionalProperties": marked("drop")}}, []),
        ({"a": NESTED}, {"a": {"type": "object", "patternProperties": {"^m": marked("drop")}}}, []),
        ({"a": NESTED}, {"a": False}, []),
        ({"a": NESTED}, {"a": {"type": "object", "properties": {"mail": TEXT}, "x-privacy": "drop"}}, []),
        ({"a": NESTED}, {"a": {**NESTED, "x-privacy": "hash"}}, [".a.mail"]),
        ({"a": {"type": "object", "x-privacy": "drop"}}, {"a": NESTED}, [".a"]),
        ({"a": {"type": "array", "items": marked("drop")}}, {"a": {"type": "array", "items": TEXT}}, [".a[]"]),
        ({"a": {"type": "array", "items": marked("drop")}}, {"a": {"type": "array", "items": marked("drop")}}, []),
        ({"a": {"items": [TEXT, marked("drop")]}}, {"a": {"items": [TEXT, TEXT]}}, [".a[1]"]),
        ({"a": {"anyOf": [marked("drop"), TEXT]}}, {"a": {"anyOf": [TEXT, TEXT]}}, [".a"]),
        ({"a": {"if": marked("drop")}}, {"a": TEXT}, [".a"]),
        ({"a": {"anyOf": [marked("drop"), TEXT]}}, {"a": marked("drop")}, []),
        ({"a": {"allOf": [marked("keep"), marked("drop")]}}, {"a": marked("keep")}, [".a"]),
        ({"a": {"$ref": "#/definitions/person"}}, {"a": NESTED}, []),
        ({"a": {"$ref": "#/definitions/person"}}, {"a": {"properties": {"mail": TEXT}}}, [".a.mail"]),
        ({"a": {"additionalProperties": marked("drop")}}, {"a": {"additionalProperties": TEXT}}, [".a.*"]),
        ({"a": {"additionalProperties": marked("drop")}}, {"a": {"additionalProperties": marked("drop")}}, []),
        ({"a": {"patternProperties": {"^b": marked("drop")}}}, {"a": {"patternProperties": {"^b": TEXT}}}, [".a.^b"]),
    ],
)
def test_a_value_is_followed_wherever_it_may_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: Any, new: Any, places: list[str]
) -> None:
    assert [each["where"] for each in after(capsys, tmp_path, old, new, "1.1.0", **PERSON)] == places


def node(inside: str, text: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {"c": {"$ref": f"#/definitions/{inside}"}, "v": text}}


DROP = marked("drop")
REST = {"additionalProperties": DROP}
BY_NAME = {"patternProperties": {"^b": DROP}}
EVERY = {"items": DROP}
BEYOND = {"items": [TEXT], "additionalItems": DROP}


@pytest.mark.parametrize(
    ("old", "new", "places"),
    [
        (REST, {**REST, "properties": {"e": TEXT}}, [".a.e"]),
        (REST, {**REST, "properties": {"e": marked("hash")}}, [".a.e"]),
        (REST, {**REST, "properties": {"e": DROP}}, []),
        (REST, {**REST, "properties": {"e": False}}, []),
        (REST, {**REST, "x-privacy": "drop", "properties": {"e": TEXT}}, []),
        (REST, {"allOf": [REST, {"properties": {"e": TEXT}}]}, []),
        (REST, {**REST, "patternProperties": {"^x_": TEXT}}, [".a.^x_"]),
        (REST, {"properties": {"e": TEXT}, "additionalProperties": False}, [".a.e"]),
        (REST, {"properties": {"e": DROP}, "additionalProperties": False}, []),
        ({**REST, "properties": {"e": TEXT}}, REST, []),
        ({"properties": {"e": TEXT}}, {"properties": {"e": TEXT, "f": TEXT}}, []),
        (BY_NAME, {**BY_NAME, "properties": {"bc": TEXT, "c": TEXT}}, []),
        (BY_NAME, {"properties": {"bc": TEXT, "c": TEXT}, "additionalProperties": DROP}, [".a.bc"]),
        (BY_NAME, REST, []),
        (BY_NAME, {**REST, "patternProperties": {"^bc": TEXT, "^c": TEXT}}, [".a.^bc"]),
        ({**BY_NAME, **REST}, {"properties": {"d": TEXT}, **BY_NAME, **REST}, [".a.d"]),
        ({"anyOf": [REST, TEXT]}, {"anyOf": [{**REST, "properties": {"e": TEXT}}, TEXT]}, [".a.e"]),
        (EVERY, {"items": [DROP]}, [".a[1]"]),
        (EVERY, {"items": [TEXT], "additionalItems": DROP}, [".a[0]"]),
        (EVERY, {"items": [DROP], "additionalItems": DROP}, []),
        (EVERY, {"items": [DROP], "additionalItems": False}, []),
        (EVERY, {"contains": DROP}, []),
        ({"contains": DROP}, {"contains": TEXT}, [".a[]"]),
        (BEYOND, {"items": [TEXT, TEXT], "additionalItems": DROP}, [".a[1]"]),
        (BEYOND, {"items": [TEXT, DROP], "additionalItems": DROP}, []),
        (BEYOND, {"items": [TEXT]}, [".a[1]"]),
        (BEYOND, EVERY, []),
        ({"$ref": "#/definitions/one"}, {"$ref": "#/definitions/two"}, [".a.c.v"]),
        ({"$ref": "#/definitions/one"}, {"$ref": "#/definitions/twin"}, []),
        ({"$ref": "#/definitions/one"}, {"$ref": "#/definitions/none"}, [".a.v"]),
    ],
)
def test_what_becomes_of_a_value_is_compared_wherever_its_annotation_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: Any, new: Any, places: list[str]
) -> None:
    nodes = {
        "one": node("one", DROP),
        "two": node("other", DROP),
        "other": node("two", TEXT),
        "twin": node("one", DROP),
        "none": node("none", TEXT),
    }

    assert [each["where"] for each in after(capsys, tmp_path, {"a": old}, {"a": new}, "1.1.0", definitions=nodes)] == (
        places
    )


@pytest.mark.parametrize(
    ("old", "new", "places"),
    [
        ({"client_ip": TEXT}, {"client_ip": marked("keep")}, [".http.client_ip"]),
        ({"client_ip": TEXT}, {"client_ip": marked("truncate-ip")}, []),
        ({"client_ip": marked("keep")}, {"client_ip": marked("keep")}, []),
        ({"client_ip": marked("drop")}, {"client_ip": marked("keep")}, [".http.client_ip"]),
        ({"method": TEXT}, {"method": marked("keep")}, []),
        ({"method": TEXT}, {"method": TEXT, "client_ip": marked("keep")}, []),
        (
            {"request_headers": {"type": "object", "properties": {"user-agent": TEXT}}},
            {"request_headers": {"type": "object", "properties": {"user-agent": marked("keep")}}},
            [".http.request_headers.user-agent"],
        ),
    ],
)
def test_to_keep_what_the_strict_set_left_out_of_the_client_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: Any, new: Any, places: list[str]
) -> None:
    before, now = ({"http": {"type": "object", "properties": each}} for each in (old, new))

    assert [each["where"] for each in after(capsys, tmp_path, before, now, "1.1.0")] == places


def test_the_finding_names_both_places_and_may_be_accepted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = after(capsys, tmp_path, {"mail": marked("drop")}, {"mail": TEXT})
    assert found["message"].endswith("'mail' was not stored, and is stored as it is now.")
    assert (found["old_file"].rpartition("/")[2], found["file"].rpartition("/")[2]) == ("1.0.0.yaml", "1.0.1.yaml")
    assert checked(capsys, tmp_path)[0] == 1

    names = {"rule": found["rule"], "title": found["title"], "version": found["version"], "path": found["path"]}
    entry = {**names, "reason": "they agreed", "owner": "shop team", "expires": "2999-01-01"}
    (tmp_path / "accepted-breaks.yaml").write_text(json.dumps([entry]))
    code, (accepted,) = checked(capsys, tmp_path)
    assert (code, accepted["status"]) == (0, "accepted")


def test_a_new_major_version_may_store_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = after(capsys, tmp_path, {"mail": marked("drop")}, {"mail": TEXT}, "2.0.0")

    assert found["status"] == "allowed"
    assert checked(capsys, tmp_path)[0] == 0


def test_without_the_rule_nothing_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other rule speaks of annotations, but for the text that jsonschema-tools compares."""
    monkeypatch.setattr(Bundle, "weakened", lambda *_: [])
    assert after(capsys, tmp_path, {"mail": marked("drop")}, {"mail": TEXT}) == []
    assert rules_of(checked(capsys, tmp_path)) == []
    assert rules_of(checked(capsys, tmp_path, "--profile", "wmf")) == ["wmf-key-removed"]


def test_annotations_that_cannot_be_obeyed_make_a_version_unusable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path, "1.0.0", schema("1.0.0", {"mail": marked("dorp")}))
    assert rules_of(checked(capsys, tmp_path)) == ["schema-unusable"]

    put(tmp_path, "1.0.1", schema("1.0.1", {"mail": marked("drop")}))
    assert rules_of(checked(capsys, tmp_path)) == []


def test_a_condition_on_a_withheld_value_is_noted_for_each_version(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = {"x-expect": [{"minProperties": 1}, {"required": ["mail"]}]}
    for version in ("1.0.0", "1.0.1"):
        put(tmp_path, version, schema(version, {"mail": marked("drop")}, **wanted if version != "1.0.0" else {}))
        code, found = checked(capsys, tmp_path)

    assert (code, [(each["rule"], each["status"], each["path"]) for each in found]) == (
        0,
        [(rules.WITHHELD.name, "note", "/x-expect/1")],
    )
    (tmp_path / "shop/order/1.0.0.yaml").unlink()
    assert rules_of(checked(capsys, tmp_path)) == ["expectation-withheld"]
    main(["schemas", "check", str(tmp_path)])
    assert "requires 'mail', which is never stored (x-privacy: drop)" in capsys.readouterr().out
