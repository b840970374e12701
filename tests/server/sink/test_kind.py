"""The kinds of sinks: one list, a folder for each, and no question which one it is anywhere else."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from server.config.sink_settings import SINK_KINDS, SinkSettings
from server.sink.kind import Kind, kind_of

ROOT = Path(__file__).parents[3]
ASKS = re.compile(r"\bsink\.kind\s*(==|!=|in\b|not\b)")


def settings(kind: Any) -> SinkSettings:
    return SinkSettings(kind=kind)


def test_the_setting_takes_exactly_the_kinds_that_are_listed() -> None:
    assert set(get_args(get_type_hints(SinkSettings)["kind"])) == SINK_KINDS.keys()


@pytest.mark.parametrize("name", SINK_KINDS)
def test_each_kind_has_its_folder_and_says_where_events_go(name: str, tmp_path: Path) -> None:
    kind = kind_of(settings(name))

    assert isinstance(kind, Kind)
    assert kind.describe(settings(name), tmp_path)
    assert isinstance(kind.files_state(settings(name)), str)


@pytest.mark.parametrize("name", SINK_KINDS)
def test_knowing_a_kind_loads_no_client_of_its_store(name: str) -> None:
    """The master asks, and has neither threads nor librdkafka."""
    source = f"""
import sys
from server.config.sink_settings import SinkSettings
from server.sink.kind import kind_of
kind_of(SinkSettings(kind={name!r}))
print("confluent_kafka" in sys.modules, "sqlite3" in sys.modules, "asyncio" in sys.modules)
"""

    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60)

    assert (done.stdout, done.stderr) == ("False False False\n", "")


def test_only_the_sinks_themselves_know_which_kind_it_is() -> None:
    asking = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "server").rglob("*.py")
        if ASKS.search(path.read_text(encoding="utf-8"))
    ]

    assert asking == []
