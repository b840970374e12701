"""The public documents: settings of streams, and schemas, as JSON or as plain pages.

Place: worker joins pages.documents → HERE → catalog.views, server.schemas.repository.
Rules: settings are those of the worker's snapshot, so an answer never mixes two. A mistake in a query is answered with
the name of the parameter; an undeclared stream is absent from the answer, as in the existing system.
Not here: making, caching and sending documents (pages.documents), pages (server.pages.html).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import orjson

from server.catalog import query
from server.catalog.query import Query, QueryError
from server.catalog.views import Views
from server.pages import html as pages
from server.pages.document import HTML_TYPE, PageDocument, Wrong
from server.paths import Paths
from server.schemas.repository import SchemaRepository
from server.text import percent
from server.text.octets import text_of

PATHS = (
    Paths.WIKI_STREAM_CONFIGS,
    Paths.WIKI_API,
    Paths.STREAM_CONFIGS,
    Paths.BELOW_STREAM_CONFIGS,
    Paths.SCHEMAS,
    Paths.BELOW_SCHEMAS,
)
LATEST_S = 60  # Listings and `latest` change with the directory; a version never changes.
VERSION_S = 86_400

_NO_SCHEMA = {
    "bad_schema_uri": (404, "No schema can have this address. It ends in a title and a version, or in `latest`."),
    "unknown_schema": (404, f"No repository has this schema. GET {Paths.SCHEMAS} lists those that there are."),
    "insecure_schema": (404, "This schema has keywords that this service refuses: no event can use it."),
    "broken_schema": (500, "This schema is broken: the operator of this service has to mend it."),
    "schema_unavailable": (503, "This schema cannot be read at the moment. Try again."),
}


class Published:
    """Finds the document of a path. ``/v1/stream-configs`` shows the streams of ``service``; None: all."""

    def __init__(self, views: Views, service: str | None, schemas: SchemaRepository) -> None:
        self._views = views
        self._service = service
        self._schemas = schemas

    def use(self, views: Views) -> None:
        """Use these streams from now on; the caller must empty its cache of documents."""
        self._views = views

    def ask(self, path: bytes, raw_query: bytes, is_page_wanted: bool) -> PageDocument | Wrong:
        """Return the document at a path of ``PATHS``."""
        text = text_of(percent.decode(path))
        try:
            if text.startswith(Paths.SCHEMAS):
                query.parse(raw_query, known=())
                return self._schema(text.removeprefix(Paths.SCHEMAS).strip("/"), is_page_wanted)
            if text.startswith(Paths.STREAM_CONFIGS):
                return self._own_streams(text, raw_query, is_page_wanted)
            return self._streams(text, raw_query, is_page_wanted)
        except QueryError as error:
            return Wrong(400, str(error), error.parameter)

    def _streams(self, path: str, raw_query: bytes, is_page_wanted: bool) -> PageDocument:
        """Answer the API of the existing system, at its path and at ours."""
        asked = query.parse(raw_query)
        if path == Paths.WIKI_API and not asked.is_action:
            raise QueryError("action", "is missing; write action=streamconfigs")
        entries = self._views.of(asked.wiki).select(asked)
        told = (asked.names, repr(asked.constraints), self._views.key(asked.wiki))
        if is_page_wanted and path != Paths.WIKI_API and not asked.is_format_named:
            return PageDocument(pages.streams("Streams", entries), HTML_TYPE, key=("page", *told))
        end = b"}}"
        if asked.is_deprecated:
            end = b'},"warnings":' + orjson.dumps({"streamconfigs": {"warnings": query.DEPRECATED}}) + b"}\n"
        return PageDocument(_joined(entries, b'{"streams":{', end), key=("streams", *told, asked.is_deprecated))

    def _own_streams(self, path: str, raw_query: bytes, is_page_wanted: bool) -> PageDocument:
        """Return the streams that this service accepts, as a map without a wrapper."""
        query.parse(raw_query, known=())
        rest = path.removeprefix(Paths.STREAM_CONFIGS).removeprefix("/")
        names = query.listed(rest.replace(",", "|")) if rest else None
        entries = (
            entry if entry is not None and self._is_ours(entry[1]) else None
            for entry in self._views.of(msgspec.UNSET).select(Query(names=names))
        )
        if is_page_wanted:
            return PageDocument(pages.streams("Streams of this service", entries), HTML_TYPE, key=("own page", names))
        return PageDocument(_joined(entries, b"{", b"}\n"), key=("own", names))

    def _is_ours(self, settings: dict[str, Any]) -> bool:
        return self._service is None or settings.get("destination_event_service") in (None, self._service)

    def _schema(self, path: str, is_page_wanted: bool) -> PageDocument | Wrong:
        """Return a version of a schema, the latest version, or the listing of a directory."""
        title, _, name = path.rpartition("/")
        version = name.removesuffix(".yaml").removesuffix(".json")
        is_latest = version == "latest"
        if is_latest:
            versions = self._schemas.versions(title)
            if not versions:
                return Wrong(404, "No repository has a schema of this title, so there is no latest version.")
            uri = versions[-1]
        else:
            listing = self._schemas.listing(f"/{path}" if path else "")
            if listing is not None:
                return self._listing(path, listing, is_page_wanted)
            uri = f"/{title}/{version}"
        found = self._schemas.document(uri)
        if isinstance(found, tuple):
            status, detail = _NO_SCHEMA.get(found[0], _NO_SCHEMA["schema_unavailable"])
            return Wrong(status, detail, retry_after_s=1 if status == 503 else 0)
        parts = pages.schema(uri, found) if is_page_wanted else iter((found, b"\n"))
        # Page and JSON have the same address; caches keep them apart by Vary.
        return PageDocument(
            parts,
            HTML_TYPE if is_page_wanted else b"application/json",
            max_age_s=LATEST_S if is_latest else VERSION_S,
            keep_s=LATEST_S if is_latest else None,
            lines=f"Content-Location: {Paths.SCHEMAS}{uri}\r\n".encode() if is_latest else b"",
        )

    def _listing(self, path: str, listing: tuple[list[str], list[str]], is_page_wanted: bool) -> PageDocument:
        directories, versions = listing
        below = f"{Paths.SCHEMAS}/{path}".rstrip("/")
        if is_page_wanted:
            parts = pages.directory(below, directories, versions)
            return PageDocument(parts, HTML_TYPE, max_age_s=LATEST_S, keep_s=LATEST_S)
        document: dict[str, Any] = {
            "path": f"/{path}",
            "directories": [f"{below}/{name}" for name in directories],
            "versions": [f"{Paths.SCHEMAS}{uri}" for uri in versions],
        }
        if versions:
            document["latest"] = f"{Paths.SCHEMAS}{versions[-1]}"
        return PageDocument(iter((_encoded(document) + b"\n",)), max_age_s=LATEST_S, keep_s=LATEST_S)


def _joined(entries: Iterator[tuple[str, dict[str, Any]] | None], start: bytes, end: bytes) -> Iterator[bytes]:
    """Join the entries into one JSON object, in one piece for each."""
    comma = start
    for entry in entries:
        if entry is None:
            yield b""
        else:
            yield comma + _encoded(entry[0]) + b":" + _encoded(entry[1])
            comma = b","
    yield (start if comma is start else b"") + end


def _encoded(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # An integer of 2^64 or more, which YAML and JSON allow.
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
