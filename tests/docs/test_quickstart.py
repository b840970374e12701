"""docs/QUICKSTART.md: an EventGate's settings are imported, tried next to it, and take the events of its clients."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.running import ROOT, eventually

EXAMPLES = ROOT / "server" / "examples"
EVENT = {
    "$schema": "/shop/order/1.0.0",
    "meta": {"stream": "shop.order"},
    "order_id": "A-1",
    "total": 1,
    "lines": [{"article": "x", "count": 1}],
}
ADDRESS = re.compile(r"on http://(127\.0\.0\.1:\d+)")


def penstock(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "server", *arguments]


@pytest.mark.slow(reason="a service is started")
def test_it_is_tried_next_to_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        f"schema_base_uris: ['file://{EXAMPLES}/schemas/']\nstream_config_uri: file://{EXAMPLES}/streams.yaml\n"
        "kafka: {conf: {metadata.broker.list: '127.0.0.1:9092'}}\n"
    )
    (tmp_path / "event.json").write_text(json.dumps(EVENT))
    imported = penstock("import-eventgate", "config.yaml", "-o", "penstock.yaml")
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    subprocess.run(imported, cwd=tmp_path, env=environment, check=True, capture_output=True, timeout=60)
    sets = ["--set", "sink.kind=sqlite"]
    more = ["--set", 'http.listen=["127.0.0.1:0"]', "--set", "admin.listen=127.0.0.1:0"]
    log, shown = tmp_path / "log", tmp_path / "shown"
    with log.open("wb") as out, shown.open("wb") as events:
        command = penstock("serve", "-c", "penstock.yaml", *sets, *more)
        service = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=out)
        command = penstock("events", "-c", "penstock.yaml", *sets, "--follow")
        follower = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=events, stderr=subprocess.DEVNULL)
        try:
            (address, *_) = eventually(
                lambda: ADDRESS.findall(log.read_text()) if "ready: " in log.read_text() else [], or_show=log.read_text
            )
            post = ["curl", "-si", f"http://{address}/v1/events", "-H", "content-type: application/json"]
            answer = subprocess.run(
                [*post, "-d", "@event.json"], cwd=tmp_path, capture_output=True, text=True, timeout=60
            ).stdout
            eventually(lambda: "A-1" in shown.read_text(), or_show=shown.read_text)
        finally:
            for process in (follower, service):
                process.send_signal(signal.SIGINT)
                process.wait(timeout=60)

    assert answer.startswith("HTTP/1.1 201 ")
