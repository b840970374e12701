"""Which librdkafka properties are refused, and in which words."""

from __future__ import annotations

import subprocess
import sys

import pytest

from server.config.kafka import settings as kafka_settings
from server.config.kafka.rules import ALIASES, OF_TOPICS, RefusedProperty, Value, broken_promises
from server.config.kafka.settings import check

SERVERS: dict[str, Value] = {"bootstrap.servers": "127.0.0.1:9092"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("acks", 1),
        ("acks", "0"),
        ("request.required.acks", 1),
        ("enable.idempotence", False),
        ("message.timeout.ms", 0),
        ("message.timeout.ms", 8001),
        ("delivery.timeout.ms", "300000"),
        ("retries", 0),
        ("message.send.max.retries", 0),
        ("max.in.flight", 6),
        ("max.in.flight.requests.per.connection", "100"),
        ("partitioner", "random"),
        ("queuing.strategy", "lifo"),
        ("api.version.request", False),
        ("delivery.report.only.error", True),
        ("enable.gapless.guarantee", "true"),
        ("transactional.id", "me"),
        ("queue.buffering.max.messages", 5),
        ("queue.buffering.max.kbytes", 5),
        ("plugin.library.paths", "evil"),
        ("dr_cb", "x"),
        ("dr_msg_cb", "x"),
        ("error_cb", "x"),
        ("stats_cb", "x"),
        ("on_delivery", "x"),
        ("logger", "x"),
        ("interceptors", "x"),
        ("test.mock.num.brokers", 3),
        ("topic.acks", 1),
        ("topic.request.required.acks", "0"),
        ("topic.message.timeout.ms", 300000),
        ("topic.delivery.timeout.ms", 300000),
        ("topic.partitioner", "random"),
        ("topic.partitioner_cb", "x"),
        ("topic.queuing.strategy", "lifo"),
        ("topic.opaque", "x"),
        ("topic.message.timeout.ms", "0x493E0"),
        ("message.timeout.ms", "0x493E0"),
        ("message.timeout.ms", "300000ms"),
        ("message.timeout.ms", "7_000_000"),
        ("message.timeout.ms", "010"),
        ("message.timeout.ms", "1e3"),
        ("message.timeout.ms", 0.5),
        ("retries", "0x0"),
        ("statistics.interval.ms", "010000"),
        ("message.max.bytes", "0x100000"),
        ("topic.request.timeout.ms", "1e3"),
        ("retries", 1 << 32),
    ],
)
def test_what_would_break_a_promise_is_refused_by_the_name_the_user_wrote(name: str, value: Value) -> None:
    [problem] = broken_promises({**SERVERS, name: value})

    assert problem.name == name
    assert problem.reason and problem.hint
    assert str(problem).startswith(f"sink.kafka.{name}: ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("acks", "all"),
        ("acks", -1),
        ("request.required.acks", "-1"),
        ("enable.idempotence", True),
        ("message.timeout.ms", 8000),
        ("retries", 5),
        ("max.in.flight", 5),
        ("partitioner", "murmur2_random"),
        ("linger.ms", 0.5),
        ("client.id", "eventgate"),
        ("compression.type", "zstd"),
        ("statistics.interval.ms", 30000),
        ("broker.address.family", "v4"),
        ("log.connection.close", False),
        ("delivery.report.only.error", False),
        ("topic.acks", "all"),
        ("topic.message.timeout.ms", 8000),
        ("topic.compression.codec", "zstd"),
        ("topic.metadata.refresh.interval.ms", 30000),
        ("message.timeout.ms", 5000.0),
        ("linger.ms", "1e1"),
        ("client.id", "007"),
    ],
)
def test_everything_else_passes(name: str, value: Value) -> None:
    assert check({**SERVERS, name: value}) == []


@pytest.mark.parametrize("properties", [{}, {"bootstrap.servers": " "}, {"metadata.broker.list": ""}])
def test_no_broker_at_all_is_a_problem(properties: dict[str, Value]) -> None:
    [problem] = broken_promises(properties)

    assert problem.name == "bootstrap.servers"


@pytest.mark.parametrize("name", ["bootstrap.servers", "metadata.broker.list"])
@pytest.mark.parametrize("value", [",,,", "a:1,b:", "127.0.0.1:abc", "a:0", "a:65536", "::1", "a b:1", "a:1/topic"])
def test_brokers_that_are_none_are_a_problem(name: str, value: str) -> None:
    [problem] = broken_promises({name: value})

    assert problem.name == name
    assert "write host:port" in problem.hint


@pytest.mark.parametrize(
    "value",
    ["a", "a:1", "a:1, b.example:9093 ,", "[::1]:9092", "[fe80::1%eth0]", "SASL_SSL://a:65535", "a_b-c.d:1"],
)
def test_brokers_as_librdkafka_reads_them_pass(value: str) -> None:
    assert broken_promises({"bootstrap.servers": value}) == []


@pytest.mark.parametrize("level", [-1, 8, 9, "9"])
def test_a_level_that_syslog_does_not_have_is_a_problem(level: Value) -> None:
    [problem] = broken_promises({**SERVERS, "log_level": level})

    assert problem.name == "log_level"
    assert broken_promises({**SERVERS, "log_level": 7}) == []


