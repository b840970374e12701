"""Tools for schemas take expectations (``x-expect``) for what they are: they judge no change, and may be wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.__main__ import main
from server.schemas_tool.making.merge import merged
from tests.server.schemas_tool.repository import FIRST, checked, put
from tests.server.schemas_tool.test_lint import GOOD, linted, written

SIZE = {"type": "number", "description": "A size."}


def expecting(**of_size: Any) -> dict[str, Any]:
    return GOOD | {"properties": GOOD["properties"] | {"size": SIZE | of_size}}


def test_lint_finds_an_expectation_that_cannot_be_used_at_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path, expecting(**{"x-expect": [{"minimum": 1}, {"minimum": "x"}]}))
    code, (found,) = linted(capsys, tmp_path)

    assert (code, found["rule"], found["path"]) == (1, "expectation-unusable", "/properties/size/x-expect/1")
    line = tmp_path.joinpath("shop/order/1.0.0.yaml").read_text().splitlines()[found["line"] - 1]
    assert line.strip() == "- minimum: x"
    assert "'.minimum' should be number" in found["message"]


def test_lint_finds_one_in_a_referenced_schema_at_the_reference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fragment = tmp_path / "fragment/size/1.0.0.yaml"
    fragment.parent.mkdir(parents=True)
    fragment.write_text("{title: fragment/size, $id: /fragment/size/1.0.0, type: number, x-expect: {$ref: '#'}}")
    written(tmp_path, GOOD | {"properties": GOOD["properties"] | {"size": {"$ref": "/fragment/size/1.0.0"}}})
    found = {each["title"]: each for each in linted(capsys, tmp_path)[1]}

    assert {title: each["path"] for title, each in found.items()} == {
        "fragment/size": "/x-expect",
        "shop/order": "/properties/size",
    }
    assert "#/properties/size/x-expect judges no events: has a $ref" in found["shop/order"]["message"]


def test_lint_finds_one_where_none_is_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path, GOOD | {"not": {"required": ["size"], "x-expect": {"minProperties": 1}}})
    code, (found,) = linted(capsys, tmp_path)

    assert (code, found["rule"], found["path"]) == (1, "expectation-unusable", "/not/x-expect")


def test_lint_finds_one_of_a_value_that_is_not_stored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path, expecting(**{"x-privacy": "drop"}) | {"x-expect": [{"minProperties": 1}, {"required": ["size"]}]})
    code, (found, _) = linted(capsys, tmp_path)  # The example has no size either.

    assert (code, found["rule"], found["path"]) == (1, "expectation-withheld", "/x-expect/1")
    assert "requires 'size', which is never stored (x-privacy: drop): it can never be met" in found["message"]


def test_lint_notes_an_example_that_fails_an_expectation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path, GOOD | {"x-expect": {"title": "two of them", "minProperties": 2}})
    code, (found,) = linted(capsys, tmp_path)

    assert (code, found["rule"], found["path"]) == (0, "example-unexpected", "/examples/0")
    assert found["message"] == "The example fails the expectation two of them."


@pytest.mark.parametrize("profile", ["backward", "full", "lenient"])
def test_a_change_of_expectations_alone_breaks_nothing_and_needs_a_patch_version(
    profile: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path, "1.0.0", FIRST + "x-expect: {required: [number]}\n")
    narrower = FIRST.replace("{type: string}", "{type: string, x-expect: {maxLength: 1}}")
    put(tmp_path, "1.0.1", narrower.replace("1.0.0", "1.0.1"))
    put(tmp_path, "1.0.2", FIRST.replace("1.0.0", "1.0.2"))

    assert checked(capsys, tmp_path, "--profile", profile) == (0, [])


def test_replay_says_how_many_real_events_fail_an_expectation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Invalid ones are not judged by it, and failing it is no reason to fail."""
    written(tmp_path, GOOD | {"additionalProperties": True, "x-expect": {"title": "short", "maxProperties": 2}})
    numbers: list[dict[str, Any]] = [{"number": "A"}, {"number": "B", "n": 1}, {"number": "C", "n": 2}, {"number": 5}]
    events = tmp_path / "events.ndjson"
    events.write_text("".join(json.dumps({"$schema": "/shop/order/1.0.0", **each}) + "\n" for each in numbers))
    code = main(["schemas", "replay", str(tmp_path), str(events), "--most", "30"])

    assert code == 0
    said = capsys.readouterr().out
    assert "  2 × valid, and fails the expectation: short\n      {" in said
    assert '"number": "B"' in said
    main(["schemas", "replay", str(tmp_path), str(events), "--format", "json", "--examples", "0"])
    told = json.loads(capsys.readouterr().out)["titles"]["shop/order"]["expectations"]
    assert told == [{"rule": "short", "count": 2, "examples": []}]


def test_materialize_keeps_the_expectations_of_all_schemas_that_it_merges() -> None:
    schema = {
        "x-expect": {"title": "a"},
        "allOf": [{"x-expect": [{"title": "b"}, {"title": "c"}]}, {"properties": {"n": {"x-expect": {"title": "d"}}}}],
        "properties": {"n": {"x-expect": {"title": "e"}}, "m": {"x-expect": {"title": "f"}}},
    }

    assert merged(schema) == {
        "x-expect": [{"title": "a"}, {"title": "b"}, {"title": "c"}],
        "properties": {
            "n": {"x-expect": [{"title": "e"}, {"title": "d"}]},
            "m": {"x-expect": {"title": "f"}},
        },
    }


def test_diff_tells_of_a_new_expectation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path, "1.0.0", yaml.safe_dump(expecting()))
    put(tmp_path, "1.0.1", yaml.safe_dump(expecting(**{"x-expect": {"minimum": 1}}) | {"$id": "/shop/order/1.0.1"}))
    main(["schemas", "diff", str(tmp_path)])

    assert '.size: x-expect is now {"minimum": 1}; there was none.' in capsys.readouterr().out
