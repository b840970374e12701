"""Select effective settings of streams for readers: by name or all, for any wiki, with constraints.

Place: catalog.sources' sections → HERE → server.pages.published.
Rules: ``select`` makes the settings stream by stream, so that no other request has to wait for 10,000 of them at once;
merged settings are not cached here. A name is looked up as on an event's way: exact, else the first regex that matches.
Names asked for here are not cached, because readers must not push out the names that events need.
Not here: parameters (catalog.query), how an answer is written (server.pages.published).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import UnsetType

from server.catalog.constraints import matches
from server.catalog.merge import merge
from server.catalog.query import Query
from server.catalog.regex import RegexError, compiled, is_regex
from server.catalog.sources import Declared, for_wiki
from server.catalog.topics import LENGTH_MAX, effective, is_legal
from server.schemas.repository import Matcher

Entry = tuple[str, dict[str, Any]]  # It holds the name, as asked for or declared, and the effective settings.


class WikiView:
    """All streams for one wiki."""

    def __init__(self, declared: Declared) -> None:
        self._defaults = declared.defaults
        self._streams = declared.streams
        self._regexes = {name: pattern for name in declared.streams if is_regex(name) if (pattern := _usable(name))}

    def select(self, query: Query) -> Iterator[Entry | None]:
        """Yield the streams that are asked for, in asked or declared order, and None for each that does not match."""
        wanted = query.constraints
        for name in self._streams if query.names is None else query.names:
            declared = name if query.names is None else self._declared(name)
            if declared is None or (wanted and not self._matches(declared, name, wanted)):
                yield None
            else:
                yield name, self._effective(declared, name)

    def _effective(self, declared: str, name: str) -> dict[str, Any]:
        settings = merge(self._defaults, self._streams[declared])
        return {**settings, "stream": declared, "topics": effective(settings, name)}

    def _declared(self, name: str) -> str | None:
        """Return the name or regex that declares a name."""
        if name in self._streams:
            return name
        if len(name) > LENGTH_MAX or not is_legal(name):
            return None
        return next((regex for regex, pattern in self._regexes.items() if pattern.search(name)), None)

    def _matches(self, declared: str, name: str, wanted: dict[str, Any]) -> bool:
        """Whether a stream fulfils the constraints. Only the compared settings are merged, because most streams fail
        the first constraint."""
        if "topics" in wanted:
            settings = self._effective(declared, name)
        else:
            of_all, of_one = self._defaults, self._streams[declared]
            settings = {
                key: merge(of_all.get(key), of_one[key]) if key in of_one else of_all.get(key) for key in wanted
            }
        pattern = self._regexes.get(declared)

        def is_named(name: str) -> bool:
            return name == declared if pattern is None else pattern.search(name) is not None

        return matches(settings, wanted, is_named)


class Views:
    """The view of each wiki. ``sections`` are those of all sources, merged; ``wiki`` is the service's own."""

    def __init__(self, sections: Mapping[str, Any], wiki: str | None) -> None:
        self._sections = sections
        self._wiki = wiki
        overrides = [sections.get(name) or {} for name in ("default_settings_overrides", "stream_overrides")]
        self._special = {name for section in overrides for name in section}
        self._made: dict[str | None, WikiView] = {}

    def of(self, wiki: str | UnsetType | None) -> WikiView:
        """Return the view of a wiki; a wiki that no source names has no overrides."""
        key = self.key(wiki)
        if key not in self._made:
            self._made[key] = WikiView(for_wiki(self._sections, key))
        return self._made[key]

    def key(self, wiki: str | UnsetType | None) -> str | None:
        """Return a key that is the same for all wikis with the same view."""
        asked = self._wiki if isinstance(wiki, UnsetType) else wiki
        return asked if asked in self._special else None


def _usable(name: str) -> Matcher | None:
    """Compile a declared regex. None: an override for another wiki declares it wrongly, which is only a warning."""
    try:
        return compiled(name)
    except RegexError:
        return None
