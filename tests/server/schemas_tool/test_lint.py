"""``penstock schemas lint``: each rule finds what it is about; skips; exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.__main__ import main
from server.schemas_tool.lint import rules
from tests.server.schemas_tool.repository import put

GOOD: dict[str, Any] = {
    "title": "shop/order",
    "$id": "/shop/order/1.0.0",
    "type": "object",
    "additionalProperties": False,
    "properties": {"number": {"type": "string", "description": "Names the order.", "maxLength": 9}},
    "examples": [{"number": "A-17"}],
}
SAFE = {"minimum": 0, "maximum": 9}
CHOICES = [{"multipleOf": n} for n in range(101, 181)]

# Rule, and a description of a property that breaks it.
OF_PROPERTY: list[tuple[str, dict[str, Any]]] = [
    ("keyword-misspelt", {"type": "string", "mexLength": 3, "maxLength": 3}),
    *(
        ("keyword-misspelt", {"type": "boolean", word: "drop"})
        for word in ("x-privcy", "X-Privacy", "x_privacy", "xprivacy", "x-expects")
    ),
    ("keyword-misspelt", {"type": "boolean", "x-expect": [{"enum": [True], "not": {"enumm": [False]}}]}),
    ("keyword-unknown", {"type": "boolean", "x-expect": {"const": True, "anyOf": [{"when": 1}, {"const": False}]}}),
    ("keyword-unknown", {"type": "string", "enum": ["a"], "search": "a label"}),
    ("type-union", {"type": ["string", "null"], "maxLength": 3}),
    ("type-missing", {"maxLength": 3}),
    ("items-untyped", {"type": "array"}),
    ("map-untyped", {"type": "object"}),
    ("required-undeclared", {"type": "object", "properties": {}, "required": ["b"]}),
    ("text-unbounded", {"type": "string"}),
    ("format-unchecked", {"type": "string", "format": "date"}),
    ("integer-unsafe", {"type": "integer", "minimum": 0}),
    ("integer-unsafe", {"type": "integer", "minimum": 0, "maximum": 2**53 + 2}),
    ("enum-with-null", {"type": "string", "enum": ["a", None]}),
    ("pattern-unusable", {"type": "string", "pattern": "("}),
    ("pattern-slow", {"type": "string", "pattern": "^(a+)+$"}),
    ("judging-dear", {"type": "array", "items": {"type": "integer", **SAFE, "not": {"anyOf": CHOICES}}}),
    ("pattern-differs", {"type": "string", "pattern": r"^\w+$"}),
    ("privacy-unknown", {"type": "boolean", "x-privacy": "dorp"}),
    ("privacy-unknown", {"type": "boolean", "x-privacy": True}),
    ("privacy-type", {"type": "boolean", "x-privacy": "hash"}),
    ("privacy-type", {"type": "integer", **SAFE, "x-privacy": "truncate-ip"}),
]


def linted(capsys: pytest.CaptureFixture[str], root: Path, *options: str) -> tuple[int, list[dict[str, Any]]]:
    code = main(["schemas", "lint", str(root), "--format", "json", *options])
    return code, json.loads(capsys.readouterr().out)["findings"]


def written(root: Path, schema: dict[str, Any]) -> None:
    put(root, "1.0.0", yaml.safe_dump(schema, sort_keys=False))


def test_a_schema_in_order_has_no_findings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path, GOOD)

    assert linted(capsys, tmp_path) == (0, [])


@pytest.mark.parametrize(("rule", "inner"), OF_PROPERTY)
def test_a_property_that_breaks_a_rule_is_found(
    rule: str, inner: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    described = {"description": "A member.", **inner}
    written(tmp_path, GOOD | {"properties": GOOD["properties"] | {"member": described}})
    code, found = linted(capsys, tmp_path)
    is_error = next(each.is_error for each in rules.ALL if each.name == rule)

    assert {each["rule"] for each in found} - {"schema-broken"} == {rule}
    assert all(each["path"].startswith("/properties/member") and each["line"] > 9 for each in found[-1:])
    assert code == int(is_error)


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("name-not-snake-case", {"properties": {"orderNumber": {"type": "boolean", "description": "A name."}}}),
        ("name-reserved", {"properties": {"order": {"type": "boolean", "description": "A name."}}}),
        ("description-missing", {"properties": {"number": {"type": "boolean"}}}),
        ("example-missing", {"examples": []}),
        ("example-invalid", {"examples": [{"number": 5}]}),
        ("title-mismatch", {"title": "shop/orders"}),
        ("title-mismatch", {"$id": "/shop/order/1.0.1"}),
        ("schema-broken", {"type": "objekt"}),
    ],
)
def test_a_schema_that_breaks_a_rule_is_found(
    rule: str, change: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = GOOD | change
    if "properties" in change:
        schema["examples"] = [{}]
    written(tmp_path, schema)

    assert [each["rule"] for each in linted(capsys, tmp_path)[1]] == [rule]


def test_an_annotation_that_is_wrong_is_found_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(
        tmp_path,
        "1.0.0",
        yaml.safe_dump({**GOOD, "properties": None}, sort_keys=False).replace(
            "properties: null\n",
            "properties:\n  number: {type: string, description: A name., maxLength: 9, x-privacy: dorp}\n",
        ),
    )
    (found,) = [each for each in linted(capsys, tmp_path)[1] if each["rule"] == "privacy-unknown"]

    assert (found["path"], found["line"], found["column"]) == ("/properties/number/x-privacy", 6, 62)
    assert found["message"] == "'dorp' is no action; there are drop, hash, truncate-ip, coarse-time, keep."


def test_a_required_property_that_is_dropped_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inner = GOOD["properties"]["number"] | {"x-privacy": "drop"}
    written(tmp_path, GOOD | {"properties": {"number": inner}, "required": ["number"]})

    assert [(each["rule"], each["path"]) for each in linted(capsys, tmp_path)[1]] == [
        ("privacy-required", "/properties/number/x-privacy")
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"x-privacy": "hash"},
        {
            "x-expect": [
                {"required": ["number"]},
                {"if": {"properties": {"number": {"x-privacy": "drop"}}}, "then": False},
            ]
        },
        {
            "properties": {"number": {**GOOD["properties"]["number"]}},
            "propertyNames": {"x-privacy": "drop", "maxLength": 9},
        },
    ],
)
def test_an_annotation_that_nothing_obeys_is_found(
    change: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path, GOOD | change)

    assert "privacy-unknown" in [each["rule"] for each in linted(capsys, tmp_path)[1]]


def test_an_example_names_its_own_schema(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = {"$schema": {"type": "string", "description": "Names it.", "maxLength": 99}}
    written(tmp_path, GOOD | {"properties": named, "examples": [{"$schema": "/shop/order/0.9.0"}]})

    assert [each["rule"] for each in linted(capsys, tmp_path)[1]] == ["example-of-other-schema"]


def test_the_current_file_describes_the_newest_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path, GOOD)
    put(tmp_path, "current", yaml.safe_dump(GOOD | {"$id": "/shop/order/0.9.0"}))

    assert [each["rule"] for each in linted(capsys, tmp_path)[1]] == ["current-not-newest"]


def test_a_stream_names_a_title_that_there_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path, GOOD)
    streams = tmp_path / "streams.yaml"
    streams.write_text("streams:\n  orders: {schema_title: shop/order}\n  carts:\n    schema_title: shop/cart\n")
    code, (found,) = linted(capsys, tmp_path, "--streams", str(streams))

    assert (code, found["rule"], found["line"], found["path"]) == (1, "stream-title-unknown", 4, "/streams/carts")


def test_a_skip_covers_its_rule_and_must_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path, GOOD | {"examples": []})
    skips = tmp_path / "lint-skips.yaml"
    skips.write_text("- {rule: example-missing, title: 'shop/*', reason: made by hand}\n")

    assert linted(capsys, tmp_path) == (0, [])
    assert main(["schemas", "lint", str(tmp_path), "--skip", "example-missing"]) == 1  # The skip is not used.

    skips.unlink()
    capsys.readouterr()

    assert linted(capsys, tmp_path, "--skip", "example-missing") == (0, [])
    assert main(["schemas", "lint", str(tmp_path), "--skip", "no-such-rule"]) == 3


def test_notes_fail_when_they_are_asked_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path, GOOD | {"properties": {"number": {"type": "string", "description": "Names the order."}}})

    assert linted(capsys, tmp_path)[0] == 0
    assert linted(capsys, tmp_path, "--strict")[0] == 1
    assert linted(capsys, tmp_path, "--errors") == (0, [])


def test_every_rule_is_tried_and_on_the_page() -> None:
    files = Path(__file__), Path(__file__).with_name("test_expectations.py")
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    page = Path(__file__).parents[3].joinpath("docs/SCHEMAS.md").read_text(encoding="utf-8")

    assert [rule.name for rule in rules.ALL if f'"{rule.name}"' not in text and rule is not rules.SKIP] == []
    assert [
        rule.name
        for rule in rules.ALL
        if f"| `{rule.name}` | {'error' if rule.is_error else 'note'} | {rule.why} |" not in page
    ] == []
