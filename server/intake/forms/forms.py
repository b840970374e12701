"""Bodies that are not plain JSON: wrapped events, or one event per line.

Place: intake.receive → HERE → intake.forms.ndjson, intake.reports, intake.cloudevents; intake.batch → HERE →
intake.pipeline.
Rules: every form is reduced to the raw text of events before intake.pipeline sees it. A fault of one piece is a verdict
with its index; a fault of the whole is the request's, as in intake.text.decode.
Not here: content types and encodings (http.around.content, http.around.decompress).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from server.intake.arrival import Arrival
from server.intake.event import Event
from server.intake.forms import cloudevents, ndjson
from server.intake.forms.cloudevents import CloudEvents
from server.intake.forms.piece import Piece
from server.intake.forms.reports import Reports
from server.intake.text.cut import Elements, elements

if TYPE_CHECKING:
    from server.config.settings import Config
    from server.intake.forms.cloudevents import SchemaHere
    from server.intake.forms.ndjson import BodyLines

Prepare = Callable[[int, bytes, Arrival], Event]


class Cut(Protocol):
    """The signature of intake.text.cut.elements."""

    def __call__(
        self, body: bytes, most: int, max_event_bytes: int, *, may_take_long: bool
    ) -> Elements | BodyLines | list[Any] | int | str: ...


Unwrap = Callable[[bytes], Piece]
Finish = Callable[[list[Any], bool], "str | None"]


class Form(NamedTuple):
    """The way to read one kind of body. ``unwrap`` makes a piece of the raw text of one event, when that is prepared.
    ``finish`` is called with all pieces and whether they were in an array, and returns what is wrong with the whole, if
    anything."""

    cut: Cut = elements
    unwrap: Unwrap | None = None
    finish: Finish | None = None


class Forms:
    """The forms of one worker."""

    def __init__(self, config: Config, schema: SchemaHere, media_type: Callable[[bytes | None], str]) -> None:
        """``media_type`` returns the media type that a Content-Type stands for (http.around.content)."""
        settings = config.intake
        self._media_type = media_type
        events = CloudEvents(config, schema)
        self._binary = events.binary
        self._looks_at_headers = bool(settings.cloudevents)  # For CloudEvents in binary mode.
        lines = ndjson.LineReader(config.http.limits.max_event_bytes)
        reports = Reports(settings.reports)
        self._forms = {
            "application/x-ndjson": Form(ndjson.lines, lines.piece),
            "application/reports+json": Form(unwrap=reports.piece),
            "application/csp-report": Form(unwrap=reports.csp_piece),
            "application/cloudevents+json": Form(unwrap=events.unwrap, finish=cloudevents.is_one),
            "application/cloudevents-batch+json": Form(unwrap=events.unwrap, finish=cloudevents.is_batch),
        }

    def is_plain(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether bodies with these headers need only intake.text.decode."""
        if self._media_type(headers.get(b"content-type")) in self._forms:
            return False
        return not self._looks_at_headers or cloudevents.MARK not in headers

    def of(self, headers: Mapping[bytes, bytes]) -> Form:
        """Return the form of a body that is not plain."""
        form = self._forms.get(self._media_type(headers.get(b"content-type")))
        return form if form is not None else Form(cloudevents.as_data, self._binary(headers), cloudevents.one_whole)


def without_form(headers: Mapping[bytes, bytes]) -> Mapping[bytes, bytes]:
    """Return the headers of a GET without those that describe a body, because its events are in the query."""
    return {name: value for name, value in headers.items() if name not in (b"content-type", cloudevents.MARK)}


class PiecePreparer:
    """Prepares the events of one body that may be pieces; ``unwrap`` as in ``Form``."""

    __slots__ = ("_prepare", "_unwrap")

    def __init__(self, prepare: Prepare, unwrap: Unwrap | None) -> None:
        self._prepare = prepare
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
                events.append(Event(index, piece.raw, piece.verdict))
                continue
            arrival.schema_uri, arrival.stream = piece.schema_uri or schema_uri, piece.stream or stream
            events.append(prepare(index, piece.raw, arrival))
        arrival.schema_uri, arrival.stream = schema_uri, stream
        return events
