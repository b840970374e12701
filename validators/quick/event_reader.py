"""Judge an event before a server fills in missing members, and read members of it, in one decode.

Place: Validator.reader makes one for a set of paths; an event then costs one call of ``read``.
Rules:
1. An event that ``read`` accepts is valid once the members that it reports as missing are filled in: when the reader
   was made, the texts that the caller may fill in were tried on the schema.
2. A result of None only means that the event must be filled in first and then given to Validator.check.
3. Where rule 1 cannot be kept, or the schema's type does not hold the paths, there is no reader.
Not here: what is filled in, and how it is written into the bytes.
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

_PICKY = {"const", "enum", "pattern"}  # With these keywords, one accepted text says little about the next.


class Fill(NamedTuple):
    """Describes the value that will be filled in where an event lacks a member.

    ``samples`` are JSON strings so odd, so short and so long that a schema which accepts them accepts every later
    value. ``is_certain`` means that every event gets a value, not only where the server happens to know one.
    """

    samples: tuple[bytes, ...]
    is_certain: bool


class EventReader:
    """Reads members of events that are valid except for members that will be filled in."""

    __slots__ = ("read",)

    def __init__(self, read: generated.Read) -> None:
        self.read = read
        """Read one event from bytes. Returns a tuple: a number with a bit for each of the ``gaps`` that is missing (1
        for the first, 2 for the second, 4 for the third), then the values of ``texts`` and ``others``, UNSET where
        there is none. Returns None when the event cannot be judged here."""


def make_reader(
    schema: dict[str, Any],
    texts: Sequence[Path],
    others: Sequence[Path],
    fills: Mapping[Path, Fill],
    gaps: Sequence[Path],
) -> EventReader | None:
    """Make a reader of ``texts``, which must be present and strings, and of ``others``, which may be absent. ``gaps``
    are the paths of ``fills`` and those of the objects around them. None: this schema cannot have a reader."""
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
    """Return the names on the way to these paths, by the place in the schema of the object that holds them."""
    names: defaultdict[str, set[str]] = defaultdict(set)
    for path in paths:
        names[place_of(path[:-1])].add(path[-1])
    return {place: frozenset(each) for place, each in names.items()}


def place_of(path: Path) -> str:
    """Return the JSON pointer, in a schema, to the subschema that ``properties`` have for this path."""
    return "".join(dialect.step("properties", name) for name in path)


def _takes(
    schema: dict[str, Any], fills: Mapping[Path, Fill], filled: tuple[str, str, Any, TypeAndCheck]
) -> bool:  # cold: once for each schema
    """Whether a member's schema accepts every text that will be filled in."""
    place, name, each, made = filled
    while isinstance(each, dict) and "$ref" in each:
        each = target_of(schema, each["$ref"])
    if isinstance(each, dict) and (not _PICKY.isdisjoint(each) or each.get("format") == "regex"):
        return False
    judge = generated.judge(msgspec.json.Decoder(made.type).decode, made.check, lambda _raw: True)
    samples = next(fill.samples for path, fill in fills.items() if (place_of(path[:-1]), path[-1]) == (place, name))
    return all(judge(sample) is None for sample in samples)
