"""The canary process in front of a real Kafka and of EventStreams: the first run after a fault names its stage."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from confluent_kafka.admin import AdminClient

from server.canary.state import CanaryState, Row, read_state
from tests.harness.broker import Kafka, free_ports
from tests.harness.served import Served
from tests.harness.site import Site, body
from tests.harness.streaming import Intake, Streams
from tests.harness.topics import create
from tests.kafka.test_canary_faults import STREAM
from tests.process.test_canary import STREAMS, relay
from tests.process.test_canary_faults import after, late, spoil_example
from tests.process.test_canary_faults import schemas_of as copied_schemas

PERIOD_S = 6.0


class Scene(NamedTuple):
    """Everything that a fault may break."""

    service: Served
    streams: Streams
    site: Site
    kafka: Kafka
    prefix: str


def go_down(scene: Scene) -> None:
    scene.site.stop()


def lose(scene: Scene) -> None:
    scene.site.says("/v1/events", body("", status=201))


def delete_topic(scene: Scene) -> None:
    admin = AdminClient({"bootstrap.servers": scene.kafka.servers, "log_level": 0})
    admin.delete_topics([scene.prefix + STREAM])[scene.prefix + STREAM].result(60)


def hang_broker(scene: Scene) -> None:
    scene.kafka.hang()


def stop_reading(scene: Scene) -> None:
    """EventStreams keeps its connections, and sends nothing."""
    for pid in (scene.streams.pid, *scene.streams.workers()):  # The master first, which would replace its workers.
        os.kill(pid, signal.SIGSTOP)


def close_reading(scene: Scene) -> None:
    scene.streams.signal(signal.SIGKILL)
    scene.streams.process.wait()


def set_clock(scene: Scene) -> None:
    scene.site.says("/v1/events", late(scene.service))


def spoil(scene: Scene) -> None:
    spoil_example(scene.service, scene.site)


FAULTS = [
    (go_down, "http"),
    (lose, "kafka"),
    (delete_topic, "kafka"),
    (hang_broker, "kafka"),
    (stop_reading, "eventstreams"),
    (close_reading, "eventstreams"),
    (set_clock, "clock"),
    (spoil, "example"),
]


@pytest.mark.kafka
@pytest.mark.parametrize(("fault", "stage"), FAULTS)
def test_a_fault_is_named_by_the_first_run_after_it(
    kafka_broker: Kafka, topic: str, tmp_path: Path, fault: Callable[[Scene], None], stage: str
) -> None:
    prefix = f"{topic}."
    create(kafka_broker.servers, *(prefix + name for name in STREAMS))
    (port,) = free_ports(1)
    with Site() as site:
        services: list[Served] = []
        site.otherwise = relay(services)
        given = settings(kafka_broker, prefix, site, port) | {"schemas": copied_schemas(tmp_path)}
        with Intake(tmp_path, **given) as service, Streams(tmp_path, **given) as streams:
            services.append(service)
            directory = tmp_path / "var" / "canary"
            good = service.until(lambda: is_good(read_state(directory)))
            assert good is not None
            try:
                fault(Scene(service, streams, site, kafka_broker, prefix))
                before = read_state(directory)
                assert before is not None
                state = service.until(lambda: after(directory, before.runs + 1))
            finally:
                kafka_broker.go_on()
                go_on(streams)
                if fault is go_down:
                    site.start_again()

            assert state is not None
            row = next(row for row in state.rows if row.stream == STREAM)
            assert row.stage == stage, row
            assert row.success_s is not None and row.success_s <= row.tried_s


def settings(kafka: Kafka, prefix: str, site: Site, port: int) -> dict[str, Any]:
    own = {"bootstrap.servers": kafka.servers, "message.timeout.ms": 4000, "allow.auto.create.topics": False}
    times = dict.fromkeys(("period_s", "run_s", "roundtrip_s", "request_s"), PERIOD_S)
    url = f"http://127.0.0.1:{port}"
    return {
        "workers": 1,
        "sink": {"kind": "kafka", "topic_prefix": prefix, "kafka": own},
        "canary": {"enabled": True, "targets": {"here": site.url()}, "eventstreams_url": url, **times},
        "eventstreams": {"listen": [f"127.0.0.1:{port}"], "admin_listen": "127.0.0.1:0"},
    }


def is_good(state: CanaryState | None) -> list[Row] | None:
    return state.rows if state is not None and state.is_good else None


def go_on(streams: Streams) -> None:
    if streams.process.poll() is None:
        for pid in (streams.pid, *streams.workers()):
            os.kill(pid, signal.SIGCONT)