def test_a_refusal_that_names_no_property_is_one_of_all() -> None:
    assert str(RefusedProperty("", "no provider", "")) == "sink.kafka: no provider"


def test_a_property_and_its_alias_together_are_a_problem() -> None:
    [problem] = broken_promises({**SERVERS, "linger.ms": 5, "queue.buffering.max.ms": 9})

    assert problem.name == "queue.buffering.max.ms"
    assert "linger.ms" in problem.reason


@pytest.mark.parametrize("other", ["acks", "request.required.acks", "topic.request.required.acks"])
def test_a_property_with_and_without_its_prefix_is_a_problem(other: str) -> None:
    [problem] = broken_promises({**SERVERS, other: "all", "topic.acks": "all"})

    assert "is another name of" in problem.reason and problem.hint == "keep one of them"


def test_a_name_with_the_prefix_replaces_our_default() -> None:
    complete = kafka_settings.complete(
        {**SERVERS, "topic.delivery.timeout.ms": 7000}, max_outstanding=1, max_outstanding_bytes=1024
    )

    assert complete["message.timeout.ms"] == "7000"
    assert not any("delivery.timeout" in name for name in complete)


def test_librdkafka_takes_the_prefix_before_exactly_the_names_that_we_say() -> None:
    from confluent_kafka import KafkaException, Producer

    def is_known(name: str) -> bool:
        try:
            Producer({"bootstrap.servers": "", "log_level": "0", name: "\x01"})
        except KafkaException as refused:
            return not refused.args[0].str().startswith("No such configuration property")
        return True

    names = {*kafka_settings.NAMES, *ALIASES, *ALIASES.values(), *OF_TOPICS}
    names = {name for name in names if not name.startswith("topic.")}

    assert {name for name in names if is_known(f"topic.{name}")} == OF_TOPICS


def test_an_unknown_name_with_the_prefix_is_refused_as_it_was_written() -> None:
    problems = check({**SERVERS, "linger.ms": 3, "topic.linger.ms": 5, "topic.topic.acks": 1})

    assert (problems[0].name, problems[0].hint) == ("topic.linger.ms", "write linger.ms")
    assert {problem.name for problem in problems} == {"topic.linger.ms", "topic.topic.acks"}


def test_an_alias_replaces_our_default() -> None:
    complete = kafka_settings.complete(
        {"metadata.broker.list": "a:1", "compression.type": "zstd", "enable.sparse.connections": False},
        max_outstanding=7,
        max_outstanding_bytes=10_240,
    )

    assert complete["bootstrap.servers"] == "a:1"
    assert complete["compression.codec"] == "zstd"
    assert complete["enable.sparse.connections"] == "false"
    assert "compression.type" not in complete
    assert complete["queue.buffering.max.messages"] == "7"
    assert complete["queue.buffering.max.kbytes"] == "10"


def test_our_defaults_keep_our_own_rules() -> None:
    assert check({**SERVERS, **kafka_settings.DEFAULTS}) == []


def test_an_unknown_property_is_refused_with_the_nearest_name() -> None:
    [problem] = check({**SERVERS, "lingr.ms": 5})

    assert problem.name == "lingr.ms"
    assert problem.hint == "did you mean linger.ms?"


def test_librdkafka_says_what_is_wrong_with_each_of_several_properties() -> None:
    problems = check(
        {**SERVERS, "compression.codec": "brotli", "linger.ms": "soon", "no.such": 1, "socket.timeout.ms": 1}
    )

    assert {problem.name for problem in problems} == {"compression.codec", "linger.ms", "no.such", "socket.timeout.ms"}


def test_properties_that_do_not_fit_one_another_are_refused() -> None:
    [problem] = check({**SERVERS, "linger.ms": 7000})

    assert problem.name == "linger.ms"
    assert "message.timeout.ms" in problem.reason


def test_a_secret_is_never_shown() -> None:
    properties: dict[str, Value] = {
        **SERVERS,
        "security.protocol": "ssl",
        "ssl.key.pem": "hunter2",
        "sasl.password": "hunter3",
        "sasl.oauthbearer.client.secret": "hunter4",
        "compression.codec": "hunter3",
    }

    shown = "\n".join(str(problem) for problem in check(properties))

    assert "ssl.key.pem" in shown
    assert "compression.codec" in shown
    assert "hunter" not in shown


def test_every_suggested_name_is_one_that_librdkafka_knows() -> None:
    problems = check(dict.fromkeys(kafka_settings.NAMES, "\x01") | SERVERS)

    assert [problem for problem in problems if "no such property" in problem.reason] == []


def test_the_check_apart_leaves_the_process_without_librdkafka() -> None:
    source = """
import sys
from server.config.kafka import settings as kafka_settings
problems = kafka_settings.check_apart({"bootstrap.servers": "a:1", "acks": 1, "lingr.ms": 5})
print([problem.name for problem in problems], "confluent_kafka" in sys.modules, "asyncio" in sys.modules)
"""

    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60)

    assert done.stdout == "['acks', 'lingr.ms'] False False\n"
