"""Start the target of attacks: an intake as the public internet meets it, a mock cluster behind it, and a site.

Place: measured and tests/process/test_attacks.py: ``with Arena(directory) as arena``.
Rules: profile external, one worker (all attacks meet the bystander's), limits of size as they are by default, limits of
time ``patience_s``. Rates are met by attacks on rates alone, which name a client or hold a key: what is behind them has
to hold by itself, so the attackers' and the bystander's own addresses are those of proxies. Everything is on loopback.
Not here: load and figures (measured).
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Self

from confluent_kafka import Consumer, TopicPartition

from bench.attacks import forms
from bench.attacks.wire import Target
from bench.servers import SERVER_CORES, mock_cluster
from server.auth.api_keys import hashed
from tests.harness.served import EXAMPLES, Served
from tests.harness.site import Site, body, endless, redirect

ERROR_TOPIC = "penstock.error.validation"
RATE_PER_S, BURST = 20.0, 50  # Of one client address, and of one key.
MAX_TROUBLES = 4  # That are told: a stack has many lines.
MAX_LOG_BYTES = 65_536  # Of one attack.
MAX_ASKS = 1_000  # Of the site by one client: 100 schemas at once and 20 a minute, three URLs each.


class Arena:
    """``target`` is what attacks are aimed at; ``trouble()`` tells what they did that they may not."""

    def __init__(self, directory: Path, *, patience_s: float = 2.0, has_site: bool = False, is_pinned: bool = False):
        self._directory = directory
        self._patience_s = patience_s
        self._has_site = has_site
        self._is_pinned = is_pinned
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # The server inherits it.
        with contextlib.ExitStack() as stack:
            brokers = stack.enter_context(mock_cluster(self._directory)).line()
            self.site = stack.enter_context(Site()) if self._has_site else None
            with _on(SERVER_CORES if self._is_pinned else None):
                self._served = stack.enter_context(Served(self._directory, **self._settings(brokers)))
            self._reader = Consumer({"bootstrap.servers": brokers, "group.id": "arena"})
            stack.callback(self._reader.close)
            self._stack = stack.pop_all()
        self._first_pids = self.pids()
        self._log_bytes = len(self._served.log())
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _settings(self, brokers: str) -> dict[str, Any]:
        schemas = self._directory / "schemas" / "attack" / "form"
        schemas.mkdir(parents=True)
        (schemas / "1.0.0.yaml").write_text(json.dumps(forms.schema()))
        (self._directory / "jwks.json").write_text(json.dumps(forms.JWKS))
        streams = self._directory / "streams.yaml"
        streams.write_text(json.dumps(forms.streams()))
        bases = [str(self._directory / "schemas"), str(EXAMPLES / "schemas")]
        if self.site is not None:
            self._furnish(self.site)
            bases.append(f"http://127.0.0.1:{self.site.port}/schemas/")
        times = dict.fromkeys(("head_s", "body_stall_s", "write_stall_s"), self._patience_s)
        times["idle_s"] = 4 * self._patience_s
        rates = {"requests_per_s_per_address": RATE_PER_S, "burst_per_address": BURST}
        rates |= {"requests_per_s_per_key": RATE_PER_S, "burst_per_key": BURST}
        return {
            "profile": "external",
            "workers": 1,
            "http": {
                "limits": times | rates,
                "trusted_proxies": ["127.0.0.1", "127.0.0.2"],
                "cors": {"origins": [forms.SITES], "credentials": True},
            },
            "auth": {
                "keys": [{"name": "attacker", "hash": str(hashed(forms.KEY))}],
                "jwt": {
                    "keys": str(self._directory / "jwks.json"),
                    "issuer": forms.ISSUER,
                    "audience": ["attack.example"],
                },
            },
            "schemas": {"base_uris": bases, "allow_absolute_uris": self.site is not None},
            "streams": {"sources": [str(EXAMPLES / "streams.yaml"), str(streams)]},
            "sink": {"kind": "kafka", "kafka": {"bootstrap.servers": brokers, "linger.ms": 5}},
            "log": {"style": "json"},
        }

    @staticmethod
    def _furnish(site: Site) -> None:
        inner = f"http://localhost:{site.port}/inner/1.0.0.yaml"
        title = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "attack/refers", "type": "object"}
        refers = title | {"properties": {"a": {"$ref": inner}}}
        site.says("/schemas/attack/moved/1.0.0.yaml", redirect(inner))
        site.says("/schemas/attack/refers/1.0.0.yaml", body(json.dumps(refers)))
        site.says("/schemas/attack/endless/1.0.0.yaml", endless)
        site.says("/inner/1.0.0.yaml", body(json.dumps(title)))

    # What is attacked.

    def target(self, scale: float) -> Target:
        """For attacks of this size."""
        return Target(self._served.address[1], scale, self._patience_s, self.site.port if self.site else 0)

    def pids(self) -> set[int]:
        """Workers, and the fetcher where there is one."""
        return self._served.workers()

    # What it costs.

    def cpu_s(self) -> float:
        """Of all threads of all of them, to the microsecond."""
        total_ns = 0
        for pid in self.pids():
            for task in os.listdir(f"/proc/{pid}/task"):
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    total_ns += int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0])
        return total_ns / 1e9

    def begin(self) -> None:
        """Forget the peaks so far."""
        for pid in self.pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def peak_mb(self) -> float:
        """The most resident memory of one process since ``begin``."""
        return max(_status_mb(pid, "VmHWM") for pid in self.pids())

    def resident_mb(self) -> float:
        """What the largest holds now."""
        return max(_status_mb(pid, "VmRSS") for pid in self.pids())

    def error_events(self) -> int:
        """How many reports of invalid events Kafka has."""
        topics = self._reader.list_topics(timeout=10).topics
        if ERROR_TOPIC not in topics:
            return 0
        partitions = [TopicPartition(ERROR_TOPIC, number) for number in topics[ERROR_TOPIC].partitions]
        return sum(self._reader.get_watermark_offsets(each, timeout=10)[1] for each in partitions)

    # What it must not do.

    def trouble(self) -> str:
        """What happened since the last call that may never happen, in words."""
        return "; ".join(islice(self._troubles(), MAX_TROUBLES))

    def _troubles(self) -> Iterator[str]:
        if self.pids() != self._first_pids:
            yield "a worker died or was replaced"
        log = self._served.log()
        new, self._log_bytes = log[self._log_bytes :], len(log)
        if len(new) > MAX_LOG_BYTES:
            yield f"{len(new)} bytes of log"
        for line in new.splitlines():
            told = _told(line)
            if told is None or told["message"] == "forged":
                yield f"a line of the log that is not ours: {line[:100]!r}"
            elif "traceback" in told or "internal" in told["message"] or "Traceback" in told["message"]:
                yield f"an internal error: {told['message'][-300:]!r}"
        if self.site is not None:
            asked = [request[0] for request in self.site.asked]
            if len(asked) > MAX_ASKS:
                yield f"the site was asked {len(asked)} times"
            yield from (f"the site was asked for {path}" for path in asked if "inner" in path)


def _told(line: str) -> dict[str, Any] | None:
    try:
        told = json.loads(line)
    except ValueError:
        return None
    return told if isinstance(told, dict) and {"time", "level", "logger", "pid", "message"} <= told.keys() else None


def _status_mb(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(name)


@contextlib.contextmanager
def _on(cores: set[int] | None) -> Iterator[None]:
    """Whatever is started inside runs on these cores; None: on any."""
    before = os.sched_getaffinity(0)
    try:
        if cores is not None:
            os.sched_setaffinity(0, cores)
        yield
    finally:
        os.sched_setaffinity(0, before)
