"""One event as intake.forms finds it in a body that is not plain JSON.

Place: intake.text.cut, intake.forms.ndjson, intake.reports, intake.cloudevents → HERE → intake.forms.
Rule: ``raw`` is always JSON, for it is shown in the answer.
Not here: what becomes of it (intake.pipeline).
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from server.intake.verdict import Verdict

MAX_SHOWN_CHARS = 65_536  # Of what is no JSON; as much as an error event shows of an event.


class Piece(NamedTuple):
    """``schema_uri`` and ``stream``, JSON text, are for an event that names none itself. With a ``verdict`` it is not
    looked at any further."""

    raw: bytes
    verdict: Verdict | None = None
    schema_uri: bytes | None = None
    stream: bytes | None = None


def shown(text: bytes) -> bytes:
    """What is no JSON, or has not been looked at, as a JSON string: its beginning."""
    return msgspec.json.encode(text[: 4 * MAX_SHOWN_CHARS].decode("utf-8", "replace")[:MAX_SHOWN_CHARS])


def unreadable(text: bytes, reason: str) -> Piece:
    """A piece that is no JSON: it is shown as the text that it is."""
    return Piece(shown(text), Verdict("not_an_object", reason))
