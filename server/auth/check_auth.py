"""Check that clients can write to the streams that ask for proof, and that all auth settings of a stream are obeyed.

Place: boot.examine → HERE.
Rules: a stream to which no client could write is an error. A setting that is not obeyed is a warning, and so is a
missing key, because it may exist only on another host. Streams of other services are not checked.
Not here: the credentials (auth.credentials), what a stream may say (catalog.allowed_auth).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from server.auth.credentials import Credentials
from server.catalog.sources import Source, where
from server.catalog.stream import Stream
from server.config.framework.document import dotted
from server.config.framework.finding import Finding, Level
from server.text.origins import as_sent, origins_of

if TYPE_CHECKING:
    from server.catalog.snapshot import Snapshot
    from server.config.settings import Config

_ABOVE = ("producers", "eventgate")
_Said = tuple[str, Level, str, str]  # It holds setting, level, reason and hint.


def check(config: Config, credentials: Credentials, snapshot: Snapshot, sources: Sequence[Source]) -> list[Finding]:
    """Return all findings, stream by stream."""
    findings = []
    for stream in snapshot.streams():
        if config.service_name is not None and stream.service not in (None, config.service_name):
            continue
        for setting, level, reason, hint in _problems(config, credentials, stream):
            path = (*_ABOVE, setting)
            file, line = where(sources, config.streams.wiki, stream.name, path)
            findings.append(
                Finding(
                    level=level, file=file, line=line, stream=stream.name, key=dotted(path), reason=reason, hint=hint
                )
            )
    return findings


def _problems(config: Config, credentials: Credentials, stream: Stream) -> Iterator[_Said]:
    auth = config.auth
    has_means = {
        "none": True,
        "api_keys": bool(credentials.api_keys),
        "jwt": auth.jwt.keys is not None,
        "networks": bool(stream.networks or auth.networks),
        "identities": auth.identity_header is not None and bool(stream.identities or auth.identities),
    }
    hints = {
        "api_keys": "set auth.key_files",
        "jwt": "set auth.jwt.keys",
        "networks": "set networks here, or auth.networks",
        "identities": "set auth.identity_header, and identities here or auth.identities",
    }
    ways = stream.auth or tuple(auth.default)
    for way in ways:
        if not has_means[way]:
            yield (
                "auth",
                "error",
                f"asks for {way}, but none are configured, so no client could write with them",
                hints[way],
            )
    for way in ("api_keys", "networks", "identities"):
        if getattr(stream, way) and way not in ways:
            yield way, "warning", f"has no effect: its auth is {', '.join(ways)}", f"add {way} to auth"
    if config.http.cors.origins and "*" not in config.http.cors.origins:
        shared = origins_of(config.http.cors.origins)
        for origin in stream.origins:
            if as_sent(origin).replace("*", "any").encode() not in shared:
                reason = (
                    f"{origin} is not in http.cors.origins: its pages may only send beacons, and cannot read answers"
                )
                yield "origins", "warning", reason, "add it there if they are to send more than beacons"
    unknown = sorted({*stream.api_keys} - {key.name for key in credentials.api_keys})
    if unknown and credentials.api_keys:
        yield "api_keys", "warning", f"no key has the name {', '.join(unknown)}", "add it to auth.key_files"
