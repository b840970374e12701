"""Assert on events in tests: a session of the Penstock console, and a fixture for pytest.

One file without dependencies; copy it next to your tests. With pytest, write ``pytest_plugins = ["penstock_console"]``
in conftest.py, and use the fixture ``penstock_console``: its ``headers`` go into the requests of the program that is
tested.

Place: tests of programs that send events → HERE → the console of a Penstock service.
Rules: each session sees its own events alone, so tests run in parallel. ``expect`` waits in the service.
Not here: what a filter is (docs/FILTERS.md of Penstock), how events are sent.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

URL = "http://127.0.0.1:8193"
SPARE_S = 30.0


class ConsoleSession:
    """One test session. ``url`` is the admin address; without it CONSOLE_URL of the environment, or port 8193 of this
    host.

    ``token`` is that of ``console.token_file``, if the service has one; without it CONSOLE_TOKEN of the environment.
    ``options`` are those of the session: ``dry``, ``strict``, ``verbose``, ``max_bytes``.
    """

    def __init__(self, url: str = "", token: str = "", ttl_s: float = 3600.0, **options: Any) -> None:
        self._url = (url or os.environ.get("CONSOLE_URL", URL)).rstrip("/") + "/console/api/v1"
        self._token = token or os.environ.get("CONSOLE_TOKEN", "")
        self.id: str = self.ask("POST", "/sessions", {"ttl_s": ttl_s, **options})["id"]

    @property
    def headers(self) -> dict[str, str]:
        """Return the header that marks the requests of this session."""
        return {"X-Penstock-Test": self.id}

    @property
    def query(self) -> str:
        """Return the same for a URL, which needs no preflight: beacons, pixels."""
        return f"test={self.id}"

    def expect(self, where: str = "", **order: Any) -> list[dict[str, Any]]:
        """Wait until events have come, and return them. Raises AssertionError with the closest miss.

        Further conditions are those of ``POST /console/api/v1/expect``: schema, example, at_least, exactly, at_most,
        within_ms, settle_ms, order, none_invalid, after.
        """
        within_s = order.get("within_ms", 5000) / 1000 + SPARE_S
        answer = self.ask("POST", "/expect", {"session": self.id, "where": where, **order}, within_s)
        if not answer["matched"]:
            raise AssertionError(report(answer))
        events: list[dict[str, Any]] = answer["events"]
        return events

    def expect_none(self, where: str = "", settle_ms: int = 300, **order: Any) -> None:
        """Check that no such event has come, and that none comes for ``settle_ms``."""
        self.expect(where, exactly=0, settle_ms=settle_ms, **order)

    def chaos(self, *rules: dict[str, Any]) -> None:
        """Disturb the next requests of this session: ``chaos({"kind": "status", "status": 503, "times": 2})``."""
        self.ask("PUT", f"/sessions/{self.id}/chaos", {"rules": list(rules)})

    def summary(self) -> dict[str, Any]:
        """Return the numbers of events by verdict and by stream."""
        found: dict[str, Any] = self.ask("GET", f"/summary?session={self.id}")
        return found

    def close(self) -> None:
        """End the session."""
        self.ask("DELETE", f"/sessions/{self.id}")

    def ask(self, method: str, path: str, body: Any = None, within_s: float = SPARE_S) -> Any:
        """Return an answer of the console's interface. Raises RuntimeError with what the console says."""
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        sent = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, sent, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=within_s) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.read().decode('utf-8', 'replace')}") from None
        return json.loads(text) if text else {}


def report(answer: dict[str, Any]) -> str:
    """Return what an expectation that failed says to a person."""
    lines = [answer["why"]]
    closest = answer["closest"]
    if closest is not None:
        lines.append(f"closest ({round(closest['likeness'] * 100)} % as expected): {json.dumps(closest['event'])}")
        for miss in closest["misses"]:
            wanted = miss.get("term") or f"{miss['path']} = {json.dumps(miss['expected'])}"
            lines.append(f"  {wanted}: found {json.dumps(miss['found'])}")
    refused = [one["facts"] for one in answer["invalid"]]
    lines += [f"not accepted: {facts.get('stream', '')}: {facts.get('text', '')}" for facts in refused]
    return "\n".join(lines)


try:
    import pytest
except ImportError:
    pytest = None  # type: ignore[assignment]
else:

    @pytest.fixture
    def penstock_options() -> dict[str, Any]:
        """The options of each session; override it in a module or in conftest.py."""
        return {}

    @pytest.fixture
    def penstock_console(penstock_options: dict[str, Any]) -> Iterator[ConsoleSession]:
        """A session of its own for each test."""
        session = ConsoleSession(**penstock_options)
        yield session
        session.close()
