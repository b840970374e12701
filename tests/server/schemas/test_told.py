"""server.schemas.repository: what it tells operators of schemas that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.config.catalog_settings import SchemaSettings
from server.schemas.repository import open_schemas


def test_the_log_says_once_why_a_schema_refuses_its_events(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In an open service nothing else would: `check` knows no stream that names the schema."""
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "1.0.0.yaml").write_text("title: bad\ntype: objekt\n")
    schemas = open_schemas(SchemaSettings(base_uris=[str(tmp_path)]), tmp_path)

    for _ in range(3):
        assert isinstance(schemas.find_telling("/bad/1.0.0"), tuple)
        assert isinstance(schemas.find_telling("/unknown/1.0.0"), tuple)
    (line,) = caplog.messages

    assert line.startswith("events of the schema /bad/1.0.0 are refused: ") and ".type" in line
