"""Bodies that are not plain JSON: events wrapped in something else, or one a line, taken apart to the raw text of each.

Place: intake.receive → HERE → intake.ndjson, intake.reports, intake.cloudevents; intake.batch → HERE → intake.pipeline.
Rules: whatever came in which way, it is the raw text of an event before intake.pipeline sees it. What is wrong with one
piece is a verdict with its index; what is wrong with the whole is the request's fault, as in intake.decode.
Not here: content types and encodings (http.content, http.encodings).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from server.intake import cloudevents, ndjson
from server.intake.arrival import Arrival
from server.intake.cloudevents import CloudEvents
from server.intake.event import Event
from server.intake.piece import Piece
from server.intake.reports import Reports

if TYPE_CHECKING:
    from server.config.settings import Config
    from server.intake.route import SchemaLookup

Split = Callable[[bytes, int], "list[Piece] | int | str"]
Prepare = Callable[[int, bytes, Arrival], Event]


class Forms:
    """One a worker."""

    def __init__(self, config: Config, schema: SchemaLookup, media_type: Callable[[bytes | None], str]) -> None:
        """``media_type``: what a body of a Content-Type is read as (http.content)."""
        settings = config.intake
        self._media_type = media_type
        events = CloudEvents(config, schema)
        self._binary = events.binary
        self._looks_at_headers = bool(settings.cloudevents)  # For CloudEvents in binary mode.
        reports = Reports(settings.reports)
        self._splits: dict[str, Split] = {
            "application/x-ndjson": ndjson.pieces,
            "application/reports+json": reports.pieces,
            "application/csp-report": reports.csp_pieces,
            "application/cloudevents+json": events.single,
            "application/cloudevents-batch+json": events.batch,
        }

    def is_plain(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether bodies with these headers need nothing but intake.decode."""
        if self._media_type(headers.get(b"content-type")) in self._splits:
            return False
        return not self._looks_at_headers or cloudevents.MARK not in headers

    def split(self, headers: Mapping[bytes, bytes], body: bytes, most: int) -> list[bytes] | list[Piece] | int | str:
        """As intake.decode.split, of a body that is not plain."""
        form = self._splits.get(self._media_type(headers.get(b"content-type")))
        return self._binary(headers, body) if form is None else form(body, most)


def without_form(headers: Mapping[bytes, bytes]) -> Mapping[bytes, bytes]:
    """The headers of a GET, whose events come from elsewhere than its body: what they say of a body says nothing."""
    return {name: value for name, value in headers.items() if name not in (b"content-type", cloudevents.MARK)}


def prepare_pieces(raws: Sequence[Any], first: int, arrival: Arrival, prepare: Prepare) -> list[Event]:
    """Prepare events, the first of them the ``first``-th of its request. What a piece says of schema and stream goes
    before what the request says."""
    schema_uri, stream = arrival.schema_uri, arrival.stream
    events = []
    for index, piece in enumerate(raws, first):
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
