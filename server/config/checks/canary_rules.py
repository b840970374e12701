"""Check the settings of canaries against the addresses, the sink and one another.

Place: config.rules → HERE.
Rule: as in config.rules: a finding names the setting that an operator would change.
Not here: each value alone (config.framework.judge), what a canary is (server.canary).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from server.config.addresses import TcpAddress, parse
from server.config.framework.breach import Breach
from server.config.framework.document import SettingsDocument
from server.config.settings import Config
from server.config.sink_settings import SINK_KINDS
from server.config.urls import problem_of
from server.errors import SettingsError

LOCAL = "local"
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ANY_HOST = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


def targets_of(config: Config) -> dict[str, str]:
    """Return the URLs of the targets by name, without a slash at the end. None are returned where the settings name
    none and no address of this service can be used."""
    if config.canary.targets:
        return {name: url.rstrip("/") for name, url in config.canary.targets.items()}
    if config.http.proxy_protocol:
        return {}
    for spec in config.http.listen:
        try:
            address = parse(spec)
        except SettingsError:  # Reported where addresses are checked.
            continue
        if isinstance(address, TcpAddress) and address.port:
            host = _ANY_HOST.get(address.host, address.host)
            return {LOCAL: f"http://[{host}]:{address.port}" if ":" in host else f"http://{host}:{address.port}"}
    return {}


def canary_breaches(config: Config, document: SettingsDocument) -> Iterator[Breach]:
    """Yield targets that are none, deadlines that contradict one another, and a sink that stores nothing."""
    canary = config.canary
    for name, url in canary.targets.items():
        if not _NAME.fullmatch(name):
            hint = "write up to 64 letters, digits, dots, hyphens and underscores"
            yield Breach(("canary", "targets"), f"{name[:80]!r} cannot be the name of a target", hint)
        problem = problem_of(url, may_have_query=False)
        if problem is not None:
            yield Breach(("canary", "targets", name), problem, "write the URL of a service, without /v1/events")
    if canary.ping_url is not None and (problem := problem_of(canary.ping_url, may_have_query=True)):
        yield Breach(("canary", "ping_url"), problem, "write http://host/path")
    reader_url = canary.eventstreams_url
    if reader_url is not None and (problem := problem_of(reader_url, may_have_query=False)):
        yield Breach(("canary", "eventstreams_url"), problem, "write the URL of EventStreams, without /v2/stream")
    for short, long in (("request_s", "roundtrip_s"), ("roundtrip_s", "run_s"), ("run_s", "period_s")):
        low, high = getattr(canary, short), getattr(canary, long)
        if low > high:
            reason = f"{low:g} is more than canary.{long}, {high:g}"
            yield Breach(("canary", short), reason, f"lower it, or raise canary.{long}")
    if canary.enabled and not targets_of(config):
        reason = "no address in http.listen can be used to send canaries to"
        yield Breach(("canary", "enabled"), reason, "name the service in canary.targets")
    if canary.enabled and not SINK_KINDS[config.sink.kind].can_be_read:
        reason = f"sink.kind {config.sink.kind} stores no events, so no canary could be found in it"
        yield Breach(("canary", "enabled"), reason, "set it to false, or choose another kind of sink")
