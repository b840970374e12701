"""Bodies that are not plain JSON: wrapped events, or one event per line.

Place: intake.receive → HERE → the module of the format (intake.forms.form); intake.batch → HERE → intake.pipeline.
Rules: an event of any format is raw JSON text by the time intake.pipeline sees it. A fault in one piece is a verdict
with its index; a fault in the body as a whole is a fault of the request, as in intake.text.decode.
Not here: content types and encodings (http.around.content, http.around.decompress).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from server.intake.arrival import Arrival
from server.intake.event import Event
from server.intake.forms import cloudevents
from server.intake.forms.cloudevents import CloudEvents
from server.intake.forms.form import Form
from server.intake.forms.piece import Piece

if TYPE_CHECKING:
    from server.config.settings import Config
    from server.intake.forms.form import Make, SchemaHere, Unwrap

Prepare = Callable[[int, bytes, Arrival], Event]


class Forms:
    """The forms of all formats; each worker has one."""

    def __init__(
        self,
        config: Config,
        schema: SchemaHere,
        format_of: Callable[[bytes | None], str],
        formats: Collection[str],
    ) -> None:
        """``format_of`` names the format of a body with this Content-Type; ``formats`` are all names but that of plain
        JSON (http.around.content). ``schema`` finds a schema without fetching it."""
        self._format_of = format_of
        self._binary = CloudEvents(config, schema).binary
        self._looks_at_headers = bool(config.intake.cloudevents)  # For CloudEvents in binary mode.
        self._forms = {name: _maker(name)(config, schema) for name in formats}

    def is_plain(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether bodies with these headers need nothing but intake.text.decode."""
        if self._format_of(headers.get(b"content-type")) in self._forms:
            return False
        return not self._looks_at_headers or cloudevents.MARK not in headers

    def of(self, headers: Mapping[bytes, bytes]) -> Form:
        """Return the form of a body with these headers, which is not plain."""
        form = self._forms.get(self._format_of(headers.get(b"content-type")))
        return form if form is not None else Form(cloudevents.as_data, self._binary(headers), cloudevents.one_whole)


def without_form(headers: Mapping[bytes, bytes]) -> Mapping[bytes, bytes]:
    """Return the headers of a GET without those that describe a body, because its events are in the query."""
    return {name: value for name, value in headers.items() if name not in (b"content-type", cloudevents.MARK)}


class PiecePreparer:
    """Prepares the events of one body that may be pieces; ``unwrap`` as in ``Form``. ``hide`` is told of each that is
    refused here."""

    __slots__ = ("_hide", "_prepare", "_unwrap")

    def __init__(self, prepare: Prepare, unwrap: Unwrap | None, hide: Callable[[Event, Arrival], None]) -> None:
        self._prepare = prepare
        self._hide = hide
        self._unwrap = unwrap

    def prepare_all(self, raws: Sequence[Any], first: int, arrival: Arrival) -> list[Event]:
        """Prepare events, the first of which is the ``first``-th of its request. Schema and stream of a piece take
        precedence over those of the request."""
        prepare, unwrap = self._prepare, self._unwrap
        schema_uri, stream = arrival.schema_uri, arrival.stream
        events = []
        for index, raw in enumerate(raws, first):
            piece = unwrap(raw) if unwrap is not None and not isinstance(raw, Piece) else raw
            if not isinstance(piece, Piece):
                events.append(prepare(index, piece, arrival))
                continue
            if piece.verdict is not None:
                event = Event(index, piece.raw, piece.verdict)
                self._hide(event, arrival)
                events.append(event)
                continue
            arrival.schema_uri, arrival.stream = piece.schema_uri or schema_uri, piece.stream or stream
            events.append(prepare(index, piece.raw, arrival))
        arrival.schema_uri, arrival.stream = schema_uri, stream
        return events


def _maker(name: str) -> Make:
    """Return the function ``form`` of a format's module, which has the name that http.around.content gives to it."""
    make: Make = import_module(f"server.intake.forms.{name}").form
    return make
