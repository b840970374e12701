"""Check settings against one another.

Place: config.framework.judge (each value alone) → HERE (values together) → config.load.
Rule: a finding names the setting that an operator would change, and both values.
Not here: a sink's properties alone (config.kafka.settings), the facts about each kind of sink (config.sink_settings).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from server.config.addresses import parse
from server.config.checks.auth_rules import auth_breaches
from server.config.checks.canary_rules import canary_breaches
from server.config.checks.console_rules import console_breaches
from server.config.checks.plausibility_rules import plausibility_breaches
from server.config.checks.tracing_rules import tracing_breaches
from server.config.checks.transport_rules import transport_breaches
from server.config.checks.url_rules import HEADER_NAME, url_breaches
from server.config.framework.breach import Breach
from server.config.framework.document import KeyPath, SettingsDocument, dotted
from server.config.framework.finding import Finding, Level
from server.config.listen_conflicts import Address, overlap
from server.config.settings import HTTP_SHARE_OF_DRAIN, Config
from server.config.sink_settings import SINK_KINDS
from server.config.urls import urls_of
from server.errors import SettingsError
from server.text.networks import HINT as NETWORK_HINT
from server.text.networks import network

MAX_HYPHENS = 8

_EVENT_PATH = re.compile(r"[^.\s]+(\.[^.\s]+)*")
_NAMES = re.compile(r"[A-Za-z0-9._-]{1,249}")


def breaches(config: Config, document: SettingsDocument) -> list[Finding]:
    """Return a finding for every rule that these settings break."""
    found: list[Finding] = []
    for rule in _RULES:
        for breach in rule(config, document):
            file, line = document.origin(breach.path)
            level: Level = "warning" if breach.is_warning else "error"
            found.append(
                Finding(
                    level=level, file=file, line=line, key=dotted(breach.path), reason=breach.reason, hint=breach.hint
                )
            )
    return found


def _sizes(config: Config, _: SettingsDocument) -> Iterator[Breach]:
    limits = config.http.limits
    ordered = (
        ("max_event_bytes", "max_body_bytes", "no event can be larger than the body that carries it"),
        ("max_body_bytes", "max_in_flight_bytes", "the largest body would never be accepted"),
        ("max_url_bytes", "max_head_bytes", "the URL is a part of the head"),
        ("max_header_bytes", "max_head_bytes", "a header is a part of the head"),
    )
    for small, large, why in ordered:
        low, high = getattr(limits, small), getattr(limits, large)
        if low > high:
            reason = f"{low} is more than http.limits.{large}, {high}: {why}"
            yield Breach(("http", "limits", small), reason, f"lower it, or raise http.limits.{large}")


def _queue(config: Config, _: SettingsDocument) -> Iterator[Breach]:
    """Check that a full batch fits into an empty queue; otherwise a part of it would always be refused."""
    limits, sink = config.http.limits, config.sink
    if sink.max_outstanding < limits.max_events:
        reason = f"{sink.max_outstanding} is less than http.limits.max_events, {limits.max_events}"
        hint = "raise it: the events of a full batch beyond it are always refused with queue_full"
        yield Breach(("sink", "max_outstanding"), reason, hint, is_warning=True)
    if sink.max_outstanding_bytes < limits.max_body_bytes:
        reason = f"{sink.max_outstanding_bytes} is less than http.limits.max_body_bytes, {limits.max_body_bytes}"
        hint = "raise it: a part of the largest batch is always refused with queue_full"
        yield Breach(("sink", "max_outstanding_bytes"), reason, hint, is_warning=True)


def _largest(config: Config, _: SettingsDocument) -> Iterator[Breach]:
    """Check that the producer takes the largest event. One that it refuses would be accepted without a broker."""
    rules = SINK_KINDS[config.sink.kind]
    limit = rules.most_message_bytes(config.sink)
    if config.http.limits.max_event_bytes > limit:
        reason = f"{config.http.limits.max_event_bytes} is more than the sink takes, {limit}"
        hint = f"lower it, or raise {rules.limited_by}, which counts key and headers too"
        yield Breach(("http", "limits", "max_event_bytes"), reason, hint, is_warning=True)


def _record_headers(config: Config, _: SettingsDocument) -> Iterator[Breach]:
    names = config.sink.kafka_headers
    for at, name in enumerate(names):
        if name in names[:at]:
            yield Breach(("sink", "kafka_headers", at), f"{name!r} is there already", "name each header once")


def _addresses(config: Config, _: SettingsDocument) -> Iterator[Breach]:
    taken: list[tuple[KeyPath, Address]] = []
    texts: list[tuple[KeyPath, str]] = [(("http", "listen", i), text) for i, text in enumerate(config.http.listen)]
    for path, text in [*texts, (("admin", "listen"), config.admin.listen)]:
        try:
            address = parse(text)
        except SettingsError:
            hint = "write host:port, [v6]:port, :port, unix:/path or unix:@name"
            yield Breach(path, f"{text!r} is not an address to listen on", hint)
            continue
        for other, before in taken:
            if overlap(address, before):
                hint = "the admin address must be one of its own" if path[0] == "admin" else "give each its own port"
                yield Breach(path, f"{text} takes the same address as {dotted(other)}", hint)
                break
        taken.append((path, address))


def _proxies(config: Config, _: SettingsDocument) -> Iterator[Breach]:
    for index, text in enumerate(config.http.trusted_proxies):
        try:
            network(text)
        except ValueError as error:
            yield Breach(("http", "trusted_proxies", index), str(error), NETWORK_HINT)
    header = config.http.client_ip_header
    if header is not None and not HEADER_NAME.fullmatch(header):
        yield Breach(("http", "client_ip_header"), f"{header!r} is not a header name", "write X-Client-IP")
    if header is not None and header.count("-") > MAX_HYPHENS:
        reason = (
            f"has more than {MAX_HYPHENS} hyphens: every spelling with underscores is refused, and each hyphen doubles "
            "their number"
        )
        yield Breach(("http", "client_ip_header"), reason, "give it a shorter name")
    if config.http.trusted_proxies:
        return
    if header is not None:
        reason = "is never used: http.trusted_proxies is empty"
        yield Breach(("http", "client_ip_header"), reason, "name the proxies that set it", is_warning=True)
    if config.http.proxy_protocol:
        reason = "refuses every connection: http.trusted_proxies is empty"
        yield Breach(("http", "proxy_protocol"), reason, "name the proxies that speak it")


def _times(config: Config, _: SettingsDocument) -> Iterator[Breach]:
    process = config.process
    if process.late_s <= process.beat_s:
        reason = f"{process.late_s:g} s is not more than process.beat_s, {process.beat_s:g} s"
        yield Breach(("process", "late_s"), reason, "every worker would be killed as stuck; give it several beats")
    if isinstance(config.workers, int) and config.workers > process.max_workers:
        reason = f"{config.workers} is more than process.max_workers, {process.max_workers}"
        yield Breach(("workers",), reason, "raise process.max_workers")


def _acks(config: Config, _: SettingsDocument) -> Iterator[Breach]:
    """Check that the sink settles events before their senders stop waiting for them."""
    settled_by = SINK_KINDS[config.sink.kind].settled_by
    if not settled_by:
        return
    settled_s = settle_s(config)
    why = f"within which {settled_by}"
    patience_s = config.drain_s * HTTP_SHARE_OF_DRAIN
    if patience_s < settled_s:
        reason = f"{HTTP_SHARE_OF_DRAIN:g} of it, {patience_s:g} s, is less than the {settled_s:g} s {why}"
        hint = "raise it: events that wait for a broker that is away go to the spool by the end of the drain"
        yield Breach(("drain_s",), reason, hint, is_warning=True)
    answer_s = config.http.limits.answer_s
    if urls_of(config.schemas.base_uris):
        settled_s += config.schemas.wait_s
        why += f", after schemas.wait_s, {config.schemas.wait_s:g} s"
    if answer_s < settled_s:
        reason = f"{answer_s:g} s is less than the {settled_s:g} s {why}"
        hint = "raise it, or lower the other: a client would be told of a failure, and the event delivered afterwards"
        yield Breach(("http", "limits", "answer_s"), reason, hint)


def settle_s(config: Config) -> float:
    """Return the time within which the sink settles an event that a request waits for."""
    return SINK_KINDS[config.sink.kind].settle_s(config.sink, config.http.limits.answer_s)


def _event_paths(config: Config, _: SettingsDocument) -> Iterator[Breach]:
    for name in ("schema_uri_field", "stream_field", "id_field", "dt_field", "source_field"):
        value = getattr(config.intake, name)
        for index, text in enumerate([value] if isinstance(value, str) else value):
            if not _EVENT_PATH.fullmatch(text):
                path: KeyPath = ("intake", name) if isinstance(value, str) else ("intake", name, index)
                yield Breach(path, f"{text!r} is not a path in an event", "write names with dots between: meta.stream")


def _names(config: Config, _: SettingsDocument) -> Iterator[Breach]:
    stream = config.error_stream
    if stream is not None and not _NAMES.fullmatch(stream):
        path = ("intake", "error_stream") if config.intake.error_stream else ("service_name",)
        yield Breach(
            path, f"makes {stream!r} the error stream, which is not a legal name", "use letters, digits, . _ -"
        )
    alarms = config.intake.alarm_stream
    if alarms and not _NAMES.fullmatch(alarms):
        yield Breach(("intake", "alarm_stream"), f"{alarms!r} is not a legal name", "use letters, digits, . _ -")


def _secrets(config: Config, document: SettingsDocument) -> Iterator[Breach]:
    for name in config.sink.kafka_files:
        if document.written(("sink", "kafka", name)):
            hint = "keep one of the two"
            yield Breach(("sink", "kafka_files", name), "is set in sink.kafka as well", hint)


def _unused(config: Config, document: SettingsDocument) -> Iterator[Breach]:
    if not config.sink.wants_spool and document.value.get("spool"):
        reason = f"has no effect with sink.kind: {config.sink.kind}, which needs no spool"
        yield Breach(("spool",), reason, "remove it", is_warning=True)


_RULES = (
    *(_sizes, _queue, _largest, _record_headers, _addresses, _proxies, transport_breaches, _times, _acks, _event_paths),
    *(url_breaches, auth_breaches, tracing_breaches, console_breaches, canary_breaches, plausibility_breaches),
    *(_names, _secrets, _unused),
)
