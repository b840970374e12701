"""Insert absent fields into the bytes of an event: one function for each set of members that can be missing together.

Place: intake.router makes an Enricher once; intake.pipeline applies it to every event, before validation.
Rule: an explicit null counts as present; nothing is overwritten; nothing is inserted below a value that is not an
object. The function generated for a plan handles one shape: members at the front of the event, and of one object in it
whose name occurs once. intake.text.splice handles every other shape, with the same resulting bytes.
Not here: where values come from (intake.text.enrichment, intake.arrival), how the slow way finds its places
(intake.text.splice).
"""

# hot path

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET

from server.identity import head_of, tail
from server.intake.arrival import Arrival
from server.intake.text.enrichment import NEW_ID, RECEIVE_TIME, EnrichmentSource
from server.intake.text.members import MemberReader, Path, Values
from server.intake.text.splice import needle_of, splice

# Number of cached functions of each Enricher. Their keys are the missing members and the values that the request lacks.
# Clients choose both, and making one takes 0.1 ms: the first ones stay, later ones take the slow way.
MAX_KEPT = 256  # Not Final: see TURN_S in server.timing.turns.

MAX_READY: Final = 16  # Enrichers whose texts are cached with a head that many requests share (http.head_cache).

Texts = list[bytes | None]  # The texts of the sources that depend on the client and its headers alone, in their order.
# Arguments: the event, the texts, the time of receipt, the beginning of a new ID.
Insert = Callable[[bytes, Texts, bytes, bytes], bytes]
_ID: Final = -1
_DT: Final = -2
_Piece = bytes | int  # JSON text as it is, or the number of a text, or _ID or _DT.
_Plan = dict[Path, list[_Piece]]  # For each object that is present and incomplete: its new members, ending in ",".


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
        ready = arrival.ready.get(self)
        if ready is None:
            ready = self._ready(arrival)
        texts, inserts = ready
        insert = inserts.get(missing)
        if insert is None:
            insert = self._learn(missing, texts, inserts)
        return insert(raw, texts, arrival.received_dt, head_of(arrival.received_ms))

    def _ready(self, arrival: Arrival) -> tuple[Texts, dict[int, Insert]]:
        """Return the parts that are the same for all events of a client with these headers: the texts, and the
        functions for them."""
        texts = [of(arrival) for of in self._of_client]
        unknown = tuple([text is None for text in texts]) if None in texts else ()
        inserts = self._inserts.get(unknown)
        if inserts is None:
            inserts = {}
            if self._kept < MAX_KEPT:
                self._inserts[unknown] = inserts
        if len(arrival.ready) >= MAX_READY:
            arrival.ready.clear()
        ready = arrival.ready[self] = (texts, inserts)
        return ready

    def _learn(self, missing: int, texts: Texts, inserts: dict[int, Insert]) -> Insert:  # cold: kept
        plan = self._plan(missing, texts)
        if self._kept >= MAX_KEPT:
            return anywhere(plan)
        self._kept += 1
        insert = inserts[missing] = insert_of(plan)
        return insert

    def _plan(self, missing: int, texts: Texts) -> _Plan:  # cold: kept
        """Plan the insertions: an object that is missing as a whole is a member of the object around it."""
        unknown = {path for path, text in zip(self._paths, texts, strict=True) if text is None}
        plan: _Plan = {}
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


def _name(path: Path) -> bytes:
    return msgspec.json.encode(path[-1]) + b":"


def anywhere(plan: _Plan) -> Insert:  # cold: kept
    """Return a function that carries out the plan on an event of any shape."""
    edits = [(path, needle_of(path), pieces) for path, pieces in plan.items()]

    def insert(raw: bytes, texts: Texts, dt: bytes, id_head: bytes) -> bytes:
        values: list[Any] = [*texts, dt, id_head + tail()]  # _DT and _ID count from the end.
        return splice(raw, [(path, needle, _text(pieces, values)) for path, needle, pieces in edits])

    return insert


def insert_of(plan: _Plan) -> Insert:  # cold: kept
    """Return a faster function, if the plan has the usual shape."""
    slow = anywhere(plan)
    inner = [(needle_of(path), pieces) for path, pieces in plan.items() if path]
    if not plan or len(inner) > 1 or (inner and not inner[0][0]):
        return slow
    constants: dict[str, Any] = {"anywhere": slow, "join": b"".join, "tail": tail}
    lines = ["def insert(raw, texts, dt, id_head):"]
    if inner:
        constants["needle"] = inner[0][0]
        lines += [
            # A backslash. Finding a byte by its number is a memchr; ``in`` and a second find take twice as long
            # (measured).
            ' if raw.find(92) >= 0 and b"\\\\u00" in raw: return anywhere(raw, texts, dt, id_head)',
            " start = raw.find(needle)",
            " if start < 0 or raw.rfind(needle) != start: return anywhere(raw, texts, dt, id_head)",
            " inside = raw.find(123, start) + 1",
            " if raw[inside] != 34: return anywhere(raw, texts, dt, id_head)",  # Not a quote: a space, or a brace.
        ]
    if () in plan:
        lines.append(" if raw[1] != 34: return anywhere(raw, texts, dt, id_head)")
    pieces = [_written(piece, constants) for piece in _merged([b"{", *plan[()]])] if () in plan else []
    if inner:
        kept = "raw[1:inside]" if pieces else "raw[:inside]"
        pieces += [kept, *(_written(piece, constants) for piece in _merged(inner[0][1]))]
    pieces.append("raw[inside:]" if inner else "raw[1:]")
    lines.append(f" return join(({', '.join(pieces)}))")
    exec(compile("\n".join(lines), "<filling>", "exec"), constants)
    insert: Insert = constants["insert"]
    return insert


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


def _written(piece: _Piece, constants: dict[str, Any]) -> str:
    """Return the piece as an expression of the generated function: its source contains nothing of a schema or a
    client."""
    if isinstance(piece, bytes):
        name = f"c{len(constants)}"
        constants[name] = piece
        return name
    return {_ID: "id_head, tail()", _DT: "dt"}.get(piece, f"texts[{piece}]")
