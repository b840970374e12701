"""The state of a page in Flink: how long it is kept, and what a restart may not change."""

from __future__ import annotations

import subprocess

import msgspec

from processors.page_change.codec import LAYOUT, packed, unpacked
from processors.page_change.draft import State
from processors.page_change.page import Page
from tests.harness.running import ROOT
from tests.processors.page_change.events import NAMES

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


AFTER_A_RESTART = """
from collections import Counter
from pyflink.common import Row
from processors.page_change.codec import packed_draft
from processors.page_change.draft import Bounds
from processors.page_change.flink.functions import KeepPage
from processors.page_change.map import map_event
from processors.page_change.records import Records
from tests.processors.page_change.events import NAMES, T, event
import orjson

NEVER = -(1 << 63)  # Flink's watermark before the first.
stored, timers = [None], []

class State:
    def value(self): return stored[0]
    def update(self, value): stored[0] = value

class Context:
    def timer_service(self): return self
    def current_watermark(self): return NEVER
    def register_event_time_timer(self, at): timers.append(at)
    def get_current_key(self): return "examplewiki/7"

class Counters:
    def take(self, counts): pass

def task():
    keep = KeepPage.__new__(KeepPage)
    keep._bounds, keep._state, keep._counters = Bounds(), State(), Counters()
    keep._records = Records(NAMES, lambda value: None)
    return keep

def take(keep, source, at):
    draft = map_event(orjson.dumps(source), T + at * 1000)
    return [row[0] for row in keep.process_element(Row("", "", 7, draft.at, packed_draft(draft), ""), Context())]

first = task()
found = take(first, event("revision-create", 12, 500), 500)
found += [row[0] for row in first.on_timer(timers[-1], Context())]
second = task()
found += take(second, event("page-delete", 11, 100), 100)
found += take(second, event("revision-create", 13, 501), 501)
found += [row[0] for row in second.on_timer(timers[-1], Context())]
print(*found)
"""


def test_what_is_late_stays_late_after_a_restart(flink_python: str) -> None:
    done = subprocess.run([flink_python, "-c", AFTER_A_RESTART], cwd=ROOT, capture_output=True, text=True, timeout=200)

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [NAMES.output, NAMES.late, NAMES.output]


def test_a_state_of_an_earlier_program_is_read() -> None:
    page = Page(State(head=5), [], 7)
    earlier = bytes((LAYOUT,)) + msgspec.msgpack.encode([page.state, []])

    assert unpacked(packed(page), "wiki", 1).fired_at == 7
    assert unpacked(earlier, "wiki", 1).fired_at == -1
    assert unpacked(earlier, "wiki", 1).state == page.state


def test_the_lifetime_of_a_state_needs_no_gateway(flink_python: str) -> None:
    done = subprocess.run(
        [flink_python, "-c", IN_A_TASK_MANAGER], cwd=ROOT, capture_output=True, text=True, timeout=200
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["5000", "None", "1000"]
