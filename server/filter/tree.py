"""The parts of a filter, as the parser finds them, and their canonical text.

Place: filter.parse makes them → HERE → filter.predicate turns them into a predicate.
Rule: ``parse(text_of(tree)) == tree`` for every tree that a text can have.
Not here: the grammar (filter.parse), the meaning of the parts (filter.predicate).
"""

from __future__ import annotations

import json
import re
from typing import Final, NamedTuple, TypeAlias

KEYWORDS: Final = frozenset({"and", "or", "not"})
# A name that needs no quotes in a path, and a value that needs none. A value may hold what its end cannot be taken for.
PLAIN_NAME: Final = re.compile(r"[^\W\d][\w$@/~-]*|[$@/~][\w$@/~-]*")
PLAIN_VALUE: Final = re.compile(r'[^\s"(),\\]+')

ANY_ELEMENT: Final = -1  # The step ``[*]``.


class Path(NamedTuple):
    """The place of a value: names of members, numbers of elements, and ANY_ELEMENT. ``is_own``: the path begins with a
    dot, so its first name is never that of a fact."""

    steps: tuple[str | int, ...]
    is_own: bool = False


class Value(NamedTuple):
    """A value as it was written. A quoted one is a string and has no wildcards."""

    text: str
    is_quoted: bool = False


class Search(NamedTuple):
    """A text to be found in any string of the event, in upper or lower case."""

    text: str


class Has(NamedTuple):
    """The presence of a member with any value; ``null`` counts as present."""

    path: Path


class Compare(NamedTuple):
    """A comparison. ``:`` and ``=`` hold for one of the values, ``!=`` for none of them; ``<``, ``<=``, ``>`` and
    ``>=`` have one value."""

    path: Path
    operator: str
    values: tuple[Value, ...]


class Not(NamedTuple):
    """The opposite of a part."""

    part: Node


class All(NamedTuple):
    """All of the parts hold; without parts, always."""

    parts: tuple[Node, ...]


class Either(NamedTuple):
    """At least one of the parts holds."""

    parts: tuple[Node, ...]


Node: TypeAlias = Search | Has | Compare | Not | All | Either


def text_of(node: Node) -> str:
    """Return the canonical text of a tree: one space between parts, quotes and parentheses only where needed."""
    if isinstance(node, Search):
        return json.dumps(node.text, ensure_ascii=False)
    if isinstance(node, Has):
        return f"has:{path_text(node.path)}"
    if isinstance(node, Compare):
        values = [_value_text(value) for value in node.values]
        return path_text(node.path) + node.operator + (values[0] if len(values) == 1 else f"({', '.join(values)})")
    if isinstance(node, Not):
        inner = text_of(node.part)
        return f"not ({inner})" if isinstance(node.part, All | Either) else f"not {inner}"
    if isinstance(node, All):
        return " ".join(
            f"({text_of(part)})" if isinstance(part, All | Either) else text_of(part) for part in node.parts
        )
    return " or ".join(f"({text_of(part)})" if isinstance(part, Either) else text_of(part) for part in node.parts)


def path_text(path: Path) -> str:
    """Return the text of a path: ``meta.tags[0]``."""
    parts: list[str] = []
    for step in path.steps:
        if isinstance(step, int):
            parts.append("[*]" if step == ANY_ELEMENT else f"[{step}]")
        else:
            parts.append(("." if parts or path.is_own else "") + _name_text(step, is_first=not parts))
    return "".join(parts)


def _name_text(name: str, *, is_first: bool) -> str:
    is_plain = PLAIN_NAME.fullmatch(name) and not (is_first and name.lower() in KEYWORDS | {"has"})
    return name if is_plain else json.dumps(name, ensure_ascii=False)


def _value_text(value: Value) -> str:
    return json.dumps(value.text, ensure_ascii=False) if value.is_quoted else value.text
