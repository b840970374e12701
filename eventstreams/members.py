"""The members of an event as raw JSON: look at some, remove some, pick some, and keep the bytes of all others.

Place: HERE ← record, projection.
Rule: a name of a path leads into the elements of a list, as it does in a filter (docs/FILTERS.md). A list therefore
hides nothing that a stream redacts.
Not here: which paths a stream redacts (streams), which a client picks (ask).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw

Path = tuple[str, ...]
Tree = dict[str, Any]  # Name → tree of the names below it; empty: all of it.

MOST_DIGITS: Final = 4_000  # Python reads at most 4,300 digits as an integer (sys.get_int_max_str_digits).

members_of: Final = msgspec.json.Decoder(dict[str, Raw]).decode
encode: Final = msgspec.json.encode
_elements_of: Final = msgspec.json.Decoder(list[Raw]).decode
_decode: Final = msgspec.json.Decoder().decode


def decode(text: bytes | Raw) -> Any:
    """Decode JSON. A number beyond a double or Python's integers is infinite, because the intake accepts such numbers
    and a filter must be able to look at their event. Raises ValueError or RecursionError."""
    try:
        return _decode(text)
    except msgspec.ValidationError:
        return json.loads(bytes(text), parse_int=_whole_number)


def _whole_number(digits: str) -> float:
    return int(digits) if len(digits) <= MOST_DIGITS else float(digits)


def remove(members: dict[str, Raw], path: Sequence[str]) -> None:
    """Remove the member at a path, wherever it is there."""
    name = path[0]
    if name not in members:
        return
    if len(path) == 1:
        del members[name]
    else:
        members[name] = _without(members[name], path[1:])


def _without(value: Raw, path: Sequence[str]) -> Raw:
    inner = object_of(value)
    if inner is not None:
        remove(inner, path)
        return Raw(encode(inner))
    elements = _list_of(value)
    if elements is not None:
        return Raw(encode([_without(one, path) for one in elements]))
    return value


def tree_of(paths: Sequence[Path]) -> Tree:
    """Return the paths as one tree. A path covers everything below it, so longer ones add nothing."""
    tree: Tree = {}
    for path in sorted(set(paths), key=len):
        at: Tree | None = tree
        for depth, name in enumerate(path):
            assert at is not None
            if name in at and not at[name]:
                break  # A shorter path covers it.
            at = at.setdefault(name, {})
            if depth == len(path) - 1 and at:
                at.clear()
    return tree


def picked(members: dict[str, Raw], tree: Tree) -> dict[str, Raw]:
    """Return the members that a tree names."""
    found: dict[str, Raw] = {}
    for name, below in tree.items():
        if name in members:
            value = members[name] if not below else _picked_of(members[name], below)
            if value is not None:
                found[name] = value
    return found


def _picked_of(value: Raw, tree: Tree) -> Raw | None:
    """Return an object with the members that a tree names, or a list of such; None for other values."""
    inner = object_of(value)
    if inner is not None:
        return Raw(encode(picked(inner, tree)))
    elements = _list_of(value)
    if elements is not None:
        return Raw(encode([found for one in elements if (found := _picked_of(one, tree)) is not None]))
    return None


def text_of(members: dict[str, Raw]) -> bytes:
    """Return members as the text of one object, on one line."""
    return one_line(encode(members))


def one_line(text: bytes) -> bytes:
    """Replace line breaks by blanks. They can only stand between tokens, because JSON strings contain none."""
    return text.replace(b"\n", b" ").replace(b"\r", b" ") if b"\n" in text or b"\r" in text else text


def object_of(value: Raw) -> dict[str, Raw] | None:
    """Return the members of an object; None for another value. Raises RecursionError."""
    try:
        return members_of(value)
    except msgspec.DecodeError:
        return None


def _list_of(value: Raw) -> list[Raw] | None:
    try:
        return _elements_of(value)
    except msgspec.DecodeError:
        return None


def text_at(members: dict[str, Raw], path: Sequence[str]) -> str | None:
    """Return the text at a path; None where there is none."""
    at: dict[str, Raw] | None = members
    for name in path[:-1]:
        at = object_of(at[name]) if at is not None and name in at else None
    if at is None or path[-1] not in at:
        return None
    found = decode(at[path[-1]])
    return found if isinstance(found, str) else None
