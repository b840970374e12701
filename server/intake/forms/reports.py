"""Reports of browsers (Reporting API, and `report-uri` of CSP): network errors, policy violations, deprecations.

Place: intake.forms → HERE.
Rules: a report is an event as it stands, with ``type``, ``age``, ``url``, ``user_agent`` and ``body``; its type alone
decides on schema and stream (``intake.reports``). A report sent to a ``report-uri`` (CSP level 3, section 5.4) has no
type, and its Content-Type stands for one: ``csp-report``. A report that names a schema itself is an ordinary event.
Not here: the members that its schema requires (intake.pipeline).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw

from server.intake.forms.form import Form
from server.intake.forms.piece import Piece
from server.intake.text.members import MemberReader
from server.intake.verdict import Verdict

if TYPE_CHECKING:
    from server.config.settings import Config
    from server.config.transport_settings import Destination
    from server.intake.forms.form import SchemaHere

_MEMBERS = MemberReader([("$schema",), ("type",)])
_SCHEMA_AT, _TYPE_AT = _MEMBERS.at(("$schema",)), _MEMBERS.at(("type",))

CSP = "csp-report"
NO_TYPE = Verdict("missing_stream", "the report should have its type in '.type'")


class Reports:
    """Makes pieces of reports. ``destinations`` are by type of report."""

    def __init__(self, destinations: Mapping[str, Destination]) -> None:
        encode = msgspec.json.encode
        self._known = {name: (encode(to.schema), encode(to.stream)) for name, to in destinations.items()}

    def piece(self, raw: bytes) -> Piece:
        """Return a report, from an array or alone."""
        return self._piece(raw, None)

    def csp_piece(self, raw: bytes) -> Piece:
        """Return the report in a body of type ``application/csp-report``."""
        return self._piece(raw, CSP)

    def _piece(self, raw: bytes, of: str | None) -> Piece:
        try:
            values = _MEMBERS.read(raw)
        # It is not an object, or cannot be read: the pipeline reports that.
        except (msgspec.DecodeError, RecursionError):
            return Piece(raw)
        if values[_SCHEMA_AT] is not UNSET:
            return Piece(raw)
        name = of or _text(values[_TYPE_AT])
        if name is None:
            return Piece(raw, NO_TYPE)
        known = self._known.get(name)
        if known is None:
            return Piece(raw, Verdict("unknown_stream", f"reports of type {name[:200]!r} are not accepted here"))
        return Piece(raw, None, *known)


def form(config: Config, _schema: SchemaHere) -> Form:
    """How a body of the Reporting API is read."""
    return Form(unwrap=Reports(config.intake.reports).piece)


def _text(value: Any) -> str | None:
    try:
        return msgspec.json.decode(value, type=str) if isinstance(value, Raw) else None
    except msgspec.DecodeError:
        return None
