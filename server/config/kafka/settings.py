"""The librdkafka properties of the Kafka sink: the service's defaults, the user's properties, and all faults in them.

Place: sink.make → HERE → sink.kafka; also `penstock check`, which needs no broker.
Rules: any property of librdkafka passes through; unknown names and bad values are refused in librdkafka's own words.
The value of a secret never appears in a message.
Not here: which properties break a promise (config.kafka.rules), the producer (sink.kafka).
"""

from __future__ import annotations

import difflib
import json
import os
import re
import sys
import traceback
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from server.config.kafka import files as kafka_files
from server.config.kafka.rules import (
    TOPIC_PREFIX,
    Properties,
    RefusedProperty,
    Value,
    broken_promises,
    canonical,
    text_of,
)
from server.config.kafka.secrets import is_secret
from server.config.kafka.security import never_authenticates, without_sasl
from server.host import stdio

DEFAULTS: Final[Mapping[str, str]] = {
    "client.id": "penstock",
    # The contract of every sink: a stored record was acked by all in-sync replicas, once, in order.
    "acks": "all",
    "enable.idempotence": "true",
    # Guaranteed latency = linger + broker round trip + poll tick; 5 ms lets a burst share one request.
    "linger.ms": "5",
    # The largest event (http.limits.max_event_bytes) with its key and headers. librdkafka's 1,000,000 is less: what is
    # larger would be accepted while no broker answers, and never be delivered.
    "message.max.bytes": "1114112",
    # Several tries and a leader election fit, and so does DEADLINE_S; librdkafka's 5 minutes outlive every client.
    "message.timeout.ms": "6000",
    # librdkafka holds messages for an unknown topic for 30 s. 3 s let a topic that is created on first use appear.
    "topic.metadata.propagation.max.ms": "3000",
    # 10 s without an attempt would outlive message.timeout.ms: a broker that has returned would still cost events.
    "reconnect.backoff.max.ms": "1000",
    # The same reason, for a connection whose packets vanish (30 s).
    "socket.connection.setup.timeout.ms": "5000",
    # Firewalls drop idle connections silently; without it the first events of the morning would fail.
    "socket.keepalive.enable": "true",
    # The cheapest codec by CPU that halves JSON; every broker and consumer has it.
    "compression.codec": "snappy",
    # For metrics. A text of some kB for each broker; measured: 0.1 ms of the loop with three.
    "statistics.interval.ms": "5000",
}

EXPIRY_S: Final = 1.0  # librdkafka looks for expired messages once a second.

# Names for the hint "did you mean": what a producer of librdkafka 2.16 knows, without callbacks and internals.
NAMES: Final = tuple(
    """
    acks allow.auto.create.topics api.version.fallback.ms api.version.request.timeout.ms batch.num.messages batch.size
    bootstrap.servers broker.address.family broker.address.ttl broker.version.fallback client.dns.lookup client.id
    client.rack compression.codec compression.level compression.type connections.max.idle.ms debug delivery.timeout.ms
    enable.idempotence enable.metrics.push enable.sparse.connections enable.ssl.certificate.verification
    https.ca.location https.ca.pem linger.ms log.connection.close log.thread.name log_level max.in.flight
    max.in.flight.requests.per.connection message.copy.max.bytes message.max.bytes message.send.max.retries
    message.timeout.ms metadata.broker.list metadata.max.age.ms metadata.recovery.rebootstrap.trigger.ms
    metadata.recovery.strategy partitioner queue.buffering.backpressure.threshold queue.buffering.max.ms
    receive.message.max.bytes reconnect.backoff.max.ms reconnect.backoff.ms request.required.acks request.timeout.ms
    retries retry.backoff.max.ms retry.backoff.ms sasl.kerberos.keytab sasl.kerberos.kinit.cmd
    sasl.kerberos.min.time.before.relogin sasl.kerberos.principal sasl.kerberos.service.name sasl.mechanism
    sasl.mechanisms enable.sasl.oauthbearer.unsecure.jwt sasl.oauthbearer.assertion.file
    sasl.oauthbearer.assertion.jwt.template.file sasl.oauthbearer.assertion.private.key.file
    sasl.oauthbearer.metadata.authentication.type
    sasl.oauthbearer.client.id sasl.oauthbearer.client.secret sasl.oauthbearer.config
    sasl.oauthbearer.extensions sasl.oauthbearer.grant.type sasl.oauthbearer.method sasl.oauthbearer.scope
    sasl.oauthbearer.token.endpoint.url sasl.password sasl.username security.protocol
    socket.connection.setup.timeout.ms socket.keepalive.enable socket.max.fails socket.nagle.disable
    socket.receive.buffer.bytes socket.send.buffer.bytes socket.timeout.ms ssl.ca.location ssl.ca.pem
    ssl.certificate.location ssl.certificate.pem ssl.cipher.suites ssl.crl.location ssl.curves.list
    ssl.endpoint.identification.algorithm ssl.engine.id ssl.engine.location ssl.key.location ssl.key.password
    ssl.key.pem ssl.keystore.location ssl.keystore.password ssl.providers ssl.sigalgs.list statistics.interval.ms
    sticky.partitioning.linger.ms topic.blacklist topic.metadata.propagation.max.ms
    topic.metadata.refresh.fast.interval.ms topic.metadata.refresh.interval.ms topic.metadata.refresh.sparse
    """.split()  # noqa: SIM905 - a name a line would fill three screens
)

