"""Check the declarations of streams, before any event relies on them.

Place: catalog.sources → HERE → ``penstock check``, start-up.
Rules: every finding is reported, with its file, line and stream; nothing is refused that real declarations rely on. A
fault in settings for other wikis than the service's own is a warning, because they are only served to readers.
Not here: the allowed values (catalog.allowed), checks against schemas (catalog.check_schemas), reading files
(catalog.sources).
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from typing import Any

from server.catalog import allowed
from server.catalog.check_schemas import SchemaChecks, SchemaTitles
from server.catalog.emptied import emptied
from server.catalog.merge import merge
from server.catalog.regex import RegexError, compiled, is_regex, sample
from server.catalog.sources import SECTIONS, Declared, Source, declared, where
from server.catalog.topics import LENGTH_MAX, effective, is_legal, produced
from server.catalog.unknown import IN_QUOTES, MERGE, MERGE_HINT
from server.config.framework.document import KeyPath, dotted
from server.config.framework.finding import Finding, Level, errors_of, quoted

UNREAD = "x-"  # Sections with this prefix hold anchors that `<<:` merges elsewhere.
OTHERS_MAX = 20  # How many services a service name that occurs only once is compared with.


def check(
    sources: Sequence[Source],
    *,
    topic_prefix: str,
    wiki: str | None,
    schemas: SchemaTitles | None = None,
    refuse_unknown: bool = False,
    until: float = math.inf,
) -> list[Finding]:
    """Return all findings; fields of schemas are only checked until this instant of ``time.monotonic``.

    When the shape of a file is wrong, only that is reported, because its meaning is then unknown.
    """
    if not sources:
        return []
    findings = [finding for source in sources for finding in _shape(source)]
    if errors_of(findings):
        return findings
    merged = declared(sources, wiki)
    if not merged.streams:
        reason, hint = "declares no stream, so every event would be refused", "add `streams:`"
        return [*findings, Finding(level="error", file=sources[-1].name, line=1, reason=reason, hint=hint)]
    findings += emptied(sources, wiki, merged)
    checker = _Streams(sources, wiki, topic_prefix, merged)
    checker.run()
    if schemas is not None:
        checker.ask(schemas, refuse_unknown, until)
    return findings + checker.findings


def is_built(sources: Sequence[Source]) -> bool:
    """Whether streams can be made of these declarations, although other things may be wrong with them."""
    return not errors_of([finding for source in sources for finding in _shape(source)])


def _shape(source: Source) -> list[Finding]:
    """Check that sections are maps, names are legal, and each known setting has a value of its kind, in every place."""
    findings: list[Finding] = []

    def add(level: Level, path: KeyPath, reason: str, hint: str = "", stream: str | None = None) -> None:
        file, line = source.origin(path)
        key = dotted(path)
        finding = Finding(level=level, file=file, line=line, key=key, reason=reason, hint=hint, stream=stream)
        findings.append(finding)

    def settings(path: KeyPath, value: Any, stream: str | None) -> None:
        if value is not None and not isinstance(value, dict):
            add("error", path, f"found {quoted(value)}; allowed is a map of settings", stream=stream)
            return
        for problem in allowed.problems(value or {}):
            add(problem.level, (*path, *problem.path), problem.reason, problem.hint, stream)

    def streams(path: KeyPath, value: Any) -> None:
        if is_map(path, value):
            for name, own in value.items():
                settings((*path, name), own, name)

    def is_map(path: KeyPath, value: Any) -> bool:
        if value is not None and not isinstance(value, dict):
            add("error", path, f"found {quoted(value)}; allowed is a map", "write `name:` lines below it")
        return isinstance(value, dict)

    def merge_key(path: KeyPath) -> None:
        if path[-1] == MERGE:
            add("error", path, IN_QUOTES, MERGE_HINT)

    for section, value in source.value.items():
        merge_key((section,))
        if section == "default_settings":
            settings((section,), value, None)
        elif section == "streams":
            streams((section,), value)
        elif section == "default_settings_overrides" and is_map((section,), value):
            for wiki, own in value.items():
                merge_key((section, wiki))
                settings((section, wiki), own, None)
        elif section == "stream_overrides" and is_map((section,), value):
            for wiki, own in value.items():
                merge_key((section, wiki))
                streams((section, wiki), own)
        elif section not in (*SECTIONS, MERGE) and not section.startswith(UNREAD):
            close = difflib.get_close_matches(section, SECTIONS, n=1, cutoff=0.8)
            hint = f"did you mean {close[0]}?" if close else f"the sections are {', '.join(SECTIONS)}"
            add(
                "error" if close else "warning",
                (section,),
                "is not a section of stream declarations and is ignored",
                hint,
            )
    return findings


class _Streams:
    """Checks the merged settings of each stream."""

    def __init__(self, sources: Sequence[Source], wiki: str | None, topic_prefix: str, merged: Declared) -> None:
        self.findings: list[Finding] = []
        self._sources = sources
        self._wiki = wiki
        self._topic_prefix = topic_prefix
        self._own = merged.streams
        self._settings = {name: merge(merged.defaults, own) for name, own in merged.streams.items()}

    def run(self) -> None:
        for name, settings in self._settings.items():
            self._name(name)
            self._title(name, settings)
            self._topic(name, settings)
            if settings.get("stream", name) != name:
                reason = f"says {quoted(settings['stream'])}, but the name of a stream is its key"
                self._add("warning", name, ("stream",), reason, "leave the line out")
        self._unread()
        self._overlaps()
        self._services()
        self._other_wikis()

    def ask(self, schemas: SchemaTitles, refuse_unknown: bool, until: float) -> None:
        """Check the streams against the schema repositories."""
        SchemaChecks(schemas, self._settings, self._own, self._add).run(refuse_unknown=refuse_unknown, until=until)

    def _name(self, name: str) -> None:
        if wrong := _wrong_name(name):
            self._add("error", name, (), *wrong)

    def _title(self, name: str, settings: dict[str, Any]) -> None:
        title = settings.get("schema_title")
        if title is None:
            self._add("error", name, ("schema_title",), "is missing: no event could be validated", "name its schema")

    def _topic(self, name: str, settings: dict[str, Any]) -> None:
        is_named = len([topic for topic in settings.get("topics") or () if not is_regex(topic)]) == 1
        if is_regex(name) and not is_named:
            return  # Each matching name has a topic of its own; a name that is no legal topic is an unknown stream.
        topic = produced(settings, name, self._topic_prefix)
        if not is_legal(topic) and (is_legal(name) or is_named):
            hint = f"a topic has 1 to {LENGTH_MAX} letters, digits, '.', '_', '-'"
            self._add("error", name, ("topics",), f"Kafka would refuse the topic {topic!r}", hint)

    def _unread(self) -> None:
        """Report, once, streams whose events go to a topic that is none of their topics: readers would miss them."""
        missed = {}
        for name, settings in self._settings.items():
            if not (settings.get("topics") or settings.get("topic_prefixes")):
                continue  # Its readers know the service's prefix from elsewhere.
            topics = [topic for topic in effective(settings, name) if not is_regex(topic)]
            if not is_regex(name) and topics and produced(settings, name, self._topic_prefix) not in topics:
                missed[name] = topics
        if not missed:
            return
        name, topics = next(iter(missed.items()))
        topic = produced(self._settings[name], name, self._topic_prefix)
        more = f", and so do those of {len(missed) - 1} other streams" if len(missed) > 1 else ""
        reason = f"its events go to {topic!r}, which is none of its topics ({', '.join(topics[:5])}){more}"
        prefixes = [one.removesuffix(name) for one in topics if one.endswith(name)]
        hint = f"set sink.topic_prefix: {' or '.join(map(repr, prefixes[:5]))}" if prefixes else "write one of `topics`"
        self._add(
            "warning", name, ("topics" if self._settings[name].get("topics") else "topic_prefixes",), reason, hint
        )

    def _overlaps(self) -> None:
        """Report two regexes that match one name, where that is cheap to find: the first one would always win."""
        usable = []
        for name in self._settings:
            if is_regex(name):
                try:
                    usable.append((name, compiled(name), sample(name)))
                except RegexError:
                    continue
        for index, (name, pattern, text) in enumerate(usable):
            for other, before, other_text in usable[:index]:
                both = text if text and before.search(text) else other_text
                if both and before.search(both) and pattern.search(both):
                    reason = f"matches {both!r}, but so does {other}, which is declared earlier and wins"
                    self._add("warning", name, (), reason, "make one of them narrower")

    def _services(self) -> None:
        """Report a service that only one stream names and whose name is close to a common one: it may be misspelt, and
        then the events go nowhere."""
        named: dict[str, list[str]] = {}
        for name, settings in self._settings.items():
            if isinstance(service := settings.get("destination_event_service"), str):
                named.setdefault(service, []).append(name)
        others = sorted((service for service in named if len(named[service]) > 1), key=lambda s: -len(named[s]))
        for service, (stream, *more) in named.items():
            close = difflib.get_close_matches(service, others[:OTHERS_MAX], n=1, cutoff=0.9)
            if not more and close:
                reason = f"no other stream names the service {service!r}"
                hint = f"did you mean {close[0]}, as {len(named[close[0]])} others do?"
                self._add("warning", stream, ("destination_event_service",), reason, hint)

    def _other_wikis(self) -> None:
        """Report stream names that only an override for another wiki declares."""
        for source in self._sources:
            for wiki, streams in (source.value.get("stream_overrides") or {}).items():
                for name in streams or ():
                    if name in self._settings or not (wrong := _wrong_name(name)):
                        continue
                    reason, hint = wrong
                    path = ("stream_overrides", wiki, name)
                    file, line = source.origin(path)
                    self.findings.append(
                        Finding(level="warning", file=file, line=line, stream=name, reason=reason, hint=hint)
                    )

    def _add(self, level: Level, stream: str, path: KeyPath, reason: str, hint: str) -> None:
        file, line = where(self._sources, self._wiki, stream, path)
        key = dotted(path)
        finding = Finding(level=level, file=file, line=line, stream=stream, key=key, reason=reason, hint=hint)
        self.findings.append(finding)


def _wrong_name(name: str) -> tuple[str, str] | None:
    """Return why no stream can have this name, and what to do; None when one can."""
    if is_regex(name):
        try:
            compiled(name)
        except RegexError as error:
            return f"is not a usable regular expression: {error}", "write '/^name\\..+/'"
    elif not is_legal(name):
        hint = f"1 to {LENGTH_MAX} letters, digits, '.', '_', '-'; a regular expression begins with a slash"
        return "is not a legal stream name", hint
    return None
