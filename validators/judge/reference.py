"""Compile a bundle into the reference: a function by fastjsonschema that decides whether an event is valid.

Place: bundle → mend → function_source → HERE → registry.
Rules:
1. The function returns, or raises JsonSchemaValueException; it never changes the value (no defaults are written).
2. A schema is checked against its meta-schema before any of its keywords is used.
Not here: the wording of refusals (invalid).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, NamedTuple

import fastjsonschema
from referencing import Specification
from referencing.jsonschema import Schema

from validators.errors import SchemaError
from validators.judge.function_source import SourceTooLongError, Validate, make_counted_function, make_function
from validators.judge.mend import Mended, mend
from validators.load import dialect
from validators.load.bundle import bundle
from validators.load.step_estimate import Estimate, dearest, estimate
from validators.regex.pattern import PatternError
from validators.steps import MAX_STEPS
from validators.words.invalid import problems
from validators.words.violation import errors_text

__all__ = ["Refused", "Validate", "check_schema", "compile_counted", "compile_schema", "dear", "estimate_steps"]

USUAL_VALUES: Final = 10_000  # The default limits of an intake. Real events have one or two hundred.
USUAL_BYTES: Final = 1_048_576

Refused = fastjsonschema.JsonSchemaValueException


class Dear(NamedTuple):
    """The most steps that a usual event may take, or infinity, and the JSON pointer of the part that takes most.
    ``allowed`` are the steps that it may take without being refused."""

    steps: float
    pointer: str
    allowed: int = MAX_STEPS

    @property
    def in_words(self) -> str:
        """The steps, for people."""
        return "any number of" if self.steps == math.inf else f"up to {self.steps:,.0f}"


def compile_schema(whole: dict[str, Any], uri: str) -> Validate:
    """Compile a bundle. Raises SchemaError when no function can be made of it."""
    return _compiled(whole, uri, make_function)


def compile_counted(whole: dict[str, Any], uri: str) -> Validate:
    """Compile a bundle into a function that raises TooDearError for an event that takes too many steps. Raises
    SchemaError."""
    return _compiled(whole, uri, make_counted_function)


def estimate_steps(whole: dict[str, Any]) -> Estimate:
    """Return the most steps that the counted function takes."""
    mended = mend(whole)
    return estimate(mended.schema, mended.patterns.__getitem__)


def dear(whole: dict[str, Any]) -> Dear | None:
    """Return what is dear in a bundle. None: no event of ``USUAL_BYTES`` with ``USUAL_VALUES`` takes too many steps."""
    steps = estimate_steps(whole).steps(USUAL_VALUES, USUAL_BYTES)
    return Dear(steps, dearest(whole)) if steps > MAX_STEPS else None


def _compiled(whole: dict[str, Any], uri: str, make: Callable[[Mended], Validate]) -> Validate:
    try:
        return make(mend(whole))
    except SourceTooLongError as error:
        raise SchemaError("schema_unavailable", f"{uri}: is too large to be compiled: {error}") from None
    except PatternError as error:
        raise SchemaError("schema_unavailable", f"{uri}: a pattern {error}") from None
    except (fastjsonschema.JsonSchemaDefinitionException, ArithmeticError, ValueError, LookupError) as error:
        raise SchemaError("schema_unavailable", f"{uri}: cannot be compiled: {error}") from error
    except (SyntaxError, RecursionError, MemoryError) as error:  # Python has its own limits on source code.
        raise SchemaError("schema_unavailable", f"{uri}: is too large to be compiled: {error}") from error


def check_schema(contents: Any, uri: str) -> None:
    """Raise SchemaError unless ``contents`` matches the meta-schema that it names."""
    draft = dialect.draft_of_schema(contents, uri)
    whole, validate = _meta_validator(draft)
    try:
        validate(contents)
    except Refused:
        text = errors_text(problems(whole, contents))
        raise SchemaError("schema_unavailable", f"{uri}: is not a schema of its draft: {text}") from None
    except RecursionError:
        raise SchemaError("schema_unavailable", f"{uri}: is nested too deeply") from None


@lru_cache(maxsize=3)
def _meta_validator(draft: Specification[Schema]) -> tuple[dict[str, Any], Validate]:
    uri = dialect.meta_schema(draft).id() or draft.name
    whole = bundle(dialect.meta_schema(draft).contents, uri, _nothing_else, _believe)
    return whole, compile_schema(whole, uri)


def _believe(_contents: Any, _uri: str) -> None:
    """Check nothing: a meta-schema would be checked against itself."""


def _nothing_else(uri: str) -> Any:
    raise SchemaError("unknown_schema", f"{uri} is not a meta-schema")
