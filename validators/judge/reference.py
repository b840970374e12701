"""Compile a bundle into the reference: a function by fastjsonschema that decides whether an event is valid.

Place: bundle → mend → function_source → HERE → registry.
Rules:
1. The function returns, or raises JsonSchemaValueException; it never changes the value (no defaults are written).
2. A schema is checked against its meta-schema before any of its keywords is used.
Not here: the wording of refusals (invalid).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import fastjsonschema
from referencing import Specification
from referencing.jsonschema import Schema

from validators.errors import SchemaError
from validators.judge.function_source import SourceTooLongError, Validate, make_function
from validators.judge.mend import mend
from validators.load import dialect
from validators.load.bundle import bundle
from validators.regex.pattern import PatternError
from validators.words.invalid import problems
from validators.words.violation import errors_text

__all__ = ["Refused", "Validate", "check_schema", "compile_schema"]

Refused = fastjsonschema.JsonSchemaValueException


def compile_schema(whole: dict[str, Any], uri: str) -> Validate:
    """Compile a bundle. Raises SchemaError when no function can be made of it."""
    try:
        return make_function(mend(whole))
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
