"""Judge an event that may still lack what a server fills in, and read members of it, in the same decode.

Place: Validator.reader makes one for a set of paths; an event then costs one call of ``read``.
Rules:
1. What ``read`` gives is valid once the members that it reports as missing are filled in: every text that the caller
   may fill in was tried on what the schema says of it, when the reader was made.
2. Giving nothing means no more than: fill in first, then ask Validator.check.
3. Where that cannot be promised, or the schema's type does not show the paths, there is no reader.
Not here: what is filled in, and how it gets into the bytes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from validators.load import dialect
from validators.load.bundle import target_of
from validators.quick import generated
from validators.quick.generated import Path, UnwritableError, Wanted
from validators.quick.structs import Maker, Places, TypeAndCheck, make

_PICKY = {"const", "enum", "pattern"}  # One text says little about the next where a schema has these.


class Fill(NamedTuple):
    """What will be filled in where an event lacks it.

    ``samples``: JSON strings so odd, so short and so long that a schema which takes them takes all there will be.
    ``is_certain``: it is filled in for every event, not only where the server happens to know a value.
    """

    samples: tuple[bytes, ...]
    is_certain: bool


class EventReader:
    """Reads ``paths`` of events that are valid but for the members of ``fills`` that they lack."""

    __slots__ = ("read",)

    def __init__(self, read: generated.Read) -> None:
        self.read = read
        """Read one event, bytes, into a tuple. First a number with a bit for each of the ``gaps`` that is missing: 1
        for the first of them, 2 for the second … Then the values of ``texts`` and
        ``others``, UNSET where there is none. None instead of it all: this event is not to be judged here."""


def make_reader(
    schema: dict[str, Any],
    texts: Sequence[Path],
    others: Sequence[Path],
    fills: Mapping[Path, Fill],
    gaps: Sequence[Path],
) -> EventReader | None:
    """A reader of ``texts``, which must be there and must be strings, and of ``others``, which may be there. ``gaps``
    are the paths of ``fills`` and those of the objects around them."""
    if any(path in fills for path in texts):
        return None
    wanted = Wanted((*texts, *others), texts, gaps)
    maker = Maker(schema, _places([*texts, *others], fills))
    made, _ = make(maker)
    if made is None or not all(_takes(schema, fills, each) for each in maker.filled):
        return None
    try:
        return EventReader(generated.reader(msgspec.json.Decoder(made.type).decode, made.check, wanted))
    except UnwritableError:
        return None


def _places(paths: Sequence[Path], fills: Mapping[Path, Fill]) -> Places:
    certain = [path for path, fill in fills.items() if fill.is_certain]
    return Places(wanted=_by_place([*paths, *fills]), certain=_by_place(certain), possible=_by_place(list(fills)))


def _by_place(paths: Sequence[Path]) -> dict[str, frozenset[str]]:
    """For each object on the way to these paths, by its place in the schema, the names on the way."""
    names: defaultdict[str, set[str]] = defaultdict(set)
    for path in paths:
        names[place_of(path[:-1])].add(path[-1])
    return {place: frozenset(each) for place, each in names.items()}


def place_of(path: Path) -> str:
    """The JSON pointer, in a schema, to what ``properties`` say of this path."""
    return "".join(dialect.step("properties", name) for name in path)


def _takes(
    schema: dict[str, Any], fills: Mapping[Path, Fill], filled: tuple[str, str, Any, TypeAndCheck]
) -> bool:  # cold: once a schema
    """Whether what the schema says of a member lets every text pass that will be filled in."""
    place, name, each, made = filled
    while isinstance(each, dict) and "$ref" in each:
        each = target_of(schema, each["$ref"])
    if isinstance(each, dict) and (not _PICKY.isdisjoint(each) or each.get("format") == "regex"):
        return False
    judge = generated.judge(msgspec.json.Decoder(made.type).decode, made.check, lambda _raw: True)
    samples = next(fill.samples for path, fill in fills.items() if (place_of(path[:-1]), path[-1]) == (place, name))
    return all(judge(sample) is None for sample in samples)
