"""The vectors that client libraries share are true of this intake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from validators import Registry

VECTORS = Path(__file__).parent / "clients"
VALIDATION = json.loads((VECTORS / "validation.json").read_text())["cases"]


@pytest.mark.parametrize("name", sorted(path.stem for path in VECTORS.glob("*.json")))
def test_cases_have_names_of_their_own(name: str) -> None:
    names = [case["name"] for case in json.loads((VECTORS / f"{name}.json").read_text())["cases"]]

    assert names
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("case", VALIDATION, ids=[case["name"] for case in VALIDATION])
def test_the_verdict_on_an_event_is_the_one_that_clients_are_told(case: dict[str, Any]) -> None:
    schema = json.dumps({"title": "a/b", **case["input"]["schema"]}).encode()
    registry = Registry(["http://schemas.test"], extension=".json", allow_insecure=True, fetch=lambda _url: schema)
    validator = registry.validator("/a/b/1.0.0")

    event = validator.fill_defaults(json.dumps(case["input"]["event"]).encode(), 1_000_000)

    assert (validator.check(event) is None) is case["expected"]["valid"]
