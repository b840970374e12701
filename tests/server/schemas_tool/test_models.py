"""Open and closed schemas, strict and lenient profiles: each way to add or remove a property has its verdict."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from tests.server.schemas_tool.repository import checked, put

KINDS = ("required", "default", "optional")
# What is refused, by profile, model and change. All that is not here breaks nothing.
BREAKS: dict[tuple[str, str, str, str], set[str]] = {
    ("backward", "closed", "add", "required"): {"property-required"},
    **{("backward", "closed", "remove", kind): {"property-removed"} for kind in KINDS},
    ("backward", "open", "add", "required"): {"property-required", "open-property-declared"},
    ("backward", "open", "add", "default"): {"open-property-declared"},
    ("backward", "open", "add", "optional"): {"open-property-declared"},
    ("lenient", "closed", "add", "required"): {"property-required"},
    ("lenient", "open", "add", "required"): {"property-required"},
}
ALL = list(itertools.product(("backward", "lenient"), ("open", "closed"), ("add", "remove"), KINDS))


def a_schema(model: str, extra: str | None) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string"}}}
    if model == "closed":
        schema["additionalProperties"] = False
    if extra is not None:
        schema["properties"]["b"] = {"type": "integer"} | ({"default": 0} if extra == "default" else {})
    if extra == "required":
        schema["required"] = ["b"]
    return schema


@pytest.mark.parametrize(("profile", "model", "change", "kind"), ALL)
def test_a_property_is_added_or_removed(
    profile: str, model: str, change: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, fuller = a_schema(model, None), a_schema(model, kind)
    old, new = (plain, fuller) if change == "add" else (fuller, plain)
    put(tmp_path, "1.0.0", json.dumps(old))
    put(tmp_path, "1.1.0", json.dumps(new))
    code, found = checked(capsys, tmp_path, "--profile", profile)
    expected = BREAKS.get((profile, model, change, kind), set())

    assert {each["rule"] for each in found} == expected
    assert all("witness" in each for each in found)
    assert code == int(bool(expected))
