"""The users that really come: browsers, apps that were offline, backends, and some that send what they should not.

Place: run by Locust: `make load`, `make load-ui`, `python -m bench.load.check`; shapes says how many come when.
Rules: every answer that a user did not expect is a failure, and any failure is one too many unless `--max-unexpected`
says otherwise; what a misbehaving user is refused with is expected. Events are those of the project's own schemas.
Not here: measuring. Locust itself is the limit, at some hundred requests a second for each of its processes.
"""

from __future__ import annotations

import json
import random
from typing import Any

from locust import FastHttpUser, between, constant_throughput, events, task

JSON = {"Content-Type": "application/json"}
TEXT = {"Content-Type": "text/plain;charset=UTF-8"}  # navigator.sendBeacon with a string.
TOO_LARGE_BYTES = 4_400_000  # Above http.limits.max_body_bytes, and what is discarded before a connection is cut.


def page_view(visit: str, page: str) -> dict[str, Any]:
    """One event of a browser."""
    meta = {"stream": "web.page_view"}
    load_ms = random.randrange(20, 4000)
    return {"$schema": "/web/page_view/1.1.0", "meta": meta, "page": page, "load_ms": load_ms, "visit": visit}


def tick(number: int) -> dict[str, Any]:
    """One event of an app."""
    return {"$schema": "/app/tick/1.0.0", "meta": {"stream": f"app.tick.android-{number % 3}"}, "count": number}


def order(order_id: str, status: str) -> dict[str, Any]:
    """One event of a backend; its stream is keyed by ``order_id``."""
    meta = {"stream": "shop.order"}
    total = random.randrange(1000) / 4
    return {"$schema": "/shop/order/1.0.0", "meta": meta, "order_id": order_id, "status": status, "total": total}


class Sender(FastHttpUser):
    """What all of them do: send, and be surprised by any other answer."""

    abstract = True

    def send(self, name: str, path: str, body: str, headers: dict[str, str], expected: int) -> None:
        """Post ``body``; any answer but ``expected`` is a failure."""
        with self.client.post(path, data=body, headers=headers, name=name, catch_response=True) as answer:
            if answer.status_code == expected:
                answer.success()
            else:
                answer.failure(f"{answer.status_code} instead of {expected}: {(answer.text or '')[:200]}")


class Browser(Sender):
    """Looks at some pages, then hides the last one and sends what it has kept, as a beacon."""

    weight = 6
    wait_time = between(0.2, 2)

    @task
    def visit(self) -> None:
        """A session: events as they happen, and a beacon when the page is hidden."""
        visit = f"{random.getrandbits(80):020x}"
        for number in range(random.randrange(1, 4)):
            event = page_view(visit, f"/articles/{number}")
            self.send("browser: an event", "/v1/events?hasty=true", json.dumps(event), JSON, 202)
            self.wait()
        kept = [page_view(visit, f"/articles/hidden-{number}") for number in range(random.randrange(1, 6))]
        self.send("browser: beacon on page hide", "/v1/beacon", json.dumps(kept), TEXT, 202)


class App(Sender):
    """Was offline for a while, and sends what it kept meanwhile in a few batches, one behind the other."""

    weight = 2
    wait_time = between(2, 6)

    @task
    def come_back(self) -> None:
        """Everything of the time without a network."""
        for _ in range(random.randrange(1, 5)):
            kept = [tick(number) for number in range(50)]
            self.send("app: a batch of 50", "/v1/events", json.dumps(kept), JSON, 201)


class Backend(Sender):
    """Sends batches of 20 keyed events and waits until they are kept."""

    weight = 2
    wait_time = constant_throughput(4)

    @task
    def report(self) -> None:
        """Ten orders, each twice: the order of events of one key is the broker's to keep."""
        names = [f"o-{random.randrange(10**9)}" for _ in range(10)]
        batch = [order(name, status) for name in names for status in ("placed", "paid")]
        self.send("backend: a keyed batch of 20", "/v1/events", json.dumps(batch), JSON, 201)


class Misbehaving(Sender):
    """Sends what it should not, and must be told so."""

    weight = 1
    wait_time = between(0.5, 2)

    @task(4)
    def send_invalid(self) -> None:
        """A member of the wrong type."""
        event = page_view("0" * 20, "/articles/1") | {"load_ms": "slow"}
        self.send("misbehaving: invalid", "/v1/events", json.dumps(event), JSON, 400)

    @task(4)
    def send_half(self) -> None:
        """One of three is invalid."""
        batch = [tick(1), tick(2), tick(3) | {"count": -1}]
        self.send("misbehaving: one of three invalid", "/v1/events", json.dumps(batch), JSON, 207)

    @task(2)
    def send_no_json(self) -> None:
        """Cut off."""
        self.send("misbehaving: no JSON", "/v1/events", json.dumps(tick(1))[:-3], JSON, 400)

    @task(1)
    def send_too_much(self) -> None:
        """Send a body above the limit."""
        body = json.dumps(tick(1)) + " " * TOO_LARGE_BYTES
        self.send("misbehaving: too large", "/v1/events", body, JSON, 413)


@events.init_command_line_parser.add_listener
def add_options(parser: Any) -> None:
    """The thresholds."""
    parser.add_argument("--max-unexpected", type=float, default=0.0, help="share of unexpected answers that passes")
    parser.add_argument("--max-p99-ms", type=float, default=2000.0, help="of all answers; 0: not judged")


@events.quitting.add_listener
def judge(environment: Any, **_: Any) -> None:
    """The exit code: 1 when a threshold is passed, or nothing was sent at all."""
    options, total = environment.parsed_options, environment.stats.total
    if environment.runner is not None and type(environment.runner).__name__ == "WorkerRunner":
        return  # The master judges.
    reasons = []
    if not total.num_requests:
        reasons.append("nothing was sent")
    if total.fail_ratio > options.max_unexpected:
        reasons.append(f"{total.num_failures} of {total.num_requests} answers were not the expected ones")
    p99_ms = total.get_response_time_percentile(0.99) or 0
    if 0 < options.max_p99_ms < p99_ms:
        reasons.append(f"p99 is {p99_ms:.0f} ms, more than {options.max_p99_ms:.0f}")
    environment.process_exit_code = 1 if reasons else 0
    print("load: FAILED: " + "; ".join(reasons) if reasons else "load: passed")
