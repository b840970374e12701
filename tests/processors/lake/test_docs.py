"""The commands of docs/LAKE.md show newcomers their own events, and its table has every setting."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from processors.lake.settings import LakeSettings
from tests.harness.broker import free_ports
from tests.harness.running import ROOT, Running
from tests.processors.lake.world import World, event

DOCS = (ROOT / "docs" / "LAKE.md").read_text("utf-8")


COMMANDS = re.findall(r"^    (lake/bin/(?:penstock|python) .+)$", DOCS, re.MULTILINE)
# As `make run` does, in a directory of its own.
SERVE = """
import os, runpy, sys
os.chdir(sys.argv[1])
sys.argv = ["penstock", "serve"]
runpy.run_module("server", run_name="__main__")
"""


@pytest.mark.slow(reason="starts the service")
def test_a_newcomer_sees_the_own_event_in_duckdb(tmp_path: Path) -> None:
    """The command that the service prints posts an event; the first commands of the page show it."""
    (port,) = free_ports(1)
    environ = {
        "PENSTOCK_HTTP__LISTEN": f'["127.0.0.1:{port}"]',
        "PENSTOCK_ADMIN__LISTEN": "127.0.0.1:0",
        "PYTHONPATH": str(ROOT),
    }
    with Running(["-c", SERVE, str(tmp_path)], tmp_path / "log", environ) as service:
        service.says("ready: generation")
        (curl,) = service.says(r"post a first event:\n\n((?:  .+\n)+)")
        posted = subprocess.run(["sh", "-c", curl], capture_output=True, text=True, timeout=60)

        printed = [execute(command, tmp_path, environ) for command in COMMANDS[:3]]

    assert "201" in posted.stdout.splitlines()[0], posted.stdout
    assert [line for line in COMMANDS[:3] if "-c lake.yaml" in line] == []
    assert msgspec.json.decode(printed[0])["streams"]["web.page_view"]["rows"] == 1
    assert re.search(r"│ /home\s+│", printed[2]), printed[2]


@pytest.mark.slow(reason="starts the command")
def test_the_commands_for_an_intake_of_your_own(tmp_path: Path) -> None:
    world = World(tmp_path, {"hello.greeting": "hello/greeting"})
    world.schema("hello/greeting", "1.0.0", {})
    (tmp_path / "my-intake").mkdir()
    (settings,) = re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL)
    world.config.write_text(settings.replace("my-intake/", ""), "utf-8")
    greeting = {"$schema": "/hello/greeting/1.0.0", "meta": {"stream": "hello.greeting"}}
    world.put(greeting, greeting, topic="hello.greeting")

    printed = [execute(command, tmp_path) for command in COMMANDS[3:6]]

    assert '"hello.greeting"' in printed[0]
    assert re.search(r"│\s+12 │\s+2 │", printed[2]), printed[2]


@pytest.mark.slow(reason="starts the command")
def test_hours_and_files_are_dropped_by_the_commands_of_the_page(tmp_path: Path) -> None:
    world = World(tmp_path, keep_days=1)
    for number in range(2):
        world.put(event(number))
        world.run()

    merged = execute("lake/bin/penstock lake -c lake.yaml --compact", tmp_path)
    dropped = execute("lake/bin/penstock lake -c lake.yaml --expire", tmp_path)

    assert msgspec.json.decode(merged)["files"] == 2
    assert msgspec.json.decode(dropped) == {"table": "shop_order", "rows": 2, "snapshots": 0, "files": 0}
    assert "penstock lake -c lake.yaml --expire" in DOCS


def execute(command: str, directory: Path, environ: dict[str, str] | None = None) -> str:
    """Run a command of the page in a directory. Returns what it prints."""
    command, _, target = command.partition(" > ")
    words = shlex.split(command)
    words = [sys.executable, *(("-m", "server") if words[0].endswith("/penstock") else ()), *words[1:]]
    variables = os.environ | {"PYTHONPATH": str(ROOT), "TZ": "UTC"} | (environ or {})
    done = subprocess.run(words, cwd=directory, env=variables, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    if target:
        (directory / target).write_text(done.stdout, "utf-8")
    return done.stdout


def test_the_page_has_every_setting_with_its_default() -> None:
    rows = dict(
        re.findall(r"^\| (`\w.*?`) \| (.*?) \|", DOCS.partition("## Settings")[2].partition("\n## ")[0], re.MULTILINE)
    )
    told = {
        name.strip("` "): default.strip("` ")
        for names, defaults in rows.items()
        for name, default in zip(names.split(","), defaults.split(",") * len(names.split(",")), strict=False)
    }
    settings = LakeSettings()
    values = {name: getattr(settings, name) for name in LakeSettings.__struct_fields__}

    assert told.keys() == values.keys()
    for name, value in values.items():
        if value:
            assert told[name] == (f"{value:g}" if isinstance(value, float) else str(value))
