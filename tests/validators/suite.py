"""The JSON-Schema-Test-Suite, as `make setup` unpacks it from the source archive of jsonschema.

Place: beside test_suite.
Rule: where it is missing, tests are skipped with the reason; with CI set, they fail: a run that must prove something
never passes for want of what it proves it by.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from validators import Registry, SchemaError, Validator

DIRECTORY = Path(sys.prefix, "share", "json-schema-test-suite")
LACK = f"there is no JSON-Schema-Test-Suite in {DIRECTORY}: `make setup` puts it there"
REMOTE = "http://localhost:1234/"

DRAFTS = {"draft4": "04", "draft6": "06", "draft7": "07"}


class Case(NamedTuple):
    """One test of the suite: is ``value`` valid by ``schema``?"""

    place: str  # file: group: test
    schema: Any
    value: Any
    is_valid: bool


def require() -> None:
    """Skip the test that asks, or fail it where nothing may be skipped."""
    if DIRECTORY.is_dir():
        return
    if os.environ.get("CI"):
        pytest.fail(LACK)
    pytest.skip(LACK)


def files(draft: str) -> list[str]:
    """The names of a draft's files, those of optional tests too."""
    directory = DIRECTORY / "tests" / draft
    return sorted(file.relative_to(directory).as_posix() for file in directory.rglob("*.json"))


def cases(draft: str, name: str) -> Iterator[Case]:
    """The tests of one file, every schema naming its draft."""
    for group in json.loads((DIRECTORY / "tests" / draft / name).read_bytes()):
        schema = group["schema"]
        if not isinstance(schema, dict):  # A schema file holds an object; true and false stand inside one.
            schema = {"allOf": [schema]}
        schema = {"$schema": f"http://json-schema.org/draft-{DRAFTS[draft]}/schema#"} | schema
        for test in group["tests"]:
            place = f"{name}: {group['description']}: {test['description']}"
            yield Case(place, schema, test["data"], test["valid"])


def fetch(url: str) -> bytes:
    """What the suite's own server on localhost would answer."""
    return (DIRECTORY / "remotes" / url.removeprefix(REMOTE)).read_bytes()


class Compiler:
    """Makes validators of schemas as a repository of files would."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._count = 0
        self._known: dict[str, Validator | SchemaError] = {}
        self._registry = Registry(
            [str(directory)], extension=".json", allow_insecure=True, allow_absolute_uris=True, fetch=fetch
        )

    def validator(self, schema: dict[str, Any]) -> Validator:
        """Raises SchemaError."""
        text = json.dumps(schema)
        if text not in self._known:
            self._count += 1
            title = self._directory / f"case{self._count}"
            title.mkdir()
            (title / "1.0.0.json").write_text(text)
            try:
                self._known[text] = self._registry.validator(f"/case{self._count}/1.0.0")
            except SchemaError as error:
                self._known[text] = error
        known = self._known[text]
        if isinstance(known, SchemaError):
            raise known
        return known
