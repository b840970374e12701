"""EventStreams reads the settings file of the intake, and does nothing that the intake does already."""

from __future__ import annotations

import msgspec

from eventstreams.generation import StreamsGeneration
from server.config.settings import Config


def test_parts_of_the_intake_are_off_in_this_program() -> None:
    """Two programs with one directory would take turns with its lock."""
    parts = ("canary", "console", "plausibility")
    config = msgspec.convert({name: {"enabled": True} for name in parts}, Config)

    own = StreamsGeneration.settings_of(config)

    assert [getattr(own, name).enabled for name in parts] == [False, False, False]
