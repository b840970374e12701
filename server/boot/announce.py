"""Log what runs and with which settings, in eleven lines at the start.

Place: commands.serve → HERE → the log.
Rules: these lines alone tell where things come from and where they go. They hold no value of a secret, no query of a
URL, and of overrides only the names.
Not here: what the settings mean (docs/SETTINGS.md).
"""

from __future__ import annotations

import logging
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from server.compiled import finder
from server.host import cores, descriptors
from server.sink.kind import kind_of
from server.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from server.boot.generation import Generation
    from server.config.limit_settings import Limits
    from server.config.settings import Config

log = logging.getLogger("settings")


def announce(generation: Generation, config_path: Path | None, overrides: Sequence[str]) -> None:
    """Log the lines."""
    config = generation.config
    limits, snapshot = config.http.limits, generation.snapshot
    log.info("penstock %s, Python %s, pid %d", VERSION, platform.python_version(), os.getpid())
    log.info("the hot path is %s", finder.mode())
    log.info("settings of %s%s", config_path or "the embedded default", _changed(overrides))
    workers = f"{_auto()} (auto)" if config.workers == "auto" else config.workers
    service = config.service_name or "without a service name"
    log.info("%s, profile %s, workers: %s, drain within %g s", service, config.profile, workers, config.drain_s)
    log.info("events come in on %s", ", ".join(config.http.listen))
    log.info(
        "limits: %d bytes and %d events per request, %d bytes per event, %s connections per worker, "
        "answers within %g s",
        *(limits.max_body_bytes, limits.max_events, limits.max_event_bytes, _connections(limits), limits.answer_s),
    )
    log.info("metrics, health and log levels are served on %s", config.admin.listen)
    declared = "any stream name is accepted" if snapshot.is_open else f"{len(snapshot.names())} declared"
    log.info("streams: %s, snapshot %s, of %s", declared, snapshot.digest[:12], _places(config.streams.sources))
    log.info("schemas of %s%s", _places(config.schemas.base_uris), _insecure(config))
    log.info("events go to %s", kind_of(config.sink).describe(config.sink, generation.data_dir))
    log.info("when the sink takes no events, %s", _spool(config, generation.data_dir))


def _connections(limits: Limits) -> str:
    most = descriptors.limit()
    count = descriptors.connections(limits.max_connections, most)
    why = f" (not {limits.max_connections}: it may open {most} files)" if count < limits.max_connections else ""
    return f"{count}{why}"


def _auto() -> str:
    found, mask = cores.usable(), len(os.sched_getaffinity(0))
    return str(found) if found == mask else f"{found} by the CPU quota, of {mask} cores"


def _changed(overrides: Iterable[str]) -> str:
    """Return the names of overrides only, because values may be secret."""
    options = [f"--set {text.partition('=')[0]}" for text in overrides]
    variables = sorted(name for name in os.environ if name.startswith("PENSTOCK_"))
    changed = [*variables, *options]
    return f", changed by {', '.join(changed)}" if changed else ""


def _places(texts: Iterable[str]) -> str:
    shown = []
    for text in texts:
        url = urlsplit(text)
        shown.append(f"{url.scheme}://{url.hostname or ''}{url.path}" if url.scheme in ("http", "https") else text)
    return ", ".join(shown) or "nowhere"


def _insecure(config: Config) -> str:
    return ", insecure ones allowed" if config.schemas.allow_insecure else ""


def _spool(config: Config, data_dir: Path) -> str:
    spool = config.spool
    if not config.sink.wants_spool:
        return f"they are refused: the {config.sink.kind} sink has no spool"
    guaranteed = "guaranteed events too" if spool.on_broker_down == "spool" else "guaranteed events are refused"
    return f"hasty events wait in {data_dir / spool.path}, {spool.max_bytes} bytes at most; {guaranteed}"
