"""``penstock size``: its constants are the bench's, and its answers follow from them."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from bench import sizing
from server.commands.size import BUSY, MAX_SPOOL_BYTES, Load, measured, run, size
from server.config.settings import Config
from server.sink.spool import file as spool_file
from server.sink.spool import spool

LOAD = Load(events_per_s=10_000, event_bytes=500)


def sized(**changes: Any) -> Any:
    return size(msgspec.structs.replace(LOAD, **changes), measured())


def test_the_constants_are_what_the_kept_results_come_to() -> None:
    assert measured() == sizing.derive(), "run: python -m bench sizing"


def test_what_it_says_of_the_spool_is_what_the_spool_does() -> None:
    from server.commands import size as module

    assert module.OWED_SHARE == spool._OWED_SHARE
    assert module.WAL_BYTES == spool_file._MAX_WAL_BYTES
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


def test_it_is_printed_for_people_and_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(LOAD, is_json=False) == 0
    said = capsys.readouterr().out
    assert said.startswith("10,000 events/s of 500 bytes, one event per request:") and "spool.max_bytes" in said
    assert run(LOAD, is_json=True) == 0

    assert json.loads(capsys.readouterr().out)["size"]["workers"] == sized().workers
