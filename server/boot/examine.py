"""Examine settings with the streams and schemas that they name, and collect all findings.

Place: config.load → boot.declarations → HERE → boot.generation, and ``penstock check``.
Rule: every finding is collected, not the first alone; an error among them means that the settings cannot be served.
Not here: what is looked for (config.framework.judge, config.rules, sink.kind, catalog.check_streams, the schemas).
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from msgspec import Struct

from server.auth import check_auth as auth_check
from server.auth import credentials as auth_credentials
from server.auth.credentials import Credentials
from server.auth.public_keys import kept_path
from server.boot import declarations
from server.boot.declarations import Occasion
from server.catalog.check_streams import check, is_built
from server.catalog.snapshot import Snapshot, build
from server.catalog.sources import Source
from server.config.addresses import is_reachable, parse
from server.config.framework.document import dotted
from server.config.framework.finding import Finding, Level, errors_of, text_of
from server.config.load import Loaded
from server.config.urls import is_url
from server.errors import SettingsError
from server.fetch.once import fetch_public_keys
from server.intake.text.fields import Fields
from server.master import signals
from server.privacy import check as privacy_check
from server.schemas.repository import SchemaRepository, odd_expectations, open_schemas
from server.sink.kind import kind_of

_CORRECT = "correct it: the other expectations are used, and no event is refused"
_STORED = "events are judged as they are stored: leave out the condition, or the annotation"
LEAST_SHARE = 6  # Schemas get at least a sixth of the time, even when the streams took longer.


class Examined(Struct, frozen=True):
    """The result of an examination. With an error among the findings it must not be used (``usable``)."""

    loaded: Loaded
    findings: list[Finding]
    sources: Sequence[Source] = ()
    schemas: SchemaRepository | None = None
    snapshot: Snapshot | None = None
    credentials: Credentials = Credentials()
    unread: int = 0  # How many schemas are left for their first event.


def examine(
    loaded: Loaded, time_s: float = math.inf, before: SchemaRepository | None = None, occasion: Occasion = "check"
) -> Examined:
    """Read streams and schemas, and check all of it together. Raises SettingsError when a file cannot be read.

    Every version of every schema that a stream names is compiled, as far as ``time_s`` for the whole examination
    allows: workers share schemas that are compiled before the fork. When ``time_s`` is limited, the references of
    schemas are compiled later. ``before`` are the schemas of the previous reading: unchanged ones are reused. The time
    that URLs take to answer is not counted.
    """
    declared = declarations.read(loaded, occasion)
    credentials, about_credentials = _credentials(loaded, occasion)
    declared.findings += about_credentials
    examined = _examine(loaded, declared.sources, declared.findings, credentials, time_s, before)
    errors = errors_of(examined.findings)
    if errors and declared.older is not None:
        found = [*declared.findings, declarations.about_older(loaded, errors)]
        older = _examine(loaded, declared.older, found, credentials, time_s, before)
        examined = examined if errors_of(older.findings) else older
    try:
        declared.settle(is_good=not errors)
    except OSError as error:
        hint = "without it a restart needs the URLs to answer"
        reason = f"the answers of URLs cannot be kept: {error.strerror}"
        examined.findings.append(_about(loaded, ("fetch", "path"), reason, hint, "warning"))
    return examined


def _examine(
    loaded: Loaded,
    sources: Sequence[Source],
    found: Sequence[Finding],
    credentials: Credentials,
    time_s: float,
    before: SchemaRepository | None,
) -> Examined:
    began = time.monotonic()
    config = loaded.config
    findings = [*loaded.findings, *found, *_sink(loaded)]
    schemas = None
    cache_dir = loaded.path(config.fetch.path)
    try:
        schemas = open_schemas(config.schemas, loaded.base_dir, cache_dir, is_deferred=time_s < math.inf, before=before)
    except SettingsError as error:
        findings.append(_about(loaded, ("schemas", "base_uris"), str(error), "paths are relative to the settings file"))
    until = max(began + time_s, time.monotonic() + time_s / LEAST_SHARE)
    findings += check(
        sources,
        topic_prefix=config.sink.topic_prefix,
        wiki=config.streams.wiki,
        schemas=schemas.for_check() if schemas is not None else None,
        refuse_unknown=config.streams.unknown_titles == "refuse",
        until=until,
    )
    snapshot = _built(loaded, sources)
    if schemas is None or snapshot is None:
        return Examined(loaded, findings, sources)
    about_schemas, unread = _schemas(schemas, snapshot, sources, until)
    findings += about_schemas
    findings += _expectations(schemas, snapshot, until)
    if snapshot.is_open and until == math.inf:
        findings += _open_schemas(loaded, schemas)
    if until == math.inf:
        findings += _dear(schemas, snapshot)
    schemas.forget_before()
    findings += _services(loaded, snapshot)
    findings += _exposed(loaded, snapshot)
    findings += _own_streams(loaded, schemas, snapshot)
    findings += _privacy(loaded, schemas, snapshot, sources)
    findings += auth_check.check(config, credentials, snapshot, sources)
    return Examined(loaded, findings, sources, schemas, snapshot, credentials, unread)


def _built(loaded: Loaded, sources: Sequence[Source]) -> Snapshot | None:
    """Return the streams, so that an error in one hides none of the others; None: nothing can be made of them."""
    if not is_built(sources):
        return None
    try:
        return build(sources, topic_prefix=loaded.config.sink.topic_prefix, wiki=loaded.config.streams.wiki)
    except SettingsError:  # A regular expression that cannot be used, which is among the findings.
        return None


def usable(examined: Examined) -> tuple[Snapshot, SchemaRepository]:
    """Return the streams and schemas to serve with. Raises SettingsError with all errors when there is one."""
    errors = errors_of(examined.findings)
    if errors or examined.snapshot is None or examined.schemas is None:
        raise SettingsError(text_of(errors))
    return examined.snapshot, examined.schemas


def _credentials(loaded: Loaded, occasion: Occasion) -> tuple[Credentials, list[Finding]]:
    """Read keys of clients and of issuers. Keys at a URL are fetched first, unless the fetcher keeps them fresh."""
    url = loaded.config.auth.jwt.keys
    trouble = None
    if url is not None and is_url(url):
        directory = loaded.path(loaded.config.fetch.path)
        if occasion != "reload" or not kept_path(directory, url).exists():
            trouble = fetch_public_keys(loaded.config, directory, url, signals.is_stop_pending)
    return auth_credentials.read(loaded, trouble)


def _about(loaded: Loaded, path: tuple[str | int, ...], reason: str, hint: str, level: Level = "error") -> Finding:
    file, line = loaded.origin(*path)
    return Finding(level=level, file=file, line=line, key=dotted(path), reason=reason, hint=hint)


def _sink(loaded: Loaded) -> list[Finding]:
    sink = loaded.config.sink
    return [
        _about(loaded, breach.path, breach.reason, breach.hint, "warning" if breach.is_warning else "error")
        for breach in kind_of(sink).check(sink)
    ]


def _schemas(
    schemas: SchemaRepository, snapshot: Snapshot, sources: Sequence[Source], until: float
) -> tuple[list[Finding], int]:
    """Return a finding for each schema that streams name and that cannot be used, at the first stream that names it,
    and the number of schemas that were not read.
    """
    findings: list[Finding] = []
    unread = 0
    asked: set[str] = set()
    for stream in snapshot.streams():
        if stream.schema_title is None or stream.schema_title in asked:
            continue
        asked.add(stream.schema_title)
        found, left = schemas.read_ahead([stream.schema_title], until)
        unread += left
        for unusable in found:
            file, line = _declaration(sources, stream.name)
            reason = f"schema {unusable.uri} cannot be used: {unusable.reason}"
            hint = "fix the schema"
            if unusable.error_type == "insecure_schema":
                hint += ", or set schemas.allow_insecure if only trusted clients send"
            finding = Finding(level="error", file=file, line=line, stream=stream.name, reason=reason, hint=hint)
            findings.append(finding)
    return findings, unread


def _expectations(schemas: SchemaRepository, snapshot: Snapshot, until: float) -> list[Finding]:
    """Return a warning for each expectation that cannot be used, or that looks at values which are not stored, in the
    versions of schemas that were read for streams, or of all schemas where any stream takes any schema and time is not
    limited. The others are compiled for their first event."""
    titles = {stream.schema_title for stream in snapshot.streams() if stream.expect_rate} - {None}
    if snapshot.is_open and until == math.inf:
        titles = set(schemas.titles())
    findings: list[Finding] = []
    for uri in (uri for title in sorted(filter(None, titles)) for uri in schemas.versions(title)):
        if time.monotonic() >= until:
            break
        found = schemas.find_here(uri)
        if isinstance(found, tuple) or not schemas.has_expectations(found):
            continue
        faults = schemas.expectations(found).faults
        told = [(each.pointer, f"cannot be used: {each.reason}", _CORRECT) for each in faults]
        told += [(each.pointer, each.reason, _STORED) for each in odd_expectations(found.schema, uri)]
        for pointer, what, hint in told:
            file, line = schemas.place(uri, pointer)
            reason = f"the expectation {pointer} of schema {uri} {what}"
            findings.append(Finding(level="warning", file=file, line=line, reason=reason, hint=hint))
    return findings


def _dear(schemas: SchemaRepository, snapshot: Snapshot) -> list[Finding]:
    """Return a warning for each version whose large events may take too many steps to judge. It takes 3 ms for each
    version, so that a start does not look."""
    titles = {stream.schema_title for stream in snapshot.streams()} - {None}
    if snapshot.is_open:
        titles = set(schemas.titles())
    findings: list[Finding] = []
    for uri in (uri for title in sorted(filter(None, titles)) for uri in schemas.versions(title)):
        found = schemas.find_here(uri)
        dear = None if isinstance(found, tuple) else found.dear()
        if dear is None:
            continue
        file, line = schemas.place(uri, dear.pointer)
        what = f"judging an event by {dear.pointer} of schema {uri}"
        reason = f"{what} may take {dear.in_words} steps, and its large events are refused"
        hint = f"let fewer schemas judge the same value: {dear.allowed:,} steps are allowed, for 10,000 values in 1 MiB"
        findings.append(Finding(level="warning", file=file, line=line, reason=reason, hint=hint))
    return findings


def _open_schemas(loaded: Loaded, schemas: SchemaRepository) -> list[Finding]:
    """Return a warning for each schema in directories that cannot be used, where any stream takes any schema. A start
    does not read them: their first events do."""
    hint = "its events are refused; fix the schema, or remove it"
    path = ("schemas", "base_uris")
    unusable, _ = schemas.read_ahead(schemas.titles())
    return [
        _about(loaded, path, f"schema {found.uri} cannot be used: {found.reason}", hint, "warning")
        for found in unusable
    ]


def _declaration(sources: Sequence[Source], stream: str) -> tuple[str, int]:
    for source in reversed(sources):
        if found := source.written(("streams", stream)):
            return found
    return (sources[-1].name, 0)


def _services(loaded: Loaded, snapshot: Snapshot) -> list[Finding]:
    """Check that any event could be accepted: a service that refuses all of them is noticed only when the data is
    missing."""
    name = loaded.config.service_name
    if snapshot.is_open or not snapshot.streams():
        return []
    ours = [stream for stream in snapshot.streams() if name is None or stream.service in (None, name)]
    if any(stream.enabled for stream in ours):
        return []
    if ours:
        reason = "every declared stream has `producers.eventgate.enabled: false`, so every event would be refused"
        return [_about(loaded, ("streams", "sources"), reason, "enable one of them")]
    reason = f"no declared stream has {name!r} as its destination_event_service, so every event would be refused"
    hint = f"the declared ones are {', '.join(sorted({stream.service or '' for stream in snapshot.streams()}))}"
    hint += "; correct service_name, or leave destination_event_service out: then every service takes the stream"
    return [_about(loaded, ("service_name",), reason, hint)]


def _exposed(loaded: Loaded, snapshot: Snapshot) -> list[Finding]:
    """Return a warning if other hosts may write without proof and no setting says that this is meant."""
    config = loaded.config
    if loaded.is_written("auth", "default") or config.auth.default != ["none"]:
        return []
    if not snapshot.is_open and all(stream.auth or not stream.enabled for stream in snapshot.streams()):
        return []
    for index, text in enumerate(config.http.listen):
        if is_reachable(parse(text)):
            reason = f"every host that reaches {text} may send events, because no key or token is asked for"
            hint = "set auth.default, or write `auth: {default: [none]}` if that is meant; docs/AUTH.md has the ways"
            return [_about(loaded, ("http", "listen", index), reason, hint, "warning")]
    return []


def _own_streams(loaded: Loaded, schemas: SchemaRepository, snapshot: Snapshot) -> list[Finding]:
    """Check that error events and alarm events have a stream and a schema; without them there are none."""
    config = loaded.config
    error = config.error_stream, config.intake.error_schema_uri, "error"
    alarm = config.intake.alarm_stream, config.intake.alarm_schema_uri, "alarm"
    findings: list[Finding] = []
    for name, uri, kind in (error, alarm):
        if not name:
            continue
        path: tuple[str, ...] = ("intake", f"{kind}_stream")
        found = schemas.find(uri)
        if snapshot.find(name) is None:
            reason = f"no stream {name!r} is declared: there will be no {kind} events"
            hint = 'declare it, or set it to ""'
        elif isinstance(found, tuple):
            path = ("intake", f"{kind}_schema_uri")
            reason, hint = f"schema {uri} cannot be used: {found[1]}; there will be no {kind} events", "add the schema"
        else:
            continue
        findings.append(_about(loaded, path, reason, hint, "warning"))
    return findings


def _privacy(loaded: Loaded, schemas: SchemaRepository, snapshot: Snapshot, sources: Sequence[Source]) -> list[Finding]:
    """Check the keys of hashes, and that annotations of schemas can be obeyed."""
    findings = []
    if trouble := privacy_check.trouble_with_keys(loaded):
        findings.append(_about(loaded, ("privacy", "keys_file"), trouble, "paths are relative to the settings file"))
    fields = Fields.of(loaded.config)
    has_keys = loaded.config.privacy.keys_file is not None
    streams = list(snapshot.streams())
    names, own = [*fields.schema_uri, *fields.stream], [fields.id, fields.dt]
    for remark in privacy_check.remarks(streams, schemas, names, own, has_keys=has_keys):
        file, line = _declaration(sources, remark.stream)
        level, reason, hint = remark.level, remark.reason, remark.hint
        findings.append(Finding(level=level, file=file, line=line, stream=remark.stream, reason=reason, hint=hint))
    return findings
