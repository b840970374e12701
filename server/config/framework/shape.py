"""Answer questions about the values that a program's settings structs allow, by their types.

Place: config.settings → HERE → config.framework.judge, config.framework.overrides, config.settings_page.
Rule: the structs are the only list of settings; nothing here knows one by name.
Not here: judging values (config.framework.judge).
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from functools import cache
from typing import Any, get_args, get_origin

import msgspec
from msgspec import inspect

from server.config.framework.section import Section


@cache
def fields(section: type[Section]) -> dict[str, Any]:
    """Name → annotated type, in the order of the struct."""
    return typing.get_type_hints(section, include_extras=True)


def bare(kind: Any) -> Any:
    """The type without its annotations."""
    while hasattr(kind, "__metadata__"):
        kind = kind.__origin__
    return kind


def section_of(kind: Any) -> type[Section] | None:
    """The struct, when the type is a section."""
    kind = bare(kind)
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def map_of(kind: Any) -> Any:
    """The type of the values, when the type is a free map; else None."""
    kind = bare(kind)
    return get_args(kind)[1] if get_origin(kind) is dict else None


def list_of(kind: Any) -> Any:
    """The type of the items, when the type is a list or may be one; else None."""
    return next((get_args(one)[0] for one in alternatives(kind) if get_origin(one) is list), None)


def is_text_only(kind: Any) -> bool:
    """Whether every value that the type allows is text, null apart: it then needs no YAML to be read."""
    return all(
        one in (str, type(None))
        or (get_origin(one) is typing.Literal and all(isinstance(v, str) for v in get_args(one)))
        for one in alternatives(kind)
    )


def is_nullable(kind: Any) -> bool:
    """Whether null is a value of the type."""
    return any(one is type(None) for one in alternatives(kind))


def alternatives(kind: Any) -> list[Any]:
    """Return the members of a union, without annotations; any other type is its own only member."""
    kind = bare(kind)
    if get_origin(kind) in (types.UnionType, typing.Union):
        return [inner for one in get_args(kind) for inner in alternatives(one)]
    return [kind]


def every(section: type[Section], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every path and its type, sections included, in the order of the structs."""
    for name, kind in fields(section).items():
        yield (*above, name), kind
        if inner := section_of(kind):
            yield from every(inner, (*above, name))


def describe(kind: Any) -> str:
    """In words, what the type allows: ``a whole number from 1 to 256, or auto``."""
    return _words(inspect.type_info(kind))


def _words(kind: inspect.Type) -> str:
    match kind:
        case inspect.Metadata():
            return _words(kind.type)
        case inspect.UnionType():
            return ", or ".join(_words(one) for one in kind.types)
        case inspect.IntType():
            return f"a whole number{_bounds(kind)}"
        case inspect.FloatType():
            return f"a number{_bounds(kind)}"
        case inspect.StrType():
            return _text(kind)
        case inspect.LiteralType():
            return "one of " + ", ".join(map(str, kind.values)) if len(kind.values) > 1 else str(kind.values[0])
        case inspect.BoolType():
            return "true or false"
        case inspect.NoneType():
            return "null"
        case inspect.ListType():
            return f"a list{' of one or more' if kind.min_length else ''}, each {_words(kind.item_type)}"
        case inspect.DictType():
            return f"a map, each value {_words(kind.value_type)}"
        case _:
            return _members(kind) if isinstance(kind, inspect.StructType) else "anything"


def _members(kind: inspect.StructType) -> str:
    """Return the members of a struct in words; names that may be left out are in brackets."""
    names = [one.name if one.required else f"[{one.name}]" for one in kind.fields]
    return f"a map of {', '.join(names)}"


def _bounds(kind: inspect.IntType | inspect.FloatType) -> str:
    low = f"from {kind.ge:,}" if kind.ge is not None else f"above {kind.gt:,}" if kind.gt is not None else ""
    high = f"to {kind.le:,}" if kind.le is not None else ""
    return "".join(f" {part}" for part in (low, high) if part)


def _text(kind: inspect.StrType) -> str:
    words = "text that is not empty" if kind.min_length == 1 else "text"
    return f"{words} that matches `{kind.pattern}`" if kind.pattern else words


def default_of(section: type[Section], name: str) -> Any:
    """Return the value of a setting that is not set."""
    field = next(field for field in msgspec.structs.fields(section) if field.name == name)
    return field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
