"""Names of types: ``web.page_view`` and its ``http`` become ``WebPageViewHttp``.

Place: event_types.python, event_types.typescript → HERE.
Rule: names follow from what they name and from those given before, in the order of the streams: the same settings give
the same names.
Not here: the types.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from server.event_types.shapes import Fields, Items, OneOf, Shape, Values

_WORD = re.compile(r"[A-Za-z0-9]+")


class Names:
    """Names that were given, each once."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def give(self, *parts: str) -> str:
        """Return a name made of the words of ``parts``; with a number behind it if it is taken."""
        words = [word for part in parts for word in _WORD.findall(part)]
        name = wanted = "".join(word[0].upper() + word[1:] for word in words) or "Event"
        if name[0].isdigit():
            name = wanted = f"Event{name}"
        number = 1
        while name in self._taken:
            number += 1
            name = f"{wanted}{number}"
        self._taken.add(name)
        return name


def objects_of(shape: Shape) -> Sequence[Fields]:
    """Return the objects with known members inside a shape, inner ones first, itself last if it is one."""
    found: list[Fields] = []
    if isinstance(shape, Fields):
        for member in shape.members:
            found += objects_of(member.shape)
        found.append(shape)
    elif isinstance(shape, Items):
        found += objects_of(shape.item)
    elif isinstance(shape, Values):
        found += objects_of(shape.value)
    elif isinstance(shape, OneOf):
        for one in shape.shapes:
            found += objects_of(one)
    return found
