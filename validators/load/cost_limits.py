"""Refuse a schema that would take more than a second or 50 MB to compile, or too long to judge a value by.

Place: registry asks here once a schema is a bundle; loader, bundle, source and shape hold further limits of their own.
Rules:
1. Limits count the parts of a schema and never use a clock: the same schema gets the same answer on every machine
   and under every load, and nothing has to be interrupted.
2. The numbers were measured with each kind of construct grown to its limit (``python -m bench compiling``):

   ==================================================  =========  =========================================
   bound                                               number     what it bounds
   ==================================================  =========  =========================================
   bytes of all documents of a schema (loader)           262,144  reading
   values in them (loader)                                20,000  reading YAML, the check by the meta-schema
   depth of a document (yaml12)                              100  recursion
   references (bundle)                                     1,000  resolving
   schemas, with what references repeat (bundle)          10,000  every later walk
   characters of generated code (source)                 300,000  compiling: 25 to 120 bytes for each
   schemas of a type (structs)                             2,000  making types
   bytes of defaults (defaults)                        1,048,576  finding those that hold themselves
   weight of patterns, in µs (pattern)                   200,000  compiling expressions
   references to names in other documents (bundle)            10  resolving
   schemas that judge one value (here)                     2,000  one check: references that multiply
   references to references (here)                           100  recursion in a check
   ==================================================  =========  =========================================
Not here: insecure schemas, which cost time with hostile events (insecure); what one event may cost (steps).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from validators.errors import SchemaError
from validators.load import dialect
from validators.load.bundle import target_of
from validators.regex import pattern
from validators.regex.pattern import PatternError

MAX_IN_PLACE = 2_000
MAX_NESTED_IN_PLACE = 100


def refuse_costly(whole: dict[str, Any], uri: str) -> None:
    """Raise SchemaError naming the limit that the schema exceeds."""
    weight = 0
    try:
        for text in {text for schema in _schemas(whole) for _, text in dialect.patterns(schema)}:
            weight += pattern.weight(text)
            if weight > pattern.MAX_WEIGHT:
                reason = "its patterns would take too long to compile: use fewer, shorter, or plainer ones"
                raise SchemaError("schema_unavailable", f"{uri}: {reason}")
    except PatternError as error:
        raise SchemaError("schema_unavailable", f"{uri}: a pattern {error}") from None
    _refuse_multiplied(whole, uri)


def _schemas(whole: dict[str, Any]) -> Iterator[dict[str, Any]]:
    waiting: list[Any] = [whole]
    while waiting:
        schema = waiting.pop()
        if isinstance(schema, dict):
            yield schema
            waiting += [child for _, _, child in dialect.children(schema)]


def _refuse_multiplied(whole: dict[str, Any], uri: str) -> None:
    """Count, for every schema, the schemas that judge the same value with it. (bundle has refused cycles of them.)"""
    counts: dict[int, tuple[int, int]] = {}
    for start in _schemas(whole):
        waiting: list[dict[str, Any]] = [start]
        while waiting:
            schema = waiting[-1]
            inside = list(_in_place(whole, schema))
            missing = [each for each in inside if id(each) not in counts]
            if missing:
                waiting += missing
                continue
            waiting.pop()
            below = [counts[id(each)] for each in inside]
            count, depth = 1 + sum(one[0] for one in below), 1 + max((one[1] for one in below), default=0)
            if count > MAX_IN_PLACE:
                reason = f"more than {MAX_IN_PLACE:,} of its schemas judge one and the same value"
                raise SchemaError("schema_unavailable", f"{uri}: {reason}: refer to fewer, or to each once")
            if depth > MAX_NESTED_IN_PLACE:
                reason = f"has references to references, more than {MAX_NESTED_IN_PLACE} deep"
                raise SchemaError("schema_unavailable", f"{uri}: {reason}")
            counts[id(schema)] = count, depth


def _in_place(whole: dict[str, Any], schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "$ref" in schema:
        children = [target_of(whole, schema["$ref"])]
    else:
        children = [child for keyword, _, child in dialect.children(schema) if keyword in dialect.IN_PLACE]
    for child in children:
        if isinstance(child, dict):
            yield child
