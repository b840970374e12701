"""Run the brokers of a soak and harm them: a mock cluster, or an Apache Kafka that a script starts.

Place: commands.soak → HERE → soak.mock, or ``deploy/kafka/run``.
Rule: both keep what they stored through every fault; only processes started here are signalled.
Not here: when which fault comes (soak.faults).
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final, Protocol

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.cimpl import NewTopic

from server.errors import UsageError

START_S: Final = 90.0
PARTITIONS: Final = 3
SMALL_BYTES: Final = 700  # A single event of the soak's clients is smaller, most batches of them are larger.

# Errors of Kafka's protocol that a broker may answer for a while.
NOT_ENOUGH_REPLICAS: Final = 19
MESSAGE_TOO_LARGE: Final = 10
TOPIC_AUTHORIZATION_FAILED: Final = 29

# The setting of a topic that makes a real broker answer with each error.
_SETTINGS: Final = {NOT_ENOUGH_REPLICAS: ("min.insync.replicas", "2"), MESSAGE_TOO_LARGE: ("max.message.bytes", "50")}


class Brokers(Protocol):
    """A cluster that can be harmed. ``servers`` are its addresses for clients. ``can`` names the faults that it
    supports, ``refusals`` the errors that it can be made to answer. ``is_idempotent``: it checks the sequence numbers
    of an idempotent producer. ``most_in_flight`` is the most unanswered requests that the service may have with it.
    ``sicken`` takes the leader away from some partitions; the others go on."""

    servers: str
    can: frozenset[str]
    refusals: tuple[int, ...]
    is_idempotent: bool
    most_in_flight: int

    def create(self, topics: list[str]) -> None: ...
    def hang(self) -> None: ...
    def go_on(self) -> None: ...
    def sicken(self) -> None: ...
    def down(self) -> None: ...
    def up(self) -> None: ...
    def slow(self, ms: int) -> None: ...
    def refuse(self, code: int, count: int) -> None: ...
    def shrink(self, most_bytes: int) -> None: ...
    def stop(self) -> None: ...


class Mock:
    """librdkafka's mock cluster of three brokers.

    They append every record. When one refuses a request and accepts the next, as no Kafka would, librdkafka believes
    that both are in the log and acks the first, although that record is lost. So only one request is in flight.
    """

    can = frozenset({"hang", "sicken", "down", "slow", "refuse"})
    refusals: tuple[int, ...] = (NOT_ENOUGH_REPLICAS, MESSAGE_TOO_LARGE, TOPIC_AUTHORIZATION_FAILED)
    is_idempotent = False
    most_in_flight = 1

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "soak.mock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.servers = self._line()

    def create(self, topics: list[str]) -> None:
        for topic in topics:
            self._order(f"create {topic}")

    def hang(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def sicken(self) -> None:
        self._order("sicken")

    def down(self) -> None:
        self._order("down")

    def up(self) -> None:
        self._order("up")

    def slow(self, ms: int) -> None:
        self._order(f"slow {ms}")

    def refuse(self, code: int, count: int) -> None:
        self._order(f"refuse {code} {count}")

    def shrink(self, most_bytes: int) -> None:
        raise NotImplementedError(f"mock brokers limit no batches, not even to {most_bytes} bytes")

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _order(self, order: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(order + "\n")
        self._process.stdin.flush()
        self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


class Kafka:
    """One Apache Kafka node, started by the script ``deploy/kafka/run`` of a checkout."""

    can = frozenset({"hang", "down", "refuse", "shrink"})
    refusals: tuple[int, ...] = (NOT_ENOUGH_REPLICAS, MESSAGE_TOO_LARGE)  # No right is denied: there is no authorizer.
    is_idempotent = True
    most_in_flight = 5

    def __init__(self, script: Path, directory: Path) -> None:
        if not os.access(script, os.X_OK):
            raise UsageError(f"{script} is no program that starts Kafka; name deploy/kafka/run of a checkout")
        port, controller = _free_ports()
        self.servers = f"127.0.0.1:{port}"
        self._script = script
        self._log = directory / "kafka.log"
        self._environ = os.environ | {
            "KAFKA_DATA": str(directory / "kafka"),
            "KAFKA_PORT": str(port),
            "KAFKA_CONTROLLER_PORT": str(controller),
        }
        self.up()

    def create(self, topics: list[str]) -> None:
        self._topics, admin = topics, self._admin()
        for made in admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in topics]).values():
            made.result(START_S)

    def hang(self) -> None:
        os.killpg(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.killpg(self._process.pid, signal.SIGCONT)

    def sicken(self) -> None:
        raise NotImplementedError("a cluster of one node has no partition that another node leads")

    def down(self) -> None:
        """End the node with kill -9."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def up(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._script],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # It and its shell are one group, so that both stop and go on together.
            )
        self._wait()

    def slow(self, ms: int) -> None:
        raise NotImplementedError(f"a real broker is not slowed down to {ms} ms")

    def refuse(self, code: int, count: int) -> None:
        """Set its topics so that it must refuse, until it is called with a count of 0."""
        name, value = _SETTINGS[code]
        self._set(name, value if count else None)

    def shrink(self, most_bytes: int) -> None:
        """Limit the batches of its topics to so many bytes; 0 removes the limit."""
        self._set("max.message.bytes", str(most_bytes) if most_bytes else None)

    def _set(self, name: str, value: str | None) -> None:
        operation = AlterConfigOpType.DELETE if value is None else AlterConfigOpType.SET
        entry = ConfigEntry(name, value, incremental_operation=operation)
        topics = [ConfigResource("topic", topic, incremental_configs=[entry]) for topic in self._topics]
        admin = self._admin()  # It must live until the changes are made.
        for changed in admin.incremental_alter_configs(topics).values():
            changed.result(START_S)

    def stop(self) -> None:
        self.go_on()
        self.down()

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.servers, "log_level": 0})

    def _wait(self) -> None:
        deadline = time.monotonic() + START_S
        admin = self._admin()
        while time.monotonic() < deadline:
            try:
                admin.list_topics(timeout=2)
            except KafkaException:
                time.sleep(0.2)
            else:
                return
        raise UsageError(f"Kafka did not start within {START_S:.0f} s: {self._log.read_text(errors='replace')[-1000:]}")


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]
