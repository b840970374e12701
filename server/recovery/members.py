"""Read and change single members of a JSON object, and leave the bytes of all other values as they are.

Place: recovery.repair, recovery.refused, recovery.stored → HERE.
Rules: numbers and strings that are not named are never encoded again. Of a name that occurs twice the last counts, as
it does everywhere in the intake. A path leads through objects alone.
Not here: what is changed (recovery.repair).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec
from msgspec import Raw

Path = tuple[str, ...]
# From the member, None if it is absent, to the member that takes its place, None if there will be none.
Change = Callable[[Raw | None], Raw | None]

UNREADABLE: Final = (msgspec.DecodeError, RecursionError)

_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_text: Final = msgspec.json.Decoder(str).decode


def check_object(raw: bytes) -> None:
    """Raise msgspec.DecodeError, or RecursionError, if this is no JSON object."""
    _members(raw)


def text_at(raw: bytes | Raw, path: Path) -> str | None:
    """Return the string at this path. None: there is no string, or this is no JSON object."""
    found = member(raw, path)
    try:
        return None if found is None else _text(found)
    except UNREADABLE:
        return None


def first_text(raw: bytes | Raw, paths: Iterable[Path]) -> str | None:
    """Return the first string that these paths lead to."""
    return next((found for path in paths if (found := text_at(raw, path)) is not None), None)


def member(raw: bytes | Raw, path: Path) -> Raw | None:
    """Return the member at this path, as it is written."""
    found = raw if isinstance(raw, Raw) else Raw(raw)
    try:
        for name in path:
            found = _members(found)[name]
    except (*UNREADABLE, KeyError):
        return None
    return found


def edit(raw: bytes | Raw, path: Path, change: Change, *, makes_parents: bool = False) -> bytes:
    """Return the object with the member at ``path`` changed.

    An object on the way that is absent is made if ``makes_parents``; otherwise the object is returned as it is, as it
    is where a value on the way is no object. Raises msgspec.DecodeError if ``raw`` itself is none.
    """
    members = _members(raw)
    name, rest = path[0], path[1:]
    before = members.get(name)
    if not rest:
        after = change(before)
    elif before is None:
        if not makes_parents:
            return bytes(raw)
        after = Raw(edit(b"{}", rest, change, makes_parents=True))
    else:
        try:
            after = Raw(edit(before, rest, change, makes_parents=makes_parents))
        except msgspec.ValidationError:
            return bytes(raw)
    if after is before or (after is not None and before is not None and bytes(after) == bytes(before)):
        return bytes(raw)
    if after is None:
        del members[name]
    else:
        members[name] = after
    return msgspec.json.encode(members)
