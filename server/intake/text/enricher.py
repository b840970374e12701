"""Insert absent fields into the bytes of an event: one plan for each set of members that can be missing together.

Place: intake.router makes an Enricher once; intake.pipeline applies it to every event, before validation.
Rule: an explicit null counts as present; nothing is overwritten; nothing is inserted below a value that is not an
object. The fast way handles one shape: members at the front of the event, and of one object in it whose name occurs
once. intake.text.splice handles every other shape, with the same resulting bytes.
Not here: where values come from (intake.text.enrichment, intake.arrival), how the slow way finds its places
(intake.text.splice).
"""

# hot path

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import UNSET

from server.identity import identities
from server.intake.arrival import Arrival
from server.intake.text.enrichment import NEW_ID, RECEIVE_TIME, EnrichmentSource
from server.intake.text.members import MemberReader, Path, Values
from server.intake.text.splice import needle_of, splice

# Number of cached plans of each Enricher. Their keys are the missing members and the values that the request lacks.
# Clients choose both, and making one takes 20 µs: the first ones stay.
MAX_KEPT = 256  # Not Final: see TURN_S in server.timing.turns.

MAX_READY: Final = 16  # Enrichers whose texts are cached with a head that many requests share (http.head_cache).

Texts = list[bytes | None]  # The texts of the sources that depend on the client and its headers alone, in their order.
_ID: Final = -1  # A new identity.
_DT: Final = -2  # The time of receipt.
_BEFORE: Final = -3  # What the event has before the members of its inner object.
_AFTER: Final = -4  # The rest of the event.
_Piece = bytes | int  # JSON text as it is, or the number of a text, or one of the above.
Plan = dict[Path, list[_Piece]]  # For each object that is present and incomplete: its new members, ending in ",".

_QUOTE: Final = 34
_COLON: Final = 58
_BACKSLASH: Final = 92
_BRACE: Final = 123


def gaps_of(sources: Mapping[Path, EnrichmentSource]) -> tuple[Path, ...]:  # cold: once per route
    """Return what an event may lack: the fields to fill in, and the objects around them, in the order of the bits."""
    return tuple(sorted({path[:depth] for path in sources for depth in range(1, len(path) + 1)}))


class Enricher:
    """Fills in fields. The set of ``gaps`` that an event has is a number: the sum of a bit for each: 1 for the
    first, 2 for the second, 4 for the third."""

    __slots__ = ("_bits", "_inserts", "_kept", "_of_client", "_paths", "_places", "_sources")

    def __init__(self, sources: Mapping[Path, EnrichmentSource], members: MemberReader, gaps: Sequence[Path]) -> None:
        self._sources = dict(sources)
        self._bits = {path: 1 << at for at, path in enumerate(gaps)}
        self._places = [(members.at(path), bit) for path, bit in self._bits.items()]
        self._paths = [path for path, source in sources.items() if source is not NEW_ID and source is not RECEIVE_TIME]
        self._of_client = [sources[path].of for path in self._paths]
        self._inserts: dict[tuple[bool, ...], dict[int, Insert]] = {}
        self._kept = 0

    def missing(self, values: Values) -> int:
        """Return what an event lacks, by the members that were read of it."""
        missing = 0
        for at, bit in self._places:
            if values[at] is UNSET:
                missing += bit
        return missing

    def fill(self, raw: bytes, missing: int, arrival: Arrival) -> bytes:
        """Insert what is missing, as far as the server knows it."""
        ready: Ready | None = arrival.ready.get(self)
        if ready is None:
            ready = self._ready(arrival)
        if ready.missing != missing:
            insert = ready.inserts.get(missing) or self._learn(missing, ready.texts, ready.inserts)
            insert.prepare(ready)
            ready.missing = missing
        return ready.insert.into(raw, ready, arrival)

    def _ready(self, arrival: Arrival) -> Ready:
        texts = [of(arrival) for of in self._of_client]
        unknown = tuple([text is None for text in texts]) if None in texts else ()
        inserts = self._inserts.get(unknown)
        if inserts is None:
            inserts = {}
            if self._kept < MAX_KEPT:
                self._inserts[unknown] = inserts
        if len(arrival.ready) >= MAX_READY:
            arrival.ready.clear()
        ready = arrival.ready[self] = Ready(texts, inserts)
        return ready

    def _learn(self, missing: int, texts: Texts, inserts: dict[int, Insert]) -> Insert:  # cold: kept
        plan = self._plan(missing, texts)
        insert = Insert(plan)
        if self._kept < MAX_KEPT:
            self._kept += 1
            inserts[missing] = insert
        return insert

    def _plan(self, missing: int, texts: Texts) -> Plan:  # cold: kept
        """Plan the insertions: an object that is missing as a whole is a member of the object around it."""
        unknown = {path for path, text in zip(self._paths, texts, strict=True) if text is None}
        plan: Plan = {}
        for path, source in self._sources.items():
            if missing & self._bits[path] and path not in unknown:
                value: list[_Piece] = [b'"', _ID, b'"'] if source is NEW_ID else [_DT]
                if path in self._paths:
                    value = [self._paths.index(path)]
                plan.setdefault(path[:-1], []).extend([_name(path), *value, b","])
        for parent in sorted(self._bits.keys() - self._sources.keys(), key=len, reverse=True):
            if missing & self._bits[parent] and parent in plan:
                inside = plan.pop(parent)[:-1]
                plan.setdefault(parent[:-1], []).extend([_name(parent), b"{", *inside, b"}", b","])
        return dict(sorted(plan.items()))