_NO_PROVIDER: Final = "No provider for SASL mechanism GSSAPI"
_SASL: Final = ("sasl.mechanism", "sasl.mechanisms", "security.protocol")
_UNKNOWN: Final = "No such configuration property"
_ROUNDS: Final = 50  # One refusal per round; more wrong properties than this are not expected.


def check(properties: Properties, *, are_files_here: bool = True) -> list[RefusedProperty]:
    """Return all faults in ``properties``: broken promises first, then librdkafka's own refusals. Needs no broker.
    Imports confluent_kafka: see ``check_apart``. The named files are not checked unless they ``are_files_here``."""
    security = never_authenticates(properties)
    unused = {problem.name for problem in security if problem.is_warning}
    used: dict[str, Value] = {name: value for name, value in properties.items() if name not in unused}
    ours = broken_promises(properties) + security + (kafka_files.unreadable(used) if are_files_here else [])
    refused = {problem.name for problem in ours} | (set() if are_files_here else kafka_files.NAMES)
    asked: dict[str, Value] = {name: value for name, value in used.items() if name not in refused}
    has_sasl = all(problem.is_warning for problem in security)
    return ours + _ask(asked if has_sasl else without_sasl(asked), properties)


def check_apart(properties: Properties, *, are_files_here: bool = True) -> list[RefusedProperty]:
    """Check from a process that must stay without threads and librdkafka, such as the master: a child process does
    it."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _answer(writer, properties, are_files_here=are_files_here)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        answer = stream.read()
    os.waitpid(child, 0)
    if not answer:
        return [RefusedProperty("", "cannot be checked", "see above, or run `penstock check`")]
    return [RefusedProperty(*fields) for fields in json.loads(answer)]


def complete(properties: Properties, *, max_outstanding: int, max_outstanding_bytes: int) -> dict[str, str]:
    """Return the properties for librdkafka: the defaults, the user's properties under their one name, and the sink's
    limits."""
    given = {canonical(name): text_of(value) for name, value in properties.items()}
    given.pop("delivery.report.only.error", None)  # False, or it was refused; the binding accepts no text here.
    bounds = {
        "queue.buffering.max.messages": str(max_outstanding),
        "queue.buffering.max.kbytes": str(max(1, max_outstanding_bytes // 1024)),
    }
    return {**DEFAULTS, **given, **bounds}


def most_message_bytes(properties: Properties) -> int:
    """Return the largest message that the producer takes, in bytes; 0 if the property is no number."""
    text = text_of(properties.get("message.max.bytes", DEFAULTS["message.max.bytes"]))
    return int(text) if text.isdigit() else 0


def settle_s(properties: Properties) -> float:
    """Return the time within which librdkafka reports the outcome of a message. ``EXPIRY_S`` if ``check`` refuses the
    number."""
    given = {canonical(name): value for name, value in properties.items()}
    try:
        return float(given.get("message.timeout.ms", DEFAULTS["message.timeout.ms"])) / 1000 + EXPIRY_S
    except ValueError:
        return EXPIRY_S


def redact(text: str, properties: Properties) -> str:
    """Return ``text`` without the value of any secret among ``properties``."""
    for name, value in properties.items():
        if is_secret(name) and text_of(value):
            text = text.replace(text_of(value), "***")
    return text


def _answer(writer: int, properties: Properties, *, are_files_here: bool) -> NoReturn:
    """Run the whole life of the child process. No exception may continue in the parent's program."""
    try:
        stdio.begin_child()
        problems = check(properties, are_files_here=are_files_here)
        with os.fdopen(writer, "wb") as stream:
            stream.write(json.dumps(problems).encode())
    finally:
        if (error := sys.exception()) is not None:
            traceback.print_exception(error)
        os._exit(0)  # Nothing of the parent may be flushed or closed twice.


