"""Lint one schema and the schemas inside it: names, keywords, types, bounds and patterns.

Place: lint.lint → HERE.
Rules: the rules are about what is written, wherever it stands. Inside ``not``, ``if`` and the branches of a union a
schema only narrows, so that it needs no type and no description there.
Not here: titles, versions and examples (lint.title).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from server.schemas.repository import compile_regex, is_slow_regex
from server.schemas_tool.lint import privacy, rules
from server.schemas_tool.lint.rules import LintRule
from server.schemas_tool.lint.words import EXPECT, KEYWORDS, OWN_KEYWORDS, RESERVED, meant

Path = tuple[str | int, ...]
SAFE: Final = 2**53 - 1
_NAME: Final = re.compile(r"[$a-z]+[a-z0-9_]*")
_ELSEWHERE: Final = re.compile(r"\(\?<?[=!]|\\[1-9]|\\[dDwWsSbB]|\\[pP]\{|\(\?<[A-Za-z]")
_NARROWING: Final = ("not", "if", "then", "else", "contains", "propertyNames")
_UNIONS: Final = ("allOf", "anyOf", "oneOf")


class Remark(NamedTuple):
    """A rule that is broken at a path of the schema."""

    rule: LintRule
    path: Path
    message: str = ""


def remarks_of(schema: Any, path: Path = (), *, is_whole: bool = True) -> Iterator[Remark]:
    """Yield the remarks on a schema; ``is_whole``: it describes a value by itself."""
    if not isinstance(schema, dict):
        return
    yield from _keywords(schema, path)
    if is_whole and "$ref" not in schema and not any(word in schema for word in _UNIONS):
        yield from _type(schema, path)
    yield from _bounds(schema, path)
    yield from _required(schema, path)
    yield from (Remark(*found) for found in privacy.found_in(schema, path))
    for name, inner in _members(schema, "properties"):
        yield from _name(name, inner, (*path, "properties", name))
    for inner, at, is_described in _inside(schema, path):
        yield from remarks_of(inner, at, is_whole=is_described)
    yield from _expected(schema, path)


def _inside(schema: dict[str, Any], path: Path) -> Iterator[tuple[Any, Path, bool]]:
    """Yield the schemas directly inside one, their paths, and whether they describe a value by themselves."""
    for word in ("properties", "patternProperties", "definitions"):
        for name, inner in _members(schema, word):
            yield inner, (*path, word, name), True
    for name, inner in _members(schema, "dependencies"):
        yield inner, (*path, "dependencies", name), False
    for word in ("additionalProperties", "additionalItems", "items"):
        yield from ((inner, at, True) for inner, at in _listed(schema.get(word), (*path, word)))
    for word in _UNIONS:
        if isinstance(schema.get(word), list):
            yield from ((inner, at, False) for inner, at in _listed(schema[word], (*path, word)))
    for word in _NARROWING:
        yield schema.get(word), (*path, word), False


def _listed(value: Any, path: Path) -> list[tuple[Any, Path]]:
    """Return the schemas of a keyword that holds one, or a list of them."""
    return [(each, (*path, at)) for at, each in enumerate(value)] if isinstance(value, list) else [(value, path)]


def _expected(schema: dict[str, Any], path: Path) -> Iterator[Remark]:
    """Yield the remarks on expectations: they narrow, so that their keywords are looked at, and no more."""
    waiting = _listed(schema.get(EXPECT), (*path, EXPECT))
    while waiting:
        inner, at = waiting.pop()
        if isinstance(inner, dict):
            yield from _keywords(inner, at)
            yield from (Remark(*found) for found in privacy.expected_in(inner, at))
            waiting += [(each, below) for each, below, _ in _inside(inner, at)]


def _members(schema: dict[str, Any], word: str) -> list[tuple[str, Any]]:
    found = schema.get(word)
    return [(str(name), inner) for name, inner in found.items()] if isinstance(found, dict) else []


def _name(name: str, schema: Any, path: Path) -> Iterator[Remark]:
    if not _NAME.fullmatch(name):
        yield Remark(rules.NAME, path)
    elif name in RESERVED:
        yield Remark(rules.RESERVED, path)
    if isinstance(schema, dict) and not schema.get("description") and "$ref" not in schema:
        yield Remark(rules.DESCRIPTION, path)


def _keywords(schema: dict[str, Any], path: Path) -> Iterator[Remark]:
    for word in map(str, schema):
        if word in KEYWORDS or word in OWN_KEYWORDS:
            continue
        likely = meant(word)
        if likely in OWN_KEYWORDS:
            yield Remark(rules.MISSPELT, (*path, word), f"{word!r} says nothing; the keyword is {likely}.")
        elif word.startswith("x-"):
            continue
        elif likely is not None:
            yield Remark(rules.MISSPELT, (*path, word), f"{word!r} is no keyword of draft-07; {likely} is one.")
        else:
            yield Remark(rules.UNKNOWN, (*path, word), f"{word!r} is no keyword of draft-07.")


def _type(schema: dict[str, Any], path: Path) -> Iterator[Remark]:
    kind = schema.get("type")
    if isinstance(kind, list) and len(kind) > 1:
        yield Remark(rules.UNION, (*path, "type"))
    if kind is None and "enum" not in schema and "const" not in schema:
        yield Remark(rules.UNTYPED, path)
    if kind == "array" and not isinstance(schema.get("items"), dict):
        yield Remark(rules.ITEMS, path)
    if kind == "object" and "properties" not in schema and not isinstance(schema.get("additionalProperties"), dict):
        yield Remark(rules.MAP, path)
    if kind == "string" and not any(word in schema for word in ("maxLength", "enum", "const", "pattern")):
        yield Remark(rules.FREE_FORMAT if "format" in schema else rules.UNBOUNDED, path)
    if None in (schema["enum"] if isinstance(schema.get("enum"), list) else ()):
        yield Remark(rules.NULL, (*path, "enum"))


def _bounds(schema: dict[str, Any], path: Path) -> Iterator[Remark]:
    if schema.get("type") == "integer" and "enum" not in schema and "const" not in schema:
        low = schema.get("minimum", schema.get("exclusiveMinimum"))
        high = schema.get("maximum", schema.get("exclusiveMaximum"))
        if not _is_safe(low) or not _is_safe(high):
            yield Remark(rules.UNSAFE, path)
    text = schema.get("pattern")
    if not isinstance(text, str):
        return
    try:
        compile_regex(text)
        is_slow = is_slow_regex(text)
    except ValueError as error:
        yield Remark(rules.REGEX, (*path, "pattern"), f"{rules.REGEX.why} It {error}.")
        return
    if is_slow:
        yield Remark(rules.SLOW, (*path, "pattern"))
    elif _ELSEWHERE.search(text):
        yield Remark(rules.ENGINES, (*path, "pattern"))


def _is_safe(bound: Any) -> bool:
    return isinstance(bound, int | float) and -SAFE - 1 <= bound <= SAFE + 1


def _required(schema: dict[str, Any], path: Path) -> Iterator[Remark]:
    wanted = schema.get("required")
    if "properties" not in schema or not isinstance(wanted, list):
        return
    for at, name in enumerate(wanted):
        if name not in schema["properties"]:
            yield Remark(rules.REQUIRED, (*path, "required", at), f"{name!r} is required, and is not described.")
