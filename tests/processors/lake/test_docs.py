"""The commands of docs/LAKE.md show newcomers their own events, and its table has every setting."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from processors.lake.settings import LakeSettings
from tests.harness.running import ROOT
from tests.processors.lake.world import World

DOCS = (ROOT / "docs" / "LAKE.md").read_text("utf-8")


def commands() -> list[str]:
    """Return the commands of the first section, without that which installs."""
    return re.findall(r"^    ((?:penstock|python) .+)$", DOCS, re.MULTILINE)


@pytest.mark.slow(reason="starts the command")
def test_the_commands_of_the_page(tmp_path: Path) -> None:
    world = World(tmp_path, {"hello.greeting": "hello/greeting"})
    world.schema("hello/greeting", "1.0.0", {})
    (tmp_path / "my-intake").mkdir()
    (settings,) = re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL)
    world.config.write_text(settings.replace("my-intake/", ""), "utf-8")
    greeting = {"$schema": "/hello/greeting/1.0.0", "meta": {"stream": "hello.greeting"}}
    world.put(greeting, greeting, topic="hello.greeting")

    printed = [execute(command, tmp_path) for command in commands()]

    assert len(printed) == 3
    assert '"hello.greeting"' in printed[0]
    assert re.search(r"│\s+12 │\s+2 │", printed[2]), printed[2]


def execute(command: str, directory: Path) -> str:
    """Run a command of the page in a directory. Returns what it prints."""
    command, _, target = command.partition(" > ")
    words = shlex.split(command)
    words = [sys.executable, *(("-m", "server") if words[0] == "penstock" else ()), *words[1:]]
    environ = os.environ | {"PYTHONPATH": str(ROOT), "TZ": "UTC"}
    done = subprocess.run(words, cwd=directory, env=environ, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    if target:
        (directory / target).write_text(done.stdout, "utf-8")
    return done.stdout


def test_the_page_has_every_setting_with_its_default() -> None:
    rows = dict(re.findall(r"^\| (`\w.*?`) \| (.*?) \|", DOCS.partition("## Settings")[2], re.MULTILINE))
    told = {
        name.strip("` "): default.strip("` ")
        for names, defaults in rows.items()
        for name, default in zip(names.split(","), defaults.split(",") * len(names.split(",")), strict=False)
    }
    settings = LakeSettings(intake="x")
    values = {name: getattr(settings, name) for name in LakeSettings.__struct_fields__}

    assert told.keys() == values.keys()
    for name, value in values.items():
        if value and name != "intake":
            assert told[name] == (f"{value:g}" if isinstance(value, float) else str(value))
