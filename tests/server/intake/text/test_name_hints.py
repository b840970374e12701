"""What an event that names an unknown stream or schema was probably meant for."""

from __future__ import annotations

from typing import Any

import pytest

from server.catalog.stream import make
from server.intake.text.name_hints import NameHints

SETTINGS: dict[str, dict[str, Any]] = {
    "garden.reading.v1": {"schema_title": "garden/reading"},
    "garden.closed": {"schema_title": "garden/reading", "producers": {"eventgate": {"enabled": False}}},
    "/^job\\..+/": {"schema_title": "job"},
}
STREAMS = [make(name, name, settings, "") for name, settings in SETTINGS.items()]


@pytest.fixture
def hints() -> NameHints:
    versions = {"garden/reading": ["/garden/reading/1.0.0", "/garden/reading/1.1.0"]}
    return NameHints(STREAMS, lambda title: versions.get(title, []))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("garden.raeding.v1", "; did you mean 'garden.reading.v1'?"),
        ("garden.closd", ""),
        ("/^job\\..+", ""),
        ("weather", ""),
    ],
)
def test_a_stream(hints: NameHints, name: str, expected: str) -> None:
    assert hints.of_stream(name) == expected


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("/garden/reading/9.0.0", "; the latest version is '/garden/reading/1.1.0'"),
        ("/garden/readings/1.0.0", "; did you mean '/garden/reading/1.1.0'?"),
        ("/jobs/1.0.0", ""),
        ("/job/1.0.0", ""),
        ("/weather/1.0.0", ""),
    ],
)
def test_a_schema(hints: NameHints, uri: str, expected: str) -> None:
    assert hints.of_schema(uri) == expected


def test_new_streams_are_named_from_then_on(hints: NameHints) -> None:
    hints.use([make("weather.v1", "weather.v1", {}, "")])

    assert hints.of_stream("wether.v1") == "; did you mean 'weather.v1'?"
    assert hints.of_stream("garden.raeding.v1") == ""
