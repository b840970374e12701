"""Read the files that declare streams, and merge them.

Place: files, and the answers of URLs → HERE → catalog.check_streams, catalog.snapshot.
Rules: a file has up to four sections (``SECTIONS``); several files merge in order, section by section, the later over
the earlier. Every value keeps the file and line that it came from; a value of an answer keeps its URL.
Not here: what the settings mean (catalog.stream), which values are allowed (catalog.check_streams).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from server.catalog.merge import merge
from server.config.framework import document
from server.config.framework.document import KeyPath, Origin, SettingsDocument
from server.schemas.repository import Sharing

SECTIONS = ("default_settings", "default_settings_overrides", "streams", "stream_overrides")
Source = SettingsDocument


class Declared(Struct, frozen=True):
    """The merged sources for one wiki: the defaults, and each stream's own settings, in declared order."""

    defaults: dict[str, Any]
    streams: dict[str, dict[str, Any]]


class AnswerError(ValueError):
    """The answer of a URL declares no streams."""


def read_files(paths: Iterable[Path]) -> list[Source]:
    """Read one source from each file. Raises SettingsError with file and line when one cannot be read or is no map."""
    return [document.read(path, hint="check streams.sources") for path in paths]


def of_answer(url: str, body: bytes) -> Source:
    """Read a source from ``{"streams": {…}}``, the answer of the EventStreamConfig API. Raises AnswerError with the
    reason.

    That API answers errors with status 200. An answer without any stream counts as a mistake: it would refuse every
    event.
    """
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise AnswerError(f"is not JSON, or only a part of it: {error}") from None
    if not isinstance(answer, dict):
        raise AnswerError("is not a JSON object")
    if "error" in answer:
        raise AnswerError(f"is an error: {str(answer['error'])[:200]}")
    streams = answer.get("streams")
    if not isinstance(streams, dict) or not all(isinstance(own, dict) for own in streams.values()):
        raise AnswerError('is not of the form {"streams": {name: {settings}}}')
    if not streams:
        raise AnswerError("has no streams")
    return SettingsDocument(url, {"streams": streams}, {("streams", name): 0 for name in streams})


def sections(sources: Sequence[Source]) -> dict[str, dict[str, Any]]:
    """Merge the sources section by section, the later one winning; equal parts are held once."""
    merged: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    for source in sources:
        for name in SECTIONS:
            merged[name] = merge(merged[name], source.value.get(name) or {})
    shared: dict[str, dict[str, Any]] = Sharing().of(merged)
    return shared


def for_wiki(merged: Mapping[str, Any], wiki: str | None) -> Declared:
    """Lay a wiki's overrides over the merged sections."""
    general = merge(merged["default_settings"], merged["default_settings_overrides"].get(wiki) or {})
    streams = merge(merged["streams"], merged["stream_overrides"].get(wiki) or {})
    return Declared(general, {name: own or {} for name, own in streams.items()})


def declared(sources: Sequence[Source], wiki: str | None) -> Declared:
    """Merge the sources for one wiki."""
    return for_wiki(sections(sources), wiki)


def where(sources: Sequence[Source], wiki: str | None, stream: str, setting: KeyPath = ()) -> Origin:
    """Return file and line of a stream's setting: the most specific place that sets it, else the declaration."""
    places: list[KeyPath] = [
        ("stream_overrides", wiki or "", stream, *setting),
        ("streams", stream, *setting),
        ("default_settings_overrides", wiki or "", *setting),
        ("default_settings", *setting),
        ("streams", stream),
        ("stream_overrides", wiki or "", stream),
    ]
    for place in places:
        for source in reversed(sources):
            if found := source.written(place):
                return found
    return (sources[-1].name, 0)
