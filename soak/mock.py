"""Run a cluster of mock brokers in its own process: it has the real protocol, no Java, and faults on command.

Place: soak.brokers starts it as ``python -m soak.mock``; it takes one command per line from standard input.
Rules: it is librdkafka's own mock cluster, used by ctypes because the Python client has none of its functions. It ends
with its standard input, so that nothing is left when the soak is killed.
Not here: when which fault comes (soak.faults).
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import Any, Final

import confluent_kafka

BROKERS: Final = 3
PARTITIONS: Final = 3
PRODUCE: Final = 0  # ApiKey of a Produce request.


def library() -> Any:
    """Return the librdkafka that confluent_kafka has loaded."""
    folder = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    names = sorted(folder.glob("librdkafka*.so*"))
    return ctypes.CDLL(str(names[0]) if names else "librdkafka.so.1")


class Cluster:
    """The brokers, and faults for all of them."""

    def __init__(self) -> None:
        lib = self._lib = library()
        for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
            getattr(lib, name).restype = ctypes.c_void_p
        lib.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
        reason = ctypes.create_string_buffer(512)
        settings = ctypes.c_void_p(lib.rd_kafka_conf_new())
        lib.rd_kafka_conf_set(settings, b"log_level", b"0", reason, 512)
        self._client = ctypes.c_void_p(lib.rd_kafka_new(0, settings, reason, 512))
        self._cluster = ctypes.c_void_p(lib.rd_kafka_mock_cluster_new(self._client, BROKERS))
        lib.rd_kafka_mock_topic_create.restype = ctypes.c_int
        self.servers = lib.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def create(self, topic: str) -> None:
        self._lib.rd_kafka_mock_topic_create(self._cluster, topic.encode(), PARTITIONS, BROKERS)

    def sicken(self) -> None:
        """Do the same as ``down`` with one broker, so that the partitions that it leads have no leader."""
        self._lib.rd_kafka_mock_broker_set_down(self._cluster, 1)

    def down(self) -> None:
        """Cut all connections and refuse new ones; stored records stay."""
        for broker in range(1, BROKERS + 1):
            self._lib.rd_kafka_mock_broker_set_down(self._cluster, broker)

    def up(self) -> None:
        for broker in range(1, BROKERS + 1):
            self._lib.rd_kafka_mock_broker_set_up(self._cluster, broker)

    def slow(self, ms: int) -> None:
        """Delay every answer."""
        for broker in range(1, BROKERS + 1):
            self._lib.rd_kafka_mock_broker_set_rtt(self._cluster, broker, ms)

    def refuse(self, code: int, count: int) -> None:
        """Answer the next ``count`` Produce requests with this error of Kafka's protocol; a count of 0 ends that."""
        if count == 0:
            self._lib.rd_kafka_mock_clear_request_errors(self._cluster, ctypes.c_int16(PRODUCE))
            return
        codes = (ctypes.c_int * count)(*[code] * count)
        self._lib.rd_kafka_mock_push_request_errors_array(
            self._cluster, ctypes.c_int16(PRODUCE), ctypes.c_size_t(count), codes
        )

    def obey(self, order: str) -> None:
        """Obey a command: ``down``, ``up``, ``slow 500``, ``sicken``, ``refuse 19 10``, ``create a.topic``."""
        name, *arguments = order.split()
        if name == "create":
            self.create(arguments[0])
        elif name == "slow":
            self.slow(int(arguments[0]))
        elif name == "refuse":
            self.refuse(int(arguments[0]), int(arguments[1]))
        elif name == "sicken":
            self.sicken()
        elif name == "down":
            self.down()
        elif name == "up":
            self.up()
        else:
            raise ValueError(f"no such order: {order!r}")


def main() -> None:
    cluster = Cluster()
    print(cluster.servers, flush=True)
    for line in sys.stdin:
        cluster.obey(line)
        print("done", flush=True)


if __name__ == "__main__":
    main()
