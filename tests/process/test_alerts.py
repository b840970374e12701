"""Each alert fires in its fault and clears after it: a real Prometheus, a real service, real faults.

The rules are those that are shipped, with every time in them ``FASTER`` times shorter (deploy/prometheus/alerts.py): an
hour is 24 s. Faults that do not hide one another happen at once. Nothing here depends on how long anything takes: what
is waited for is a state, and a fault lasts until it is seen. Only the bugs of PenstockEventsUnaccounted and
PenstockTaskFailing are made (forgetful).
Canaries and plausibility alarms are off here: test_canary and test_plausibility make their faults and look at the
metrics that their alerts compare.
"""

from __future__ import annotations

import http.client
import json
import os
import runpy
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest

from tests.deploy.test_monitoring import PROMETHEUS, rules
from tests.harness import site as behaviours
from tests.harness.broker import MockCluster
from tests.harness.running import eventually
from tests.harness.served import Served
from tests.harness.site import Site
from tests.process.fetched import TICK, fetcher_of, settings, tick
from tests.process.forgetful import FORGOTTEN
from tests.process.prometheus import Prometheus
from tests.process.scraped import Scrape

FASTER = 150
EVERY = "400ms"  # Of scrapes and of rules: the shortest window, 5 min, becomes 2 s.
STATE_S = 90.0  # What comes within seconds on an idle machine may take so long.

# Longer than twice a stall of the brokers, which would count as away after half of it; shorter than answer_s.
KAFKA = {"message.timeout.ms": 6000, "statistics.interval.ms": 300}
SPOOL_BYTES = 1_000_000
BODY_BYTES = 20_000
STALL_S, PAUSE_S = 1.1, 0.1  # Of brokers and workers: within each window of the rule something is slow.


class Forgetful(Served):
    """The service with two bugs. They are in the place of a method of its sink, which compiled code calls directly."""

    module = "tests.process.forgetful"
    environ: ClassVar = {"PENSTOCK_PURE": "1"}


class Sender(threading.Thread):
    """Posts one body again and again, on one connection, whatever is answered, until the ``with`` block ends."""

    def __init__(self, service: Served, event: Any, path: str = "/v1/events", every_s: float = 0.05) -> None:
        super().__init__(daemon=True)
        self._address = service.address
        self._path = path
        self._every_s = every_s
        self._body = json.dumps(event)
        self._is_over = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self.join()

    def run(self) -> None:
        connection = http.client.HTTPConnection(*self._address, timeout=15)
        while not self._is_over.wait(self._every_s):
            try:
                connection.request("POST", self._path, self._body, {"Content-Type": "application/json"})
                connection.getresponse().read()
            except (OSError, http.client.HTTPException):  # Workers are killed here, and limits close connections.
                connection.close()
        connection.close()


class Watch:
    """What Prometheus says of the alerts."""

    def __init__(self, prometheus: Prometheus, or_show: Callable[[], str]) -> None:
        self._prometheus = prometheus
        self._or_show = or_show
        self._fired: set[str] = set()

    def forget(self) -> None:
        """Only what fires from now on counts."""
        self._fired.clear()

    def have_fired(self, *names: str) -> bool:
        """Whether all of these have fired, not necessarily at once."""
        self._fired |= {name for name, state in self._prometheus.alerts().items() if state == "firing"}
        return {f"Penstock{name}" for name in names} <= self._fired

    def until_fired(self, *names: str) -> None:
        """Wait for it."""
        eventually(lambda: self.have_fired(*names), STATE_S, lambda: self._show(f"fired: {sorted(self._fired)}"))

    def until_clear(self, *names: str) -> None:
        """Wait until these are inactive, all of them without names."""
        wanted = {f"Penstock{name}" for name in names} or {rule["alert"] for rule in rules()}

        def is_clear() -> bool:
            states = self._prometheus.alerts()
            return {states.get(name) for name in wanted} == {"inactive"}

        eventually(is_clear, STATE_S, lambda: self._show(f"not clear: {self._prometheus.alerts()}"))

    def until_usual(self, name: str) -> None:
        """Wait until what the alert takes for usual, before its ``unless``, has been so for long enough."""
        (expression,) = [rule["query"] for rule in self._prometheus.rules() if rule["name"] == f"Penstock{name}"]
        usual = expression.partition(" unless ")[0]
        eventually(lambda: self._prometheus.finds(usual), STATE_S, lambda: self._show(f"not found: {usual}"))

    def _show(self, what: str) -> str:
        return f"{what}\n{self._or_show()}"


@contextmanager
def hung(cluster: MockCluster) -> Iterator[None]:
    """While the brokers keep their connections and do nothing."""
    cluster.hang()
    try:
        yield
    finally:
        cluster.go_on()


@contextmanager
def stopped(service: Served) -> Iterator[None]:
    """While no worker gets any time."""
    workers = service.workers()
    try:
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)


def stall(service: Served, cluster: MockCluster, is_seen: Callable[[], bool]) -> None:
    """Brokers stall again and again, each time for longer than a sender should wait, and workers with them."""

    def stall_and_look() -> bool:
        with hung(cluster):
            time.sleep(STALL_S / 2)
            with stopped(service):
                time.sleep(STALL_S / 2)
        time.sleep(PAUSE_S)
        return is_seen()

    service.until(stall_and_look, STATE_S)


def kill_children(service: Served, is_seen: Callable[[], bool]) -> None:
    """Workers are killed as soon as they serve (one that never does ends the service), and the fetcher each time."""

    def kill_and_look() -> bool:
        is_ready = Scrape.of(service).value("penstock_workers", state="ready") > 0
        for pid in {fetcher_of(service), *(service.workers() if is_ready else ())} - {0}:
            with suppress(ProcessLookupError):  # The one before it, which has just been reaped.
                os.kill(pid, signal.SIGKILL)
        return is_seen()

    service.until(kill_and_look, STATE_S)


