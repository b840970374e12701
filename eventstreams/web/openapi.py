"""Describe the routes of EventStreams, and each public stream as a route of its own, in OpenAPI 3.1.

Place: pages → HERE, by the settings, schemas and examples of the streams.
Rule: every parameter that ask reads is described here, and a test compares the two.
Not here: serving it (pages).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from server.version import VERSION

if TYPE_CHECKING:
    from eventstreams.filters import Filters
    from eventstreams.streams import PublicStream, PublicStreams

_TIME: Final = "milliseconds since 1970, an ISO 8601 date (UTC without a zone), or a time before now such as `-1h`"
_PARAMETERS: Final[tuple[tuple[str, dict[str, Any], str], ...]] = (
    ("since", {"type": "string"}, f"Where to begin: {_TIME}, `earliest` or `latest` (the default)."),
    ("until", {"type": "string"}, f"Where to end: {_TIME}."),
    ("limit", {"type": "integer", "minimum": 1, "maximum": 1_000_000}, "End after so many events."),
    (
        "poll",
        {"type": "boolean"},
        (
            "End when everything that is there now was sent. The trailer and, without `limit`, the header "
            "`Last-Event-ID` say where to go on."
        ),
    ),
    ("filter", {"type": "string"}, "Only events that match, in the filter language: `wiki:enwiki AND namespace:0`."),
    ("fields", {"type": "string"}, "Only these members of events, as paths with commas between: `meta.id,title`."),
    (
        "sample",
        {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        "Only this share of events, chosen by `meta.id`: the same ones each time.",
    ),
    ("canary", {"type": "boolean"}, "Canary events too (`meta.domain` is `canary`). They are left out by default."),
    (
        "on_gap",
        {"type": "string", "enum": ["error", "earliest", "latest"]},
        ("If the position is no longer there: answer 410 (the default), or go on elsewhere after an event `gap`."),
    ),
    ("format", {"type": "string", "enum": ["sse", "ndjson", "json"]}, "Overrides `Accept`."),
    ("compression", {"type": "string", "enum": ["none", "gzip", "zstd"]}, "Narrows `Accept-Encoding`."),
    ("last_event_id", {"type": "string"}, "As the header, for clients that cannot set one on the first request."),
)
_PROBLEM: Final = {"$ref": "#/components/schemas/Problem"}
_REFUSALS: Final = {
    "400": "A parameter, a position or a stream's name is wrong; the detail says which.",
    "401": "The stream needs a key or token.",
    "403": "The key or token is not for this stream.",
    "404": "The position names a topic that is not one of these streams.",
    "410": "The position is no longer there: `gaps` says what is.",
    "429": "The address has too many open streams.",
    "503": "The server is full, drains, or cannot read events for now.",
}


def description(public: PublicStreams, filters: Filters, name: str) -> dict[str, Any]:
    """Return the description."""
    names = sorted(public.by_name)
    streams = {"in": "path", "name": "streams", "required": True, "explode": False, "style": "simple"}
    streams |= {"description": "Names with commas between; `*` matches any part of a name."}
    streams |= {"schema": {"type": "array", "minItems": 1, "items": {"type": "string", "enum": names}}}
    paths: dict[str, Any] = {
        "/v2/stream/{streams}": {
            "get": _stream("Events of one or more streams", "Events as they come.", [streams], {}, None)
        },
        "/v2/streams": {
            "get": {
                "summary": "The streams, and what is stored of them",
                "operationId": "streams",
                "responses": _responses({"application/json": {"schema": {"type": "object"}}}, ("503",)),
            }
        },
        "/healthz": {"get": _page("Whether the server runs", "health")},
        "/readyz": {"get": _page("Whether this worker takes requests", "readiness")},
        "/_info": {"get": _page("Name, version and streams in force", "info")},
    }
    for stream in public.streams.values():
        schema = filters.schema(stream.schema_title) if stream.schema_title else None
        paths[f"/v2/stream/{stream.name}"] = {"get": _of_stream(stream, schema)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{name}: event streams",
            "version": VERSION,
            "description": "Streams of events, as Server-Sent Events or lines of JSON.",
        },
        "paths": paths,
        "components": {
            "schemas": {"Problem": _problem()},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _of_stream(stream: PublicStream, schema: dict[str, Any] | None) -> dict[str, Any]:
    text = stream.description + (f"\n\nSchema title: {stream.schema_title}" if stream.schema_title else "")
    shown = {key: value for key, value in (schema or {}).items() if key not in ("$schema", "$id", "examples", "title")}
    examples = (schema or {}).get("examples")
    found = _stream(f"{stream.name} events", text, [], shown, examples[0] if examples else None, stream.name)
    return found | ({"security": [{"bearer": []}]} if stream.reading is not None else {})


def _stream(
    summary: str, text: str, first: list[Any], schema: dict[str, Any], example: Any, name: str = ""
) -> dict[str, Any]:
    parameters = [
        *first,
        *({"in": "query", "name": one, "schema": kind, "description": about} for one, kind, about in _PARAMETERS),
    ]
    header = {"in": "header", "name": "Last-Event-ID", "schema": {"type": "string"}}
    header["description"] = "The `id` of the last event that was received. It goes before `since`."
    lines = {"schema": schema or {"type": "object"}} | ({"example": example} if example is not None else {})
    content = {
        "text/event-stream": {"schema": {"type": "string"}}
        | ({"example": f"event: message\ndata: {example}\n"} if example else {}),
        "application/x-ndjson": {"schema": {"type": "string"}},
        "application/json": lines,
    }
    operation = "stream" + "".join(part.capitalize() for part in name.replace("-", ".").split("."))
    responses = _responses(content, tuple(_REFUSALS))
    responses["204"] = {"description": "There is nothing more to come: `until` is reached."}
    return {
        "summary": summary,
        "description": text,
        "operationId": operation,
        "parameters": [*parameters, header],
        "responses": responses,
    }


def _responses(content: dict[str, Any], refusals: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {"200": {"description": "As asked.", "content": content}}
    for status in refusals:
        found[status] = {
            "description": _REFUSALS[status],
            "content": {"application/problem+json": {"schema": _PROBLEM}},
        }
    return found


def _page(summary: str, operation: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object"}}}
    return {
        "summary": summary,
        "operationId": operation,
        "responses": {"200": {"description": "As asked.", "content": content}},
    }


def _problem() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "type": "object",
        "required": ["type", "title", "detail", "status"],
        "properties": {"type": text, "title": text, "detail": text, "status": {"type": "integer"}},
    }
