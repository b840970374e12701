"""Read chosen members of a JSON object as raw JSON, without building the rest.

Place: intake.pipeline → HERE. ``msgspec`` skips members that no field names: 0.4 µs where a dict of all members costs
0.8.
Rule: the result is what a last-wins reader sees; member names that differ only in their escapes are one name.
Not here: what the members mean (intake.router), changing them (intake.text.splice).
"""

# hot path

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, Raw

Path = tuple[str, ...]
Values = tuple[Any, ...]  # of Raw (there), UNSET (not there) or BLOCKED (an ancestor is not an object)

BLOCKED: Final = object()


class _Level(NamedTuple):
    parent_at: int
    read: Callable[[Any], Values]
    missing: Values
    blocked: Values


class MemberReader:
    """Reads the same paths of every object given to it.

    >>> members = Members([("meta", "stream"), ("meta", "dt")])
    >>> values = members.read(b'{"meta": {"stream": "x"}, "other": 1}')
    >>> bytes(values[members.at(("meta", "stream"))]), values[members.at(("meta", "dt"))]
    (b'"x"', UNSET)
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        members: dict[Path, dict[str, None]] = {(): {}}
        for path in paths:
            for depth, name in enumerate(path):
                members.setdefault(path[:depth], {})[name] = None
        self._at: dict[Path, int] = {}
        self._levels: list[_Level] = []
        for parent in sorted(members, key=len):
            names = tuple(members[parent])
            start = len(self._at)
            for position, name in enumerate(names):
                self._at[(*parent, name)] = start + position
            read = _read_members(names)
            if parent:
                missing, blocked = (UNSET,) * len(names), (BLOCKED,) * len(names)
                self._levels.append(_Level(self._at[parent], read, missing, blocked))
            else:
                self._read_top = read

    def at(self, path: Path) -> int:
        """Return the index, in the result of ``read``, of the value of this path or of the object that holds it."""
        return self._at[path]

    def read(self, raw: bytes) -> Values:
        """Read one object. Raises msgspec.ValidationError when it is not an object, msgspec.DecodeError when it is not
        JSON."""
        values = self._read_top(raw)
        for parent_at, read, missing, blocked in self._levels:
            parent = values[parent_at]
            if parent is UNSET:
                values += missing
            elif parent is BLOCKED:
                values += blocked
            else:
                try:
                    values += read(parent)
                except msgspec.ValidationError:
                    values += blocked
        return values


def _read_members(names: tuple[str, ...]) -> Callable[[Any], Values]:  # cold: once per route
    """Compile a reader of these members of one object.

    The member names become struct fields f0, f1, … because a struct cannot have a field named ``$schema``.
    """
    fields = [f"f{position}" for position in range(len(names))]
    struct = msgspec.defstruct(
        "MemberReader",
        [(field, Raw, UNSET) for field in fields],
        rename=dict(zip(fields, names, strict=True)),
        gc=False,
    )
    decode = msgspec.json.Decoder(struct).decode
    get: Callable[[Any], Any] = attrgetter(*fields)  # Its type says that it returns a tuple even of one field.
    if len(fields) > 1:
        return lambda raw: get(decode(raw))
    return lambda raw: (get(decode(raw)),)
