"""However much is submitted, the client holds no more than its bounds."""

from __future__ import annotations

import tracemalloc

import pytest

from penstock_client import Intake
from penstock_client.queue import OVERHEAD_BYTES
from penstock_client.testing import HANGS, FaultServer
from tests.clients.python.conftest import EVENT, STREAM

MAX_BYTES = 2 << 20


@pytest.mark.parametrize("size", [10, 1000, 50_000])
@pytest.mark.parametrize("on_full", ["drop_oldest", "drop_new"])
def test_memory_is_bounded_while_the_intake_hangs(size: int, on_full: str, faulty: FaultServer) -> None:
    """The bound counts what an event takes beside its body, so that small events do not break it."""
    faulty.faults.extend([HANGS] * 50)
    event = EVENT | {"page": "/" + "x" * size}
    intake = Intake(faulty.url, max_queue_bytes=MAX_BYTES, on_full=on_full)  # type: ignore[arg-type]
    intake.submit(STREAM, event)
    faulty.until(lambda: bool(faulty.seen))
    count = 3 * MAX_BYTES // (size + OVERHEAD_BYTES)
    tracemalloc.start()
    try:
        for _ in range(count):
            intake.submit(STREAM, event)
        held, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    health = intake.health()
    intake.close(0)

    assert health.dropped["queue_full"] >= count // 2
    assert health.queued_bytes <= MAX_BYTES
    # Beside the queue there are the objects of one call, the log and the test's own.
    assert held <= most <= 1.25 * MAX_BYTES


def test_nothing_is_left_of_events_that_were_sent(faulty: FaultServer) -> None:
    intake = Intake(faulty.url, max_batch_events=100)
    tickets = [intake.submit(STREAM, EVENT) for _ in range(1000)]
    intake.flush(60)
    health = intake.health()
    intake.close()

    assert (health.queued_events, health.queued_bytes) == (0, 0)
    assert all(ticket.body is None for ticket in tickets)
