"""Check ``consumers.eventstreams`` of all streams, for ``penstock check``.

Place: server.commands.check → HERE; streams reads the same settings when the program starts.
Rules: settings that the program would refuse are errors. A path to redact that the schema of the stream does not have
is a warning, because it removes nothing; so is a setting that has no effect, and a key that no file has, because it may
exist only on another host. Streams that are not public are checked too.
Not here: the settings of the program itself (server.config), how they are used (streams).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from eventstreams.filters import Filters, compile_filter, has, paths_of
from eventstreams.sources.make import READABLE
from eventstreams.streams import ConsumerSettings, compile_redactions, consumer_settings, redaction_path
from server.catalog.regex import is_regex
from server.catalog.sources import where
from server.config.framework.document import dotted
from server.config.framework.finding import Finding, Level
from server.errors import SettingsError

if TYPE_CHECKING:
    from server.auth.credentials import Credentials
    from server.boot.examine import Examined
    from server.catalog.stream import Stream

_ABOVE: Final = ("consumers", "eventstreams")
_Said = tuple[str, Level, str, str]  # It holds setting, level, reason and hint.


def check_consumers(examined: Examined) -> list[Finding]:
    """Return all findings, stream by stream; none where the streams or schemas could not be read."""
    if examined.snapshot is None or examined.schemas is None:
        return []
    config = examined.loaded.config
    filters = Filters(examined.schemas)
    findings = []
    for stream in examined.snapshot.streams():
        for setting, level, reason, hint in _problems(examined, filters, stream):
            path = (*_ABOVE, setting) if setting else _ABOVE
            file, line = where(examined.sources, config.streams.wiki, stream.name, path)
            findings.append(
                Finding(
                    level=level, file=file, line=line, stream=stream.name, key=dotted(path), reason=reason, hint=hint
                )
            )
    return findings


def _problems(examined: Examined, filters: Filters, stream: Stream) -> Iterator[_Said]:
    try:
        consumers = consumer_settings(stream.name, stream.settings)
        compile_redactions(stream.name, consumers, compile_filter)
        for path in consumers.redact:
            redaction_path(stream.name, path)
    except SettingsError as error:
        # Its text begins with the stream and the section, which the finding names by itself.
        yield "", "error", str(error).partition(": consumers.eventstreams")[2].lstrip(":. "), ""
        return
    if consumers.enabled and is_regex(stream.name):
        reason = "has no effect: a stream that is declared by a regular expression is never public"
        yield "enabled", "warning", reason, "declare the streams that are to be public by their names"
    elif consumers.enabled and examined.loaded.config.sink.kind not in READABLE:
        reason = f"has no effect with sink.kind {examined.loaded.config.sink.kind}, which stores no events"
        yield "enabled", "warning", reason, f"EventStreams reads {' and '.join(READABLE)}"
    yield from _auth(examined, consumers)
    yield from _redactions(filters, stream, consumers)


def _auth(examined: Examined, consumers: ConsumerSettings) -> Iterator[_Said]:
    auth, credentials = examined.loaded.config.auth, examined.credentials
    ways = {consumers.auth} if isinstance(consumers.auth, str) else set(consumers.auth)
    has_means = {
        "none": True,
        "api_keys": bool(credentials.api_keys),
        "jwt": auth.jwt.keys is not None,
        "networks": bool(consumers.networks or auth.networks),
    }
    hints = {
        "api_keys": "set auth.key_files",
        "jwt": "set auth.jwt.keys",
        "networks": "set networks here, or auth.networks",
    }
    for way in sorted(ways):
        if consumers.enabled and not has_means[way]:
            yield "auth", "error", f"asks for {way}, but none are configured, so no client could read", hints[way]
    if len(ways) > 1 and "none" in ways:
        yield "auth", "warning", "lets everyone read, because one of its ways is none", "leave none out"
    yield from _keys(credentials, consumers)


def _keys(credentials: Credentials, consumers: ConsumerSettings) -> Iterator[_Said]:
    unknown = sorted({*consumers.api_keys} - {key.name for key in credentials.api_keys})
    if unknown and credentials.api_keys:
        yield "api_keys", "warning", f"no key has the name {', '.join(unknown)}", "add it to auth.key_files"


def _redactions(filters: Filters, stream: Stream, consumers: ConsumerSettings) -> Iterator[_Said]:
    title = stream.schema_title
    tree = filters.tree_of_title(title) if title is not None else None
    if tree is None:
        return
    asked = [("redact", path) for path in consumers.redact]
    asked += [("redact_when", path) for one in consumers.redact_when for path in one.paths]
    for setting, path in asked:
        if not has(tree, redaction_path(stream.name, path)):
            close = difflib.get_close_matches(path, list(paths_of(tree)), n=1, cutoff=0.5)
            hint = f"did you mean {close[0]}?" if close else ""
            yield setting, "warning", f"{path} is in no event of the schema {title}, so nothing is removed", hint
