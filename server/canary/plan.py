"""Work out which canaries are expected: one for each stream and target.

Place: the canary process, the command, and the admin process (its metrics) → HERE, from settings and catalog.
Rules: a stream has canaries unless its ``canary_events_enabled`` is false. A regex names no single stream, so streams
that only match one have none; neither have streams that this service does not take.
Not here: making an event (canary.event), sending it (canary.run).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from server.catalog.regex import is_regex
from server.config.checks.canary_rules import targets_of

if TYPE_CHECKING:
    from server.catalog.snapshot import Snapshot
    from server.catalog.stream import Stream
    from server.config.settings import Config

_STREAM: Final = "/v2/stream/"  # The path of EventStreams, which is another program.


class Check(Struct, frozen=True):
    """One canary that is expected: of a stream, at a target. ``origin`` is sent where the stream asks for one;
    ``owner`` is told of faults. ``reader_url`` is where EventStreams has the stream, None: it is not looked for
    there."""

    stream: str
    target: str
    url: str
    topic: str
    title: str
    origin: str | None = None
    owner: str = ""
    reader_url: str | None = None


def checks(snapshot: Snapshot, config: Config, only: Iterable[str] = ()) -> list[Check]:
    """Return all expected canaries, by stream and then by target; with ``only`` those of these streams."""
    wanted, targets = set(only), targets_of(config)
    return [
        _check(stream, target, url, config)
        for stream in snapshot.streams()
        if stream.schema_title is not None and has_canaries(stream, config) and (not wanted or stream.name in wanted)
        for target, url in targets.items()
    ]


def _check(stream: Stream, target: str, url: str, config: Config) -> Check:
    title = stream.schema_title
    assert title is not None  # Streams without one have no canaries.
    owner, reader_url = _owner(stream), _reader_url(stream, config)
    return Check(stream.name, target, url, stream.topic, title, _origin(stream), owner, reader_url)


def has_canaries(stream: Stream, config: Config) -> bool:
    """Whether canaries are sent to this stream."""
    enabled = stream.settings.get("canary_events_enabled")
    is_ours = config.service_name is None or stream.service in (None, config.service_name)
    return enabled is not False and stream.enabled and is_ours and not is_regex(stream.name)


def _owner(stream: Stream) -> str:
    return (stream.settings.get("alarms") or {}).get("owner") or ""


def _reader_url(stream: Stream, config: Config) -> str | None:
    """Return where EventStreams has a stream that everyone may read, and whose identities it does not remove."""
    if config.canary.eventstreams_url is None:
        return None
    consumers = stream.settings.get("consumers")
    shown = consumers.get("eventstreams") if isinstance(consumers, dict) else None
    if not isinstance(shown, dict) or shown.get("enabled") is not True:
        return None
    ways, redacted = shown.get("auth", "none"), shown.get("redact") or ()
    has_identity = not any(f"{config.intake.id_field}.".startswith(f"{path}.") for path in redacted)
    is_open = "none" in ([ways] if isinstance(ways, str) else ways)
    url = f"{config.canary.eventstreams_url.rstrip('/')}{_STREAM}{stream.name}"
    return url if is_open and has_identity else None


def _origin(stream: Stream) -> str | None:
    return next((origin for origin in stream.origins if "*" not in origin), None)
