"""How long Flink keeps the state of a page: the settings are made without a gateway, which no task manager has."""

from __future__ import annotations

import subprocess

from tests.harness.running import ROOT

IN_A_TASK_MANAGER = """
import pyflink.common.time

def get_gateway():
    raise AssertionError("a gateway is asked for")

pyflink.common.time.get_gateway = get_gateway
from processors.page_change.flink.functions import lifetime

found = lifetime(5_000)
cleanup = found.get_cleanup_strategies()
print(
    found.get_ttl().to_milliseconds(),
    cleanup.get_incremental_cleanup_strategy(),
    cleanup.get_rocksdb_compact_filter_cleanup_strategy().get_query_time_after_num_entries(),
)
"""


def test_the_lifetime_of_a_state_needs_no_gateway(flink_python: str) -> None:
    done = subprocess.run(
        [flink_python, "-c", IN_A_TASK_MANAGER], cwd=ROOT, capture_output=True, text=True, timeout=200
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["5000", "None", "1000"]
