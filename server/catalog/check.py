"""Say everything that is wrong with the declarations of streams, before a single event relies on them.

Place: catalog.sources → HERE → ``penstock check``, start-up.
Rules: every problem is found, with its file, line and stream; nothing is refused that real declarations rely on.
A schema title that no repository has is a warning, unless ``refuse_unknown``: one file of declarations serves several
services with schemas of their own, and one team's missing schema must not keep every other stream from being served.
The stream's own events are answered with ``unknown_schema``. When not one title is found, the repositories are wrong.
Not here: what the allowed values are (catalog.allowed), reading files (catalog.sources).
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, Protocol

from server.catalog import allowed
from server.catalog.merge import merge
from server.catalog.regex import RegexError, compiled, is_regex, sample
from server.catalog.sources import SECTIONS, Declared, Source, declared, where
from server.catalog.stream import path_of
from server.catalog.topics import LENGTH_MAX, is_legal, produced
from server.config.document import KeyPath, dotted
from server.config.finding import Finding, Level, quoted

GUESSES_MAX = 50  # Comparing every unknown title with every known one would take minutes for 10,000 streams.


class Schemas(Protocol):
    """What is asked of the schema repositories (server.schemas)."""

    def versions(self, title: str) -> Sequence[str]:
        """Versions of a title that exist."""

    def declares(self, title: str, path: tuple[str, ...]) -> bool:
        """Whether any version of the title has the field."""


def check(
    sources: Sequence[Source],
    *,
    topic_prefix: str,
    wiki: str | None,
    schemas: Schemas | None = None,
    refuse_unknown: bool = False,
) -> list[Finding]:
    """All findings. Those about the shape of a file come alone: what it means cannot be told then."""
    if not sources:
        return []
    findings = [finding for source in sources for finding in _shape(source)]
    if any(finding.level == "error" for finding in findings):
        return findings
    merged = declared(sources, wiki)
    if not merged.streams:
        reason, hint = "declares no stream, so every event would be refused", "add `streams:`"
        return [*findings, Finding(level="error", file=sources[-1].name, line=1, reason=reason, hint=hint)]
    checker = _Streams(sources, wiki, topic_prefix, merged)
    checker.run()
    if schemas is not None:
        checker.ask(schemas, refuse_unknown)
    return findings + checker.findings


def _shape(source: Source) -> list[Finding]:
    """Sections are maps, names are names, and each value that we know is of its kind, wherever it is written."""
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

    for section, value in source.value.items():
        if section == "default_settings":
            settings((section,), value, None)
        elif section == "streams":
            streams((section,), value)
        elif section == "default_settings_overrides" and is_map((section,), value):
            for wiki, own in value.items():
                settings((section, wiki), own, None)
        elif section == "stream_overrides" and is_map((section,), value):
            for wiki, own in value.items():
                streams((section, wiki), own)
        elif section not in SECTIONS:
            close = difflib.get_close_matches(section, SECTIONS, n=1, cutoff=0.8)
            hint = f"did you mean {close[0]}?" if close else f"read are {', '.join(SECTIONS)}"
            add("error" if close else "warning", (section,), "is no section of stream declarations; not read", hint)
    return findings


class _Streams:
    """The checks of each stream's merged settings."""

    def __init__(self, sources: Sequence[Source], wiki: str | None, topic_prefix: str, merged: Declared) -> None:
        self.findings: list[Finding] = []
        self._sources = sources
        self._wiki = wiki
        self._topic_prefix = topic_prefix
        self._settings = {name: merge(merged.defaults, own) for name, own in merged.streams.items()}

    def run(self) -> None:
        for name, settings in self._settings.items():
            self._name(name)
            self._title(name, settings)
            self._topic(name, settings)
            if settings.get("stream", name) != name:
                reason = f"says {quoted(settings['stream'])}, but a stream's name is its key"
                self._add("warning", name, ("stream",), reason, "leave the line out")
        self._overlaps()

    def ask(self, schemas: Schemas, refuse_unknown: bool) -> None:
        """What only the schema repositories can tell: titles and key fields."""
        titles = {name: title for name, s in self._settings.items() if isinstance(title := s.get("schema_title"), str)}
        known = {title: True for title in dict.fromkeys(titles.values()) if schemas.versions(title)}
        if titles and not known:
            name, title = next(iter(titles.items()))
            reason = f"no schema repository has this title, {title!r}, or any other that is named"
            self._add("error", name, ("schema_title",), reason, "check schemas.base_uris in the settings")
            return
        for name, title in titles.items():
            if title not in known:
                is_guessed = len(self.findings) < GUESSES_MAX
                close = difflib.get_close_matches(title, known, n=1, cutoff=0.85) if is_guessed else []
                hint = "its events are refused with unknown_schema until there is one"
                hint += f"; did you mean {close[0]}?" if close else ""
                reason = f"no schema repository has the title {title!r}"
                self._add("error" if refuse_unknown else "warning", name, ("schema_title",), reason, hint)
            else:
                self._keys(name, title, schemas)

    def _keys(self, name: str, title: str, schemas: Schemas) -> None:
        for key, field in (self._settings[name].get("message_key_fields") or {}).items():
            if field and not schemas.declares(title, path_of(field)):
                reason = f"no version of schema {title} has the field {field!r}, so no event could have this key"
                self._add("error", name, ("message_key_fields", key), reason, "name a field that the schema declares")

    def _name(self, name: str) -> None:
        if is_regex(name):
            try:
                compiled(name)
            except RegexError as error:
                self._add("error", name, (), f"is no usable regular expression: {error}", "write '/^name\\..+/'")
        elif not is_legal(name):
            hint = f"1 to {LENGTH_MAX} letters, digits, '.', '_', '-'; a regular expression begins with a slash"
            self._add("error", name, (), "is no legal name of a stream", hint)

    def _title(self, name: str, settings: dict[str, Any]) -> None:
        title = settings.get("schema_title")
        if title is None:
            self._add("error", name, ("schema_title",), "is missing: no event could be checked", "name its schema")

    def _topic(self, name: str, settings: dict[str, Any]) -> None:
        is_named = len([topic for topic in settings.get("topics") or () if not is_regex(topic)]) == 1
        if is_regex(name) and not is_named:
            return  # A topic of its own only for each name that matches; an illegal one is an unknown stream then.
        topic = produced(settings, name, self._topic_prefix)
        if not is_legal(topic) and (is_legal(name) or is_named):
            hint = f"a topic has 1 to {LENGTH_MAX} letters, digits, '.', '_', '-'"
            self._add("error", name, ("topics",), f"Kafka would refuse the topic {topic!r}", hint)

    def _overlaps(self) -> None:
        """Two regexes for one name, where that is cheap to tell: the first declared one would always win."""
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
                    reason = f"matches {both!r} as {other} does, which is declared earlier and wins"
                    self._add("warning", name, (), reason, "make one of them narrower")

    def _add(self, level: Level, stream: str, path: KeyPath, reason: str, hint: str) -> None:
        file, line = where(self._sources, self._wiki, stream, path)
        key = dotted(path)
        finding = Finding(level=level, file=file, line=line, stream=stream, key=key, reason=reason, hint=hint)
        self.findings.append(finding)
