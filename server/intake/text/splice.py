"""Insert members into a JSON object without touching the rest of its bytes.

Place: intake.text.enricher, intake.pipeline → HERE.
Rule: only absent members are inserted; numbers, escapes and white space of the client stay as they are. The fast way
searches once for each object; if it cannot be sure of the place, the slow way splits the object by level.
Not here: which members are inserted, and the usual case (intake.text.enricher).
"""

# hot path

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw

from server.intake.text.members import Path

QUOTE: Final = ord('"')

_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.encode

# (path, needle, members): insert members, JSON text that ends with a comma, into the object at ``path``. ``needle`` is
# its quoted name, None for the event itself.
Edit = tuple[Path, bytes | None, bytes]


def needle_of(path: Path) -> bytes | None:  # cold: kept
    """Return the text to search for the object at ``path``: empty if its name has letters that may be spelled
    otherwise."""
    if not path:
        return None
    return _encode(path[-1]) if path[-1].isascii() else b""


def splice(raw: bytes, edits: list[Edit]) -> bytes:
    """Apply edits to an event that begins with its brace and has an object at the path of every edit.

    The quoted name of the object is searched. If it occurs once, and the event has no escape by number, it is the
    member's name, because quotes inside a JSON string are escaped.
    """
    is_plain = b"\\" not in raw or b"\\u00" not in raw
    cuts = []
    for path, needle, members in edits:
        inside = 1
        if needle is not None:
            start = raw.find(needle)
            if is_plain and start >= 0 and raw.find(needle, start + 1) < 0:
                inside = raw.find(b"{", start) + 1
            else:
                inside = _inside_by_text(raw, path)
                if not inside:
                    return _insert_all(raw, edits)
        if raw[inside] != QUOTE and raw[inside:].lstrip()[:1] == b"}":
            cuts.append((inside, members[:-1]))
        else:
            cuts.append((inside, members))
    cuts.sort(reverse=True)  # From the back, so that the places in front stay valid.
    for inside, members in cuts:
        raw = raw[:inside] + members + raw[inside:]
    return raw


def _insert_all(raw: bytes, edits: list[Edit]) -> bytes:
    for path, _, members in edits:
        raw = insert_by_path(raw, path, members)
    return raw


def _inside_by_text(raw: bytes, path: Path) -> int:
    """Return where the object at ``path`` begins, after its brace, by searching its text; 0 when that occurs twice."""
    text = Raw(raw)
    for name in path:
        text = _decode_members(text)[name]
    start = raw.find(text)
    return start + 1 if raw.find(text, start + 1) < 0 else 0


def insert_by_path(raw: bytes, path: Path, members: bytes) -> bytes:
    """Insert members, JSON text that ends with a comma, into the object at ``path``, making parents that are absent.

    A name that occurred twice in one of the objects on the path occurs once afterwards, with its last value. An
    ancestor that is not an object is left alone: the schema decides whether it is valid.
    """
    try:
        parts = _decode_members(raw)
    except msgspec.ValidationError:
        return raw
    if not path:
        inner = join_members(parts)
        return b"{" + (members if len(inner) > 2 else members[:-1]) + inner[1:]
    parts[path[0]] = Raw(insert_by_path(bytes(parts.get(path[0], b"{}")), path[1:], members))
    return join_members(parts)


def join_members(parts: dict[str, Raw]) -> bytes:
    """Write an object from the raw text of its values."""
    return _encode(parts)
