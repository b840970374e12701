"""One event as a format finds it in a body that is not plain JSON.

Place: intake.text.cut, and the formats of this folder → HERE → intake.forms.forms.
Rule: ``raw`` is always JSON, because the answer shows it.
Not here: the way of the event (intake.pipeline).
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from server.intake.verdict import Verdict

MAX_SHOWN_CHARS = 65_536  # Characters shown of text that is not JSON; as many as an error event shows of an event.


class Piece(NamedTuple):
    """A raw event. ``schema_uri`` and ``stream``, JSON text, apply if it names none itself. A piece with a ``verdict``
    is not examined any further."""

    raw: bytes
    verdict: Verdict | None = None
    schema_uri: bytes | None = None
    stream: bytes | None = None


def shown(text: bytes) -> bytes:
    """Return the beginning of text that is not JSON, or was not examined, as a JSON string."""
    return msgspec.json.encode(text[: 4 * MAX_SHOWN_CHARS].decode("utf-8", "replace")[:MAX_SHOWN_CHARS])


def unreadable(text: bytes, reason: str) -> Piece:
    """Make a piece of text that is not JSON: it is shown as a string."""
    return Piece(shown(text), Verdict("not_an_object", reason))
