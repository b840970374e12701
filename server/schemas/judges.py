"""Judge events by a schema with two validators that share no code.

Place: schemas_tool → HERE → validators, and jsonschema-rs where it is installed.
Rules: the first judge is the function that the intake compiles (fastjsonschema). The second is jsonschema-rs where it
is installed, and otherwise the walk that words refusals. Every reference of a schema is local once it is here.
Not here: which events are judged (schemas_tool.proof.witness).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from validators import SchemaError, Validator
from validators.annotations import POSSIBLE, placed, written
from validators.expectations import Expectations, compile_all
from validators.formats.asserted import FORMATS
from validators.judge.reference import Dear, Refused, check_schema, compile_schema, dear
from validators.load.bundle import bundle, target_of
from validators.load.loader import Loader
from validators.privacy import KEYWORD, plan_of
from validators.regex import pattern
from validators.weakened import Weakened, weakened
from validators.withheld import Odd, odd_expectations
from validators.words.invalid import Walk
from validators.words.violation import Violation, unreadable

try:
    _ELSEWHERE: Any = importlib.import_module("jsonschema_rs")
except ImportError:  # It is no dependency of the service.
    _ELSEWHERE = None

ASSERTED_FORMATS = frozenset(FORMATS)
SECOND_JUDGE = "the walk of this program" if _ELSEWHERE is None else "jsonschema-rs"


class UnusableError(Exception):
    """A schema cannot be judged by. The message says why."""


class Bundle:
    """A schema with everything that it refers to. ``schema`` holds local references alone."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.schema = schema
        self._walk = Walk(schema)
        self._kept: list[Any] = []  # The walk remembers schemas by their identity.

    def target(self, ref: str) -> Any:
        """Return the schema that a reference stands for."""
        return target_of(self.schema, ref)

    def accepts(self, schema: Any, value: Any) -> bool:
        """Whether a schema inside this one accepts a value. True where the walk cannot tell."""
        self._kept.append(schema)
        return self._walk.accepts(schema, value) is not False

    def violations(self, value: Any) -> list[Violation]:
        """Return what is wrong with a value, as a client would be told; nothing for one that the intake takes. Raises
        UnusableError."""
        if self._first(value):
            return []
        return self._walk.problems(value) or [unreadable("schema", "should be valid")]

    def dear(self) -> Dear | None:
        """Return what makes events dear to judge, so that large ones may be refused. None: nothing does."""
        return dear(self.schema)

    def verdicts(self, value: Any) -> tuple[bool, bool]:
        """Return whether each judge takes the value. Raises UnusableError."""
        return self._first(value), self._second(value)

    def expectations(self) -> Expectations:
        """Return the expectations of the schema, compiled."""
        return compile_all(self.schema, lambda name, schema: Validator(name, schema, compile_schema(schema, name)))

    def odd_expectations(self) -> list[Odd]:
        """Return the expectations that speak of values which are not stored."""
        return odd_expectations(self.schema, "schema")

    def annotated(self) -> list[tuple[str, str]]:
        """Return the places of ``x-privacy`` as people read them, and the actions. Raises UnusableError."""
        try:
            plan_of(self.schema, "schema")
            return [(written(each.steps), each.value) for each in placed(self.schema, KEYWORD, POSSIBLE)]
        except SchemaError as error:
            raise UnusableError(str(error)) from None

    def weakened(self, later: Bundle) -> list[Weakened]:
        """Return the values of which a later version stores more than this one. Raises UnusableError."""
        try:
            return weakened(self.schema, later.schema)
        except SchemaError as error:
            raise UnusableError(str(error)) from None

    @cached_property
    def _first(self) -> Callable[[Any], bool]:
        try:
            function = compile_schema(self.schema, "schema")
        except SchemaError as error:
            raise UnusableError(str(error)) from None

        def judge(value: Any) -> bool:
            try:
                function(value)
            except Refused:
                return False
            return True

        return judge

    @cached_property
    def _second(self) -> Callable[[Any], bool]:
        if _ELSEWHERE is None:
            return lambda value: self._walk.accepts(self.schema, value) is True
        # With the URI of its draft, jsonschema-rs checks the schema first, which takes 5 ms in place of 0.4.
        plain = {key: value for key, value in _encoded(self.schema).items() if key != "$schema"}
        try:
            found: Callable[[Any], bool] = _ELSEWHERE.Draft7Validator(plain, validate_formats=True).is_valid
        except ValueError as error:
            raise UnusableError(str(error).partition("\n")[0]) from None
        return found


def _encoded(schema: Any) -> Any:
    """Return a schema whose references are URIs: names of definitions hold ``#``, which a fragment must not."""
    if isinstance(schema, list):
        return [_encoded(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _encoded(value) for key, value in schema.items()}
    if isinstance(found.get("$ref"), str):
        found["$ref"] = found["$ref"][:1] + found["$ref"][1:].replace("#", "%23")
    return found


def bundle_of(contents: Any, name: str, bases: Sequence[Path]) -> Bundle:
    """Return the bundle of a schema whose references are below base directories. Raises UnusableError."""
    try:
        loader = Loader([str(base) for base in bases])
        return Bundle(bundle(contents, name, loader.read_reference, check_schema))
    except (SchemaError, RecursionError) as error:
        raise UnusableError(str(error)) from None


def regex_matcher(text: str) -> Callable[[str], bool]:
    """Return a search for a regular expression of ECMA-262. Raises UnusableError."""
    try:
        matcher = pattern.compiled(text)
    except ValueError as error:
        raise UnusableError(f"the pattern {text!r} {error}") from None
    return lambda value: matcher.search(value) is not None