def _ask(properties: Properties, secrets: Properties) -> list[RefusedProperty]:
    """Ask librdkafka, which stops at the first fault: remove the property and ask again. None of ``secrets`` is
    shown."""
    left: dict[str, Any] = dict(properties)
    problems: list[RefusedProperty] = []
    for _ in range(_ROUNDS):
        refusal = _refusal(left)
        if refusal is None:
            break
        name, reason, hint = _named_in(refusal, left), redact(refusal, secrets), ""
        if name is not None and refusal.startswith(_UNKNOWN):
            reason, hint = "librdkafka has no such property", _nearest(name)
        elif "SASL mechanism" in refusal:
            name = next(one for one in _SASL if one in left)
            if _NO_PROVIDER in refusal:
                reason = "this build of librdkafka has no GSSAPI (Kerberos), the default mechanism"
            hint = "use PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER as sasl.mechanism"
        problems.append(RefusedProperty(name or "", reason, hint))
        if name is None:
            break
        del left[name]
        if name in _SASL:
            left = {**without_sasl(left)}
    return problems


def _refusal(properties: Mapping[str, Any]) -> str | None:
    """Make a producer without brokers, so that it contacts none, and discard it."""
    from confluent_kafka import KafkaException, Producer  # Imported here alone: SQLite users need not have it.

    settings = complete(properties, max_outstanding=1000, max_outstanding_bytes=1 << 20)
    try:
        Producer({**settings, "bootstrap.servers": "", "log_level": "0"})
    except KafkaException as refused:
        return str(refused.args[0].str()).strip()
    except (TypeError, ValueError, AttributeError) as refused:  # The binding's own check of a few names.
        return str(refused)
    return None


def _named_in(reason: str, properties: Mapping[str, Any]) -> str | None:
    """Return the property that librdkafka means, under the name that the user wrote. Longest first: names contain one
    another."""
    words = re.findall(r"[a-z_]+(?:[._][a-z]+)*", reason)
    if reason.startswith(_UNKNOWN):  # Its messages omit the prefix ``topic.``.
        for name in properties:
            if name.startswith(TOPIC_PREFIX) and f'"{name.removeprefix(TOPIC_PREFIX)}"' in reason:
                return name
    for name in sorted(properties, key=len, reverse=True):
        if name in reason or canonical(name) in words:
            return name
    # librdkafka's messages call linger.ms "queue.buffering.max.ms".
    meant = {canonical(word) for word in words}
    return next((name for name in properties if canonical(name) in meant), None)


def _nearest(name: str) -> str:
    if (bare := name.removeprefix(TOPIC_PREFIX)) != name and bare in NAMES:
        return f"write {bare}"
    near = difflib.get_close_matches(name, NAMES, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else "see librdkafka's CONFIGURATION.md"
