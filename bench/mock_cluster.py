"""librdkafka's mock cluster in a process of its own: it has Kafka's protocol, but not its cost.

Place: started by servers; `python -m bench.mock_cluster` prints its addresses and stays until standard input ends.
Rule: three brokers on loopback, nothing on disk. It takes what it is given and keeps the last few MB of each partition.
Not here: real brokers. What a bench of the intake says about a cluster must be measured on one.
"""

from __future__ import annotations

import sys

from confluent_kafka import Producer


def main() -> None:
    """Serve until the parent closes our standard input, or is gone."""
    # The property is hidden but stable: librdkafka's own tests and those of other clients rest on it.
    holder = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 3})
    brokers = holder.list_topics(timeout=10).brokers.values()
    sys.stdout.write(",".join(f"{broker.host}:{broker.port}" for broker in brokers) + "\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
