"""``penstock size``: its constants are the bench's, and its answers follow from them."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from bench import sizing
from bench.scale.fleet import simulate
from bench.scale.host import Fleet
from server.commands.size import BUSY, MAX_SPOOL_BYTES, MAX_WORKERS, Load, measured, run, size
from server.config.settings import Config
from server.sink.spool import file as spool_file
from server.sink.spool import pace, spool

LOAD = Load(events_per_s=10_000, event_bytes=500)


def sized(**changes: Any) -> Any:
    return size(msgspec.structs.replace(LOAD, **changes), measured())


def test_the_constants_are_what_the_kept_results_come_to() -> None:
    assert measured() == sizing.derive(), "run: python -m bench sizing"


def test_what_it_says_of_the_spool_is_what_the_spool_does() -> None:
    from server.commands import size as module

    assert module.OWED_SHARE == spool._OWED_SHARE
    assert module.WAL_BYTES == spool_file._MAX_WAL_BYTES
    assert pytest.approx(pace.LOAD - 1) == module.REPLAY_GAIN
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"spool": {"max_bytes": MAX_SPOOL_BYTES + 1}}, Config)
    msgspec.convert({"spool": {"max_bytes": MAX_SPOOL_BYTES}}, Config)


def test_workers_have_room_for_the_load() -> None:
    found = sized()

    assert found.workers * BUSY >= found.cores
    assert found.workers % found.hosts == 0


def test_batches_cost_less_and_larger_events_more() -> None:
    assert sized(batch=100).cpu_us_per_event < sized().cpu_us_per_event < sized(event_bytes=5_000).cpu_us_per_event


def test_a_longer_outage_takes_more_disk_and_in_the_end_more_hosts() -> None:
    short, long = sized(outage_min=1.0), sized(outage_min=600.0)

    assert short.hosts < long.hosts
    assert long.spool_bytes_per_host <= MAX_SPOOL_BYTES
    assert long.spool_bytes_per_host * long.hosts > 100 * short.spool_bytes_per_host * short.hosts


def test_each_worker_talks_to_each_broker() -> None:
    few, many = sized(brokers=3), sized(brokers=30)

    assert many.broker_connections - few.broker_connections == 27 * few.workers


def test_many_connections_per_broker_are_said_to_be_many(capsys: pytest.CaptureFixture[str]) -> None:
    fleet = msgspec.structs.replace(LOAD, events_per_s=10e6, brokers=60)
    assert run(fleet, is_json=False) == 0

    assert f"{sized(events_per_s=10e6, brokers=60).connections_per_broker} per broker: use pools" in _printed(capsys)
    assert run(LOAD, is_json=False) == 0
    assert "per broker\n" in _printed(capsys)


def _printed(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


@pytest.mark.parametrize("capacity", [1.2, 1.5, 1.8, 3.0])
@pytest.mark.parametrize("outage_min", [1.0, 5.0])
def test_the_way_back_is_that_of_the_simulation(capacity: float, outage_min: float) -> None:
    """The load of a host is one that a single worker can replay."""
    found = sized(events_per_s=5_000, cores=32, outage_min=outage_min, brokers_per_s=5_000 * capacity)
    outcome = simulate(Fleet(per_s=5_000.0, capacity=capacity, outage_s=outage_min * 60))

    assert outcome.empty_s == pytest.approx(found.replay_min * 60, rel=0.1)


@pytest.mark.parametrize(
    ("brokers_per_s", "said"),
    [
        (None, "spools empty 6 min after the outage, if the brokers take 18,000 events/s"),
        (
            12_000.0,
            "spools empty 25 min after the outage, with brokers that take 12,000 events/s; 18,000 events/s would be",
        ),
        (50_000.0, "spools empty 6 min after the outage, with brokers that take 50,000 events/s\n"),
        (
            10_000.0,
            "none: brokers that take 10,000 events/s have nothing to spare for what has waited; 18,000 events/s",
        ),
    ],
)
def test_it_says_what_the_way_back_takes(
    brokers_per_s: float | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(msgspec.structs.replace(LOAD, outage_min=5.0, brokers_per_s=brokers_per_s), is_json=False) == 0

    assert f"way back  {said}" in _printed(capsys)


def test_it_is_printed_for_people_and_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(LOAD, is_json=False) == 0
    said = capsys.readouterr().out
    assert said.startswith("10,000 events/s of 500 bytes, one event per request:") and "spool.max_bytes" in said
    assert run(LOAD, is_json=True) == 0

    assert json.loads(capsys.readouterr().out)["size"]["workers"] == sized().workers


def test_what_it_says_can_be_set() -> None:
    least = sized(events_per_s=0.001, event_bytes=1)
    most = sized(events_per_s=1e8, cores=100_000, outage_min=0.001)
    msgspec.convert({"workers": MAX_WORKERS, "spool": {"max_bytes": least.spool_bytes_per_host}}, Config)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"workers": MAX_WORKERS + 1}, Config)

    assert most.workers / most.hosts <= MAX_WORKERS