class Ready:
    """The parts that are the same for all events of a client with these headers: the texts, and the plans for them.
    ``insert`` is that of the last event, which lacked what is ``missing``; ``parts`` are its pieces with texts and
    ``dt`` filled in."""

    __slots__ = ("dt", "insert", "inserts", "missing", "parts", "texts")

    def __init__(self, texts: Texts, inserts: dict[int, Insert]) -> None:
        self.texts = texts
        self.inserts = inserts
        self.missing = 0
        self.insert = _NOTHING
        self.parts: list[bytes] = []
        self.dt = b""


class Insert:
    """Carries out one plan."""

    __slots__ = ("_before_at", "_edits", "_id_at", "_is_front", "_is_usual", "_needle", "_pieces", "_times_at")

    def __init__(self, plan: Plan) -> None:  # cold: kept
        self._edits = [(path, needle_of(path), pieces) for path, pieces in plan.items()]
        inner = [(needle or b"", pieces) for _, needle, pieces in self._edits if needle is not None]
        self._is_usual = bool(plan) and len(inner) <= 1 and all(needle for needle, _ in inner)
        self._is_front = () in plan
        self._needle = inner[0][0] if inner else b""
        pieces: list[_Piece] = [b"{", *plan[()]] if self._is_front else []
        if inner:
            pieces += [_BEFORE, *inner[0][1]]
        self._pieces = _merged([*pieces, _AFTER])
        self._before_at = [*_places(self._pieces, _BEFORE), -1][0]
        self._id_at = [*_places(self._pieces, _ID), -1][0]
        self._times_at = _places(self._pieces, _DT)

    def prepare(self, ready: Ready) -> None:
        """Have the next events of this client filled in by this plan."""
        ready.insert, ready.dt = self, b""
        ready.parts = [_known(piece, ready.texts) for piece in self._pieces]

    def into(self, raw: bytes, ready: Ready, arrival: Arrival) -> bytes:
        """Return the event with the new members, by the fast way if it has the usual shape."""
        if not self._is_usual or (self._is_front and raw[1] != _QUOTE):
            return self.anywhere(raw, ready.texts, arrival)
        inside, needle, parts = 1, self._needle, ready.parts
        if needle:
            # A name may be spelled by numbers. Finding a byte by its number is a memchr.
            if _BACKSLASH in raw and b"\\u00" in raw:
                return self.anywhere(raw, ready.texts, arrival)
            # measured: two searches, whose arguments have to be unpacked, take 1.5 times as long, and those from the
            # front, as well as ``split``, 1.2 times.
            around = raw.rsplit(needle, 2)
            if len(around) != 2:
                return self.anywhere(raw, ready.texts, arrival)
            inside = len(around[0]) + len(needle)
            if raw[inside] == _COLON and raw[inside + 1] == _BRACE:
                inside += 2
            else:
                inside = raw.find(b"{", inside) + 1
            if raw[inside] != _QUOTE:  # A space, or a brace.
                return self.anywhere(raw, ready.texts, arrival)
            parts[self._before_at] = raw[1:inside] if self._is_front else raw[:inside]
        if ready.dt is not arrival.received_dt:
            ready.dt = arrival.received_dt
            for at in self._times_at:
                parts[at] = ready.dt
        if self._id_at >= 0:
            parts[self._id_at] = identities.at(arrival.received_ms)
        parts[-1] = raw[inside:]
        filled = b"".join(parts)
        parts[-1] = parts[self._before_at] = b""  # Nothing holds an event longer than needed.
        return filled

    def anywhere(self, raw: bytes, texts: Texts, arrival: Arrival) -> bytes:
        """Do the same with an event of any shape."""
        values = [text or b"" for text in texts]
        values += [arrival.received_dt, identities.at(arrival.received_ms)]  # _DT and _ID count from the end.
        return splice(raw, [(path, needle, _text(pieces, values)) for path, needle, pieces in self._edits])


def _name(path: Path) -> bytes:
    return msgspec.json.encode(path[-1]) + b":"


def _places(pieces: list[_Piece], number: int) -> list[int]:
    return [at for at, piece in enumerate(pieces) if isinstance(piece, int) and piece == number]


def _known(piece: _Piece, texts: Texts) -> bytes:
    """Return the part of a piece that is known before the event is."""
    if isinstance(piece, bytes):
        return piece
    return (texts[piece] or b"") if piece >= 0 else b""


def _text(pieces: list[_Piece], values: list[bytes]) -> bytes:
    return b"".join([piece if isinstance(piece, bytes) else values[piece] for piece in pieces])


def _merged(pieces: list[_Piece]) -> list[_Piece]:
    """Return the pieces with neighbouring texts merged."""
    merged: list[_Piece] = []
    for piece in pieces:
        if merged and isinstance(piece, bytes) and isinstance(merged[-1], bytes):
            merged[-1] += piece
        else:
            merged.append(piece)
    return merged


_NOTHING: Final = Insert({})
