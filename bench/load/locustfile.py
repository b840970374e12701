"""Browsers that look at pages, for watching an intake under steady load: `make load`.

Place: run by Locust, against an address that is given on the command line.
Rule: some hundred requests a second. Locust itself is the limit: no figure of it says what an intake can do.
Not here: measuring (python -m bench).
"""

from __future__ import annotations

from locust import HttpUser, constant_throughput, task

from bench.events import workload

EVENTS = workload("example").events


class Browser(HttpUser):
    """Five pages a second, one event each."""

    wait_time = constant_throughput(5)
    turn = 0

    @task
    def look(self) -> None:
        """Post one event, hasty as a browser does."""
        Browser.turn = (Browser.turn + 1) % len(EVENTS)
        headers = {"Content-Type": "application/json"}
        self.client.post("/v1/events?hasty=true", data=EVENTS[Browser.turn], headers=headers, name="single hasty")
