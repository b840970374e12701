"""Hold all streams of one reading of the sources, and find them by name.

Place: catalog.sources → HERE → intake.router, on an event's way. It reaches running workers by catalog.publication.
Rules: an exact name goes before a regex, and of the regexes the first declared one that matches wins. A name that was
asked for before costs one dict lookup. The cache is bounded in number and length of names, because clients choose them.
A snapshot never changes what it answers; a new reading makes a new one.
Not here: whether the settings are right (catalog.check_streams), who may send what (intake.router).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from server.catalog.merge import Cache, merge
from server.catalog.name_cache import NameCache
from server.catalog.regex import RegexError, compiled, is_regex
from server.catalog.sources import Declared, Source, for_wiki, sections
from server.catalog.stream import Stream, make
from server.catalog.topics import LENGTH_MAX, effective, is_legal
from server.errors import SettingsError
from server.schemas.repository import Matcher

# How many names of undeclared streams a worker caches, of matches and of misses each. 4,096 names of 249 bytes with
# their streams are some 4 MB; the busiest real service sends to a few hundred names that a regex matches.
NAMES_MAX = 4_096


class Snapshot:
    """All streams. ``digest`` tells two readings apart; ``is_open`` means that there are no sources and any legal name
    will do; ``sections`` are the merged ones of all sources, for readers of other wikis' settings (catalog.views)."""

    __slots__ = (
        "_cache",
        "_declared",
        "_matches",
        "_misses",
        "_regexes",
        "_topic_prefix",
        "digest",
        "is_open",
        "sections",
    )

    def __init__(self, topic_prefix: str, digest: str, sections: Mapping[str, Any], *, is_open: bool) -> None:
        """Make an empty snapshot; ``add`` declares streams."""
        self.sections = sections
        self.is_open = is_open
        self.digest = digest
        self._topic_prefix = topic_prefix
        self._declared: dict[str, Stream] = {}
        self._regexes: list[tuple[Matcher, Stream]] = []
        self._cache: dict[str, Stream | None] = {}
        self._matches = NameCache(self._cache, NAMES_MAX)
        self._misses = NameCache(self._cache, NAMES_MAX)

    def add(self, name: str, settings: dict[str, Any], before: Stream | None = None) -> None:
        """Declare a stream by its effective settings, before the first ``find``. Raises SettingsError.

        ``before`` is used again when it has the same settings, because its memory is shared with other workers.
        """
        stream = before if before and before.settings == settings else make(name, name, settings, self._topic_prefix)
        self._declared[name] = stream
        if is_regex(name):
            self._regexes.append((_pattern(name), stream))
        else:
            self._cache[name] = stream

    def find(self, name: str) -> Stream | None:
        """Return the stream of this name, or None when there is none."""
        try:
            return self._cache[name]
        except KeyError:
            return self._find_new(name)

    def declared(self, name: str) -> Stream | None:
        """Return the declaration of exactly this name or regex."""
        return self._declared.get(name)

    def names(self) -> list[str]:
        """Return the declared names and regexes, in declared order."""
        return list(self._declared)

    def streams(self) -> list[Stream]:
        """Return the declarations, in order. The stream of a regex has the regex for its name, and no own topic."""
        return list(self._declared.values())

    def settings(self, name: str) -> dict[str, Any] | None:
        """Return the effective settings of a stream or declared regex, with ``stream`` (as declared) and ``topics``."""
        stream = self._declared.get(name) or self.find(name)
        if stream is None:
            return None
        return {**stream.settings, "stream": stream.declared, "topics": effective(stream.settings, name)}

    def _find_new(self, name: str) -> Stream | None:
        if len(name) > LENGTH_MAX:  # Such a name is not cached, as it may be as long as an event.
            return None
        if self._matches.recall(name) or self._misses.recall(name):
            return self._cache[name]
        stream = self._match(name)
        (self._misses if stream is None else self._matches).put(name, stream)
        return stream

    def _match(self, name: str) -> Stream | None:
        found: Stream | None = None
        if self.is_open:
            found = make(name, name, {}, self._topic_prefix)
        else:
            for pattern, stream in self._regexes:
                if pattern.search(name):
                    found = make(name, stream.declared, stream.settings, self._topic_prefix)
                    break
        return found if found is not None and is_legal(name) and is_legal(found.topic) else None


def build(sources: Sequence[Source], *, topic_prefix: str, wiki: str | None) -> Snapshot:
    """Build the snapshot of these sources, which must have passed ``catalog.check_streams``. Raises SettingsError on a
    bad regex."""
    whole = sections(sources)
    settings = _effective(for_wiki(whole, wiki))
    snapshot = Snapshot(topic_prefix, _digest(settings), whole, is_open=not sources)
    for name, own in settings.items():
        snapshot.add(name, own)
    return snapshot


def publishable(sources: Sequence[Source], wiki: str | None) -> tuple[str, bytes]:
    """Return the digest of the snapshot of these sources, and a text for ``Reading``.

    The text has one line for the head and one for each stream, with its name, its own settings for the wiki and, where
    these differ, those for all wikis.
    """
    whole = sections(sources)
    merged = for_wiki(whole, wiki)
    digest = _digest(_effective(merged))
    head = {"digest": digest, "defaults": merged.defaults, "sections": {**whole, "streams": {}}}
    general = whole["streams"]
    streams = [
        [name, own] if name in general and general[name] == own else [name, own, general.get(name, _ABSENT)]
        for name, own in merged.streams.items()
    ]
    return digest, "\n".join(map(_compact, [head, *streams])).encode("utf-8", "surrogatepass")


_ABSENT = ""  # This marks a stream that only overrides declare.


class Reading:
    """Makes the snapshot of a publishable text, a slice at a time."""

    def __init__(self, text: bytes, topic_prefix: str, before: Snapshot) -> None:
        self._lines = iter(text.split(b"\n"))
        head = json.loads(next(self._lines))
        self._defaults = head["defaults"]
        self._streams = head["sections"]["streams"]
        self._before = before
        self._made = Snapshot(topic_prefix, head["digest"], head["sections"], is_open=False)

    def go_on(self, until: float) -> Snapshot | None:
        """Read until this instant of ``time.perf_counter``. Returns the snapshot once it is whole, else None."""
        for line in self._lines:
            name, own, *general = json.loads(line.decode("utf-8", "surrogatepass"))
            self._made.add(name, merge(self._defaults, own), self._before.declared(name))
            if general != [_ABSENT]:
                self._streams[name] = general[0] if general else own
            if time.perf_counter() >= until:
                return None
        return self._made


def _effective(merged: Declared) -> dict[str, dict[str, Any]]:
    cache: Cache = {}
    return {name: merge(merged.defaults, own, cache) for name, own in merged.streams.items()}


def _pattern(name: str) -> Matcher:
    try:
        return compiled(name)
    except RegexError as error:
        raise SettingsError(f"stream {name}: {error}") from None


def _digest(declarations: dict[str, dict[str, Any]]) -> str:
    """Return the SHA-256 of the settings as compact JSON in declared order, because order decides between regexes and
    orders key fields."""
    return hashlib.sha256(_compact(declarations).encode("utf-8", "surrogatepass")).hexdigest()


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
