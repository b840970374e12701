"""All streams of one reading of the sources, found by name.

Place: catalog.sources → HERE → intake.route, on an event's way.
Rules: an exact name goes before a regex, and of the regexes the first declared one that matches wins. A name asked
for before costs one dict lookup. What is remembered is bounded in number and in length: clients choose names.
A snapshot never changes what it answers; a new reading makes a new one.
Not here: whether the settings are right (catalog.check), who may send what (intake.route).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from server.catalog.merge import Known, merge
from server.catalog.regex import RegexError, compiled, is_regex
from server.catalog.remembered import Remembered
from server.catalog.sources import Source, for_wiki, sections
from server.catalog.stream import Stream, make
from server.catalog.topics import LENGTH_MAX, effective, is_legal
from server.errors import SettingsError
from server.schemas import Matcher

# Names of undeclared streams that a worker remembers, matches and misses each. 4,096 names of 249 bytes with their
# streams are some 4 MB; the busiest real service sends to a few hundred names that a regex matches.
REMEMBERED_MAX = 4_096


class Snapshot:
    """``digest`` tells two readings apart; ``is_open`` means that there are no sources and any legal name will do;
    ``sections`` are those of all sources, merged, for readers of other wikis' settings (catalog.views)."""

    __slots__ = (
        "_declared",
        "_matches",
        "_misses",
        "_regexes",
        "_seen",
        "_topic_prefix",
        "digest",
        "is_open",
        "sections",
    )

    def __init__(
        self,
        declarations: dict[str, dict[str, Any]],
        topic_prefix: str,
        *,
        is_open: bool,
        sections: Mapping[str, Any],
    ) -> None:
        self.sections = sections
        self.is_open = is_open
        self.digest = _digest(declarations)
        self._topic_prefix = topic_prefix
        self._declared = {name: make(name, name, own, topic_prefix) for name, own in declarations.items()}
        self._regexes = [(_pattern(name), stream) for name, stream in self._declared.items() if is_regex(name)]
        self._seen: dict[str, Stream | None] = {n: stream for n, stream in self._declared.items() if not is_regex(n)}
        self._matches = Remembered(self._seen, REMEMBERED_MAX)
        self._misses = Remembered(self._seen, REMEMBERED_MAX)

    def find(self, name: str) -> Stream | None:
        """The stream of this name, None when there is none."""
        try:
            return self._seen[name]
        except KeyError:
            return self._find_new(name)

    def declared(self, name: str) -> Stream | None:
        """The declaration of exactly this name or regex."""
        return self._declared.get(name)

    def names(self) -> list[str]:
        """Declared names and regexes, in declared order."""
        return list(self._declared)

    def streams(self) -> list[Stream]:
        """The declarations, in order. The stream of a regex has the regex for its name, and no topic of its own."""
        return list(self._declared.values())

    def settings(self, name: str) -> dict[str, Any] | None:
        """Effective settings of a stream, or of a declared regex, with ``stream`` (as declared) and ``topics``."""
        stream = self._declared.get(name) or self.find(name)
        if stream is None:
            return None
        return {**stream.settings, "stream": stream.declared, "topics": effective(stream.settings, name)}

    def _find_new(self, name: str) -> Stream | None:
        if len(name) > LENGTH_MAX:  # Not remembered: a client's name may be as long as an event.
            return None
        if self._matches.recall(name) or self._misses.recall(name):
            return self._seen[name]
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
    """The snapshot of these sources, which must have passed ``catalog.check``. Raises SettingsError on a bad regex."""
    whole = sections(sources)
    merged = for_wiki(whole, wiki)
    known: Known = {}
    effective_settings = {name: merge(merged.defaults, own, known) for name, own in merged.streams.items()}
    return Snapshot(effective_settings, topic_prefix, is_open=not sources, sections=whole)


def _pattern(name: str) -> Matcher:
    try:
        return compiled(name)
    except RegexError as error:
        raise SettingsError(f"stream {name}: {error}") from None


def _digest(declarations: dict[str, dict[str, Any]]) -> str:
    """SHA-256 of the settings as compact JSON in declared order: order decides between regexes, and makes keys."""
    text = json.dumps(declarations, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