HASTY = "/v1/events?hasty=true"
INVALID = tick("app.one") | {"count": "x"}
MANY = [tick("app.one")] * 50
TOO_LARGE = tick("app.one") | {"text": "x" * BODY_BYTES}
SENDERS = 60  # One request in 17 is timed: some are in each stall.


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[tuple[Served, MockCluster, Site]]:
    """A service whose brokers, whose source of streams and whose workers can fail."""
    cluster = MockCluster()
    with Site() as site:
        site.says("/api", behaviours.streams(**dict.fromkeys(("app.one", "app.busy", FORGOTTEN), TICK)))
        wanted = settings(
            site,
            workers=1,
            sink={"kind": "kafka", "kafka": KAFKA | {"bootstrap.servers": cluster.servers}},
            spool={"max_bytes": SPOOL_BYTES},
            http={"limits": {"max_body_bytes": BODY_BYTES, "max_event_bytes": BODY_BYTES}},
            process={"backoff_max_s": 1.0, "deaths_in_window": 10_000},
            intake={"error_stream": ""},
        )
        try:
            with Forgetful(tmp_path, **wanted) as service:
                yield service, cluster, site
        finally:
            cluster.kill()


def test_each_alert_fires_in_its_fault_and_clears_after_it(
    faulty: tuple[Served, MockCluster, Site], tmp_path: Path
) -> None:
    service, cluster, site = faulty
    host, port = service.admin_address
    shipped = runpy.run_path(str(PROMETHEUS / "alerts.py"))["render"]
    with Prometheus(tmp_path, f"{host}:{port}", shipped(FASTER), EVERY) as prometheus:
        watch = Watch(prometheus, service.log)
        busy = Sender(service, tick("app.busy"), HASTY)
        with busy:
            watch.until_clear()
            fired = much_fails(service, cluster, site, watch)
            fired |= disk_goes(service, watch)
            fired |= reload_is_refused(service, watch)
            watch.until_clear()
            watch.until_usual("StreamSilent")
        fired |= senders_wait(service, cluster, watch)
        with Sender(service, tick("app.busy"), HASTY):
            watch.until_clear()

    elsewhere = {f"PenstockCanary{name}" for name in ("Late", "Lost", "Silent")}
    elsewhere |= {"PenstockImplausible", "PenstockImplausiblePage"}
    elsewhere |= {"PenstockSamplesLate"}  # Ten minutes without samples: promtool tests the rule.
    elsewhere |= {"PenstockExpectationFailed"}  # test_expectations looks at its metric.
    elsewhere |= {"PenstockSpoolBehind"}  # It takes more keyed events than a host can replay: promtool tests the rule.
    assert {f"Penstock{name}" for name in fired} == {rule["alert"] for rule in rules()} - elsewhere


def much_fails(service: Served, cluster: MockCluster, site: Site, watch: Watch) -> set[str]:
    """Brokers hang, workers are killed, streams cannot be read, senders send nonsense. Returns the alerts of that."""
    of_a_bug, of_kills = ("EventsUnaccounted", "TaskFailing"), ("EventsLost", "WorkersDying", "Down")
    of_a_flood = ("SpoolFilling",)
    of_the_rest = ("BrokerTrouble", "SpoolOld", "CatalogStale", "InvalidShareHigh", "TurningAway")
    streams = site.behaviours["/api"]
    site.says("/api", behaviours.status(500))
    with Sender(service, INVALID, HASTY), Sender(service, TOO_LARGE):
        with Sender(service, tick(FORGOTTEN), HASTY):
            watch.until_fired(*of_a_bug)
        with hung(cluster):
            # What hasty senders were promised is in the memory of the worker alone when it is killed.
            service.until(lambda: Scrape.of(service).value("penstock_sink_outstanding_events") > 0)
            kill_children(service, lambda: watch.have_fired(*of_kills))
            watch.until_clear(*of_a_bug)  # The worker with the bug has gone.
            with Sender(service, MANY, HASTY, 0.1):  # No longer: the spool has to have room for the others.
                watch.until_fired(*of_a_flood)
            watch.until_fired(*of_the_rest)
    site.says("/api", streams)
    return {*of_a_bug, *of_kills, *of_a_flood, *of_the_rest}


def disk_goes(service: Served, watch: Watch) -> set[str]:
    """The directory of the spool is replaced by a file for a while. Returns the alert of that."""
    spool = service.settings_file.parent / "var" / "spool"
    away = spool.with_name("away")
    spool.rename(away)
    spool.touch()
    watch.until_fired("SpoolUnusable", "SpoolFailing")
    spool.unlink()
    away.rename(spool)
    return {"SpoolUnusable", "SpoolFailing"}


def reload_is_refused(service: Served, watch: Watch) -> set[str]:
    """The settings have a mistake for a while. Returns the alert of that."""
    good = service.settings_file.read_text()
    service.settings_file.write_text('{"workerz": 1}')

    def reload_and_look() -> bool:
        service.signal(signal.SIGHUP)
        return watch.have_fired("ReloadRefused")

    service.until(reload_and_look, STATE_S)
    service.settings_file.write_text(good)
    return {"ReloadRefused"}


def senders_wait(service: Served, cluster: MockCluster, watch: Watch) -> set[str]:
    """Brokers and workers stall, and the sender that was always there has gone. Returns the alerts of that."""
    expected = ("Slow", "StreamSilent")
    watch.forget()
    with ExitStack() as stack:
        for _ in range(SENDERS):
            stack.enter_context(Sender(service, tick("app.one")))
        stall(service, cluster, lambda: watch.have_fired(*expected))
    return set(expected)
