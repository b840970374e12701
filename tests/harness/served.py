"""The real service in a directory of its own, for tests: ``with Served(tmp_path) as service``.

It runs ``python -m server serve -c FILE`` on a free loopback port, with the example schemas and streams and the
embedded sink, and is ready when the ``with`` block begins. Tests use ``service.address``, ``.pid``, ``.workers()``,
``.log()``, ``.says(regex)``, ``.signal(…)``, ``.exit_code()`` and ``.events()``.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from tests.harness.running import ROOT, Running

EXAMPLES = ROOT / "server" / "examples"
READY = r"ready: generation (\d+)"
TAKEN_UP = r"streams are now those of"


class Served(Running):
    """One service. ``settings`` are merged into the test's own, section by section."""

    module = "server"  # The module that ``python -m`` runs.
    command = "serve"
    environ: ClassVar[Mapping[str, str]] = {}  # What it has besides that of the tests.

    def __init__(self, directory: Path, /, **settings: Any) -> None:
        self.settings_file = directory / "penstock.yaml"
        self.write(**settings)
        super().__init__(
            ["-m", self.module, self.command, "-c", str(self.settings_file)],
            directory / ("log" if self.command == "serve" else f"log.{self.command}"),
            dict(self.environ),
        )

    def __enter__(self) -> Self:
        try:
            self.until(lambda: self._count(READY) or self.process.poll() is not None)
            assert self.process.poll() is None, self.log()
        except BaseException:
            self.end()
            raise
        return self

    def write(self, **settings: Any) -> None:
        """Write the settings, for now or for the next HUP. (JSON is YAML too.)"""
        whole: dict[str, Any] = {
            "workers": 2,
            "drain_s": 5.0,
            "http": {"listen": ["127.0.0.1:0"]},
            "admin": {"listen": "127.0.0.1:0"},
            "schemas": {"base_uris": [str(EXAMPLES / "schemas")]},
            "streams": {"sources": [str(EXAMPLES / "streams.yaml")]},
            "service_name": "penstock",
            "sink": {"kind": "sqlite", "sqlite": {"path": "events"}},
            "process": {"beat_s": 0.1},
        }
        for name, value in settings.items():
            whole[name] = whole.get(name, {}) | value if isinstance(value, dict) else value
        self.worker_count: int = whole["workers"]
        self.settings_file.write_text(json.dumps(whole, indent=1))

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the first listening address."""
        found = re.findall(r"ready: generation .*? on http://([\d.]+):(\d+)", self.log())
        host, port = found[-1]
        return host, int(port)

    @property
    def admin_address(self) -> tuple[str, int]:
        """Host and port of metrics and operations."""
        host, port = re.findall(r"ready: generation .*; admin on http://([\d.]+):(\d+)", self.log())[-1]
        return host, int(port)

    def reload(self) -> None:
        """Send HUP, and wait until only a new generation serves, or every running worker uses the new streams.

        An old worker accepts connections until it drains, which is a moment after the new ones are ready.
        """
        generations, taken, before = self._count(READY), self._count(TAKEN_UP), self.workers()
        self.signal(signal.SIGHUP)
        self.until(lambda: self._count(READY) > generations or self._count(TAKEN_UP) >= taken + self.worker_count)
        if self._count(READY) > generations:
            self.until(lambda: self.workers().isdisjoint(before))

    def _count(self, pattern: str) -> int:
        return len(re.findall(pattern, self.log()))

    def events(self, stream: str | None = None) -> list[dict[str, Any]]:
        """Return the events in the sink, as ``penstock events`` prints them."""
        only = ["--stream", stream] if stream else []
        command = [sys.executable, "-m", "server", "events", "-c", str(self.settings_file), *only]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=60)
        return [json.loads(line) for line in done.stdout.splitlines()]
