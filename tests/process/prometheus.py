"""A real Prometheus that looks at a service of a test, with rules: ``with Prometheus(tmp_path, target, rules) as …``.

Rules: it is ready when the ``with`` block begins: it has scraped the service once. It finds a port for itself.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Self

import pytest
import yaml

from tests.deploy.test_monitoring import PROMETHEUS
from tests.harness.running import eventually

READY_S = 60.0
LOOK_S = 0.1


class Prometheus:
    """One that scrapes ``target`` and evaluates ``rules`` every ``every`` so often, in a directory of its own."""

    def __init__(self, directory: Path, target: str, rules: str, every: str = "500ms") -> None:
        program = shutil.which("prometheus")
        if program is None:
            pytest.skip("prometheus is missing (Debian: prometheus)")
        config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every}
        config["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
        (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
        (directory / "alerts.yml").write_text(rules)
        arguments = [
            f"--config.file={directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={directory / 'tsdb'}",
            "--web.listen-address=127.0.0.1:0",
        ]
        self._log = directory / "prometheus.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen([program, *arguments], cwd=directory, stdout=log, stderr=log)

    def __enter__(self) -> Self:
        try:
            self._port = eventually(self._listens_at, READY_S, self.log)
            eventually(lambda: self.finds("penstock_build_info"), READY_S, self.log)
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _listens_at(self) -> str:
        found = re.search(r"""msg="?Listening on"? .*address=127\.0\.0\.1:(\d+)""", self.log())
        return found[1] if found else ""

    def ask(self, path: str, **query: str) -> Any:
        """What its API answers; None while it does not."""
        url = f"http://127.0.0.1:{self._port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except OSError:
            return None

    def finds(self, expression: str) -> list[Any]:
        """The series of an expression."""
        found = self.ask("query", query=expression)
        return list(found["result"]) if found else []

    def alerts(self) -> dict[str, str]:
        """``inactive``, ``pending`` or ``firing``, by the name of the alert. A look costs something: not too often."""
        time.sleep(LOOK_S)
        return {rule["name"]: rule["state"] for rule in self.rules()}

    def rules(self) -> list[Any]:
        """What it evaluates, and how it finds it."""
        answer = self.ask("rules")
        return [rule for group in (answer or {"groups": []})["groups"] for rule in group["rules"]]

    def end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def log(self) -> str:
        return self._log.read_text(errors="replace")
