"""What `penstock serve` says to newcomers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from server.commands.serve import _Welcome
from server.config.settings import Config
from server.config.sink_settings import SinkSettings


@pytest.mark.parametrize(
    ("kind", "said"), [("memory", "events go to memory"), ("sqlite", "events go to SQLite in /d/")]
)
def test_the_welcome_says_once_where_events_go(kind: Any, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    first: Any = SimpleNamespace(config=Config(sink=SinkSettings(kind=kind)), data_dir=Path("/d"))
    welcome = _Welcome(first)

    welcome.say(["http://h:1"])
    welcome.say(["http://h:1"])

    assert capsys.readouterr().out.count(said) == 1
