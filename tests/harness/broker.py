"""A real Apache Kafka and a mock cluster, each in a process of its own.

Rule: only processes that were started here are signalled, by pid.
Not here: fixtures (tests.kafka.fixtures), reading topics (tests.harness.topics).
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

RUN: Final = Path(__file__).parents[2] / "deploy" / "kafka" / "run"
FETCH_S: Final = 240.0
START_S: Final = 120.0
STOP_S: Final = 20.0
PORTS: Final = range(20_000, 32_000)  # Below those that connections and ports 0 get (ip_local_port_range).


class KafkaUnavailableError(Exception):
    """A real broker cannot be started here; the message says what is missing."""


class Kafka:
    """One node on free loopback ports. ``start`` after ``stop`` or ``kill`` continues with the same data and port.
    ``properties`` are further properties of the broker."""

    def __init__(self, directory: Path, **properties: str) -> None:
        self._directory = directory
        self._properties = properties
        self._log = directory / "broker.log"
        self._port, self._controller_port = free_ports(2)
        self._process: subprocess.Popen[bytes] | None = None
        self.servers = f"127.0.0.1:{self._port}"

    def start(self, within_s: float = START_S) -> None:
        """Start the broker. Returns when it answers a client."""
        environ = os.environ | {
            "KAFKA_DATA": str(self._directory / "data"),
            "KAFKA_PORT": str(self._port),
            "KAFKA_CONTROLLER_PORT": str(self._controller_port),
            "KAFKA_PROPERTIES": "\n".join(f"{name}={value}" for name, value in self._properties.items()),
        }
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([RUN], env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._wait_until_it_answers(self._process, within_s)

    def stop(self) -> None:
        """Shut the broker down cleanly; kill it if that takes more than STOP_S."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def hang(self) -> None:
        """Stop the process: it keeps its connections and does nothing."""
        assert self._process is not None
        _stop(self._process)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def quota(self, client: str, **limits: int) -> None:
        """Limit this ``client.id``, such as by ``producer_byte_rate``; without limits the quota is removed."""
        change = ",".join(f"{name}={value}" for name, value in limits.items())
        how = ["--add-config", change] if limits else ["--delete-config", "producer_byte_rate"]
        self._alter("clients", client, *how)

    def configure(self, topic: str, **properties: str) -> None:
        """Change properties of a topic."""
        change = ",".join(f"{name}={value}" for name, value in properties.items())
        self._alter("topics", topic, "--add-config", change)

    def _alter(self, kind: str, name: str, *how: str) -> None:
        command = [str(RUN), "tool", "kafka.admin.ConfigCommand", "--bootstrap-server", self.servers, "--alter"]
        done = subprocess.run(
            [*command, "--entity-type", kind, "--entity-name", name, *how],
            capture_output=True,
            text=True,
            timeout=START_S,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def log_tail(self) -> str:
        return self._log.read_text(errors="replace")[-4000:] if self._log.exists() else ""

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes], within_s: float) -> None:
        client = AdminClient({"bootstrap.servers": self.servers, "log_level": 0, "reconnect.backoff.max.ms": 200})
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if client.list_topics(timeout=0.5).brokers:
                    return
            except KafkaException:
                continue  # Not yet.
        self.stop()
        raise RuntimeError(f"Kafka did not start (exit code {process.poll()}):\n{self.log_tail()}")


def fetch() -> None:
    """Fetch the jars, unless they are here. Raises KafkaUnavailableError if Java, Maven or the network is missing."""
    if shutil.which("java") is None:
        raise KafkaUnavailableError("java is missing (Debian: openjdk-17-jre-headless)")
    if shutil.which("mvn") is None and not any(_cache().glob("kafka-*")):
        raise KafkaUnavailableError("mvn is missing (Debian: maven), and the jars of Kafka are not in the cache")
    try:
        done = subprocess.run([RUN, "fetch"], capture_output=True, text=True, timeout=FETCH_S, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise KafkaUnavailableError(f"Maven did not fetch the jars of Kafka within {FETCH_S:.0f} s") from None
    if done.returncode != 0:
        raise KafkaUnavailableError(
            f"Maven cannot fetch the jars of Kafka: {(done.stdout + done.stderr)[-500:].strip()}"
        )


class MockCluster:
    """librdkafka's mock cluster of three brokers: the real protocol, no Java, nothing on disk."""

    _SOURCE: Final = """
import sys
from confluent_kafka import Producer
cluster = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 3, "log_level": 0})
brokers = cluster.list_topics(timeout=60).brokers.values()
print(",".join(f"{broker.host}:{broker.port}" for broker in brokers), flush=True)
sys.stdin.read()
"""

    def __init__(self) -> None:
        # The process ends with its standard input, so also when the test run is killed.
        self._process = subprocess.Popen(
            [sys.executable, "-c", self._SOURCE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.servers = self._process.stdout.readline().strip()
        assert self.servers, "the mock cluster did not start"

    def hang(self) -> None:
        """Stop the process: all brokers keep their connections and do nothing."""
        _stop(self._process)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextmanager
def dead_servers() -> Iterator[str]:
    """Yield an address without a broker: the port is taken, and connections to it are refused."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def free_ports(count: int) -> list[int]:
    """Return free ports, for a program that needs a fixed one. The kernel never gives them to other sockets."""
    found: list[int] = []
    while len(found) < count:
        with socket.socket() as one:
            port = random.choice(PORTS)
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found


def _stop(process: subprocess.Popen[Any]) -> None:
    """Stop a process. Returns when none of its threads runs: one on another core may still answer for a moment."""
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "penstock"
