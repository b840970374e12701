"""What `submit` costs: `python clients/python/bench/submit.py URL [EVENTS]`, against an intake that runs.

It prints submits per second and the times of single calls while the background thread sends, on a wall clock and on the
clock of the thread, which leaves out what other processes of the machine take; then the CPU of the whole process for
each event, sending included. The first 2,000 events warm up.
"""

from __future__ import annotations

import sys
import time

from penstock_client import Intake

EVENT = {
    "$schema": "/web/page_view/1.1.0",
    "meta": {"request_id": "0190a7a2-6b1e-7c3a-9f00-000000000002"},
    "page": "/wiki/Main_Page",
    "referrer": "https://example.org/" + "x" * 700,
    "load_ms": 184,
    "visit": "k3v9x0q2",
}
STREAM = "web.page_view"


def main(url: str, count: int) -> None:
    """Measure."""
    intake = Intake(url, max_queue_events=count + 1, max_queue_bytes=1 << 30)  # Nothing is dropped, whatever waits.
    for _ in range(2000):
        intake.submit(STREAM, EVENT)
    intake.flush(60)
    clock, own_clock = time.perf_counter, time.thread_time
    wall, own = [0.0] * count, [0.0] * count
    cpu_s, began_s = time.process_time(), clock()
    for number in range(count):
        own_s, wall_s = own_clock(), clock()
        intake.submit(STREAM, EVENT)
        wall[number] = clock() - wall_s
        own[number] = own_clock() - own_s
    submitted_s = clock() - began_s
    result = intake.close(120)
    cpu_s = time.process_time() - cpu_s
    for name, times in (("wall clock", sorted(wall)), ("thread's CPU", sorted(own))):
        p50, p99, p999 = (times[int(count * share)] * 1e6 for share in (0.5, 0.99, 0.999))
        print(f"submit, {name:12}: p50 {p50:.1f} µs, p99 {p99:.1f} µs, p99.9 {p999:.1f} µs")
    print(f"{count / submitted_s:,.0f} submits/s; {cpu_s / count * 1e6:.1f} µs CPU an event, sending included")
    print(result)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100_000)
