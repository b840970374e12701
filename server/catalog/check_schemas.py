"""Check streams against the schema repositories: titles that do not exist, fields that schemas do not declare.

Place: catalog.check_streams → HERE.
Rules: a title that no repository has is a warning, unless ``refuse_unknown``: one file of declarations serves several
services with schemas of their own. When no title at all is found, the repositories are wrong. A field is looked for in
every version; the latest version decides whether it may be absent. A default applies to all streams, so it is no
mistake when one schema lacks its field: only a stream's own header fields are checked.
Not here: checks that need no schemas (catalog.check_streams).
"""

from __future__ import annotations

import difflib
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from server.catalog.stream import intake_settings, path_of
from server.catalog.unknown import INTAKE
from server.config.framework.document import KeyPath
from server.config.framework.finding import Level

GUESSES_MAX = 50  # Comparing every unknown title with every known one would take minutes for 10,000 streams.

_HEADERS = ("producers", "eventgate", "enrich_fields_from_http_headers")


class SchemaTitles(Protocol):
    """The part of the schema repositories (server.schemas.repository) that checks use."""

    def versions(self, title: str) -> Sequence[str]:
        """Return the versions of a title."""

    def declares(self, title: str, path: tuple[str, ...]) -> bool:
        """Whether any version of the title has the field. True where a version cannot be used."""

    def requires(self, title: str, path: tuple[str, ...]) -> bool:
        """Whether every event of the latest version has the field."""


class Add(Protocol):
    """Adds a finding about a stream's setting."""

    def __call__(self, level: Level, stream: str, path: KeyPath, reason: str, hint: str) -> None: ...


class SchemaChecks:
    """Checks all streams. ``settings`` are the merged settings of each stream, ``own`` those written for it alone."""

    def __init__(
        self, schemas: SchemaTitles, settings: Mapping[str, dict[str, Any]], own: Mapping[str, dict[str, Any]], add: Add
    ) -> None:
        self._schemas = schemas
        self._settings = settings
        self._own = own
        self._add = add
        self._cache: dict[tuple[str, str, str], bool] = {}  # Ten thousand streams ask the same of a thousand titles.

    def run(self, *, refuse_unknown: bool, until: float = math.inf) -> None:
        """Run all checks; those of fields only until this instant of ``time.monotonic``."""
        titles = {name: title for name, s in self._settings.items() if isinstance(title := s.get("schema_title"), str)}
        known = {title: True for title in dict.fromkeys(titles.values()) if self._schemas.versions(title)}
        if titles and not known:
            name, title = next(iter(titles.items()))
            reason = f"no schema repository has this title, {title!r}, or any other title that streams name"
            self._add("error", name, ("schema_title",), reason, "check schemas.base_uris in the settings")
            return
        guesses = 0
        for name, title in titles.items():
            if title not in known:
                close = difflib.get_close_matches(title, known, n=1, cutoff=0.85) if guesses < GUESSES_MAX else []
                guesses += 1
                hint = "its events are refused with unknown_schema until there is one"
                hint += f"; did you mean {close[0]}?" if close else ""
                reason = f"no schema repository has the title {title!r}"
                self._add("error" if refuse_unknown else "warning", name, ("schema_title",), reason, hint)
            elif time.monotonic() < until:
                self._keys(name, title)
                self._headers(name, title)
                self._shadow(name, title)

    def _keys(self, name: str, title: str) -> None:
        for key, field in (self._settings[name].get("message_key_fields") or {}).items():
            path: KeyPath = ("message_key_fields", key)
            if not field:
                continue
            if not self._tells("declares", title, field):
                reason = f"no version of schema {title} has the field {field!r}, so no event could have this key"
                self._add("error", name, path, reason, "name a field that the schema declares")
            elif not self._tells("requires", title, field):
                reason = f"schema {title} does not require the field {field!r}, so an event may lack its key"
                hint = "such events are refused with missing_key_field; require the field, or choose another"
                self._add("warning", name, path, reason, hint)

    def _headers(self, name: str, title: str) -> None:
        own = intake_settings(self._own[name]).get("enrich_fields_from_http_headers") or {}
        for field, header in own.items():
            if header and not self._tells("declares", title, field):
                reason = f"no version of schema {title} has the field {field!r}, so it is never filled in"
                hint = f"declare the field in the schema, or leave out the header {header!r}"
                self._add("warning", name, (*_HEADERS, field), reason, hint)

    def _shadow(self, name: str, title: str) -> None:
        version = intake_settings(self._settings[name]).get("shadow_schema")
        known = [uri.rpartition("/")[2] for uri in self._schemas.versions(title)]
        if isinstance(version, str) and version != "latest" and version not in known:
            reason = f"schema {title} has no version {version!r}, so no event is judged by it"
            hint = f"the versions are {', '.join(known[-10:])}"
            self._add("warning", name, (*INTAKE, "shadow_schema"), reason, hint)

    def _tells(self, what: Literal["declares", "requires"], title: str, field: str) -> bool:
        key = (what, title, field)
        if key not in self._cache:
            ask = self._schemas.declares if what == "declares" else self._schemas.requires
            self._cache[key] = ask(title, path_of(field))
        return self._cache[key]
