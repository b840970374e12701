"""server.schemas.repository: what it tells operators of schemas that cannot be used."""

from __future__ import annotations

import errno
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


def test_a_schema_that_is_broken_is_told_from_one_that_cannot_be_read_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second may be readable in a moment, so its senders may try again."""
    for name, text in (("bad", "title: bad\ntype: objekt\n"), ("good", "title: good\ntype: object\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.0.0.yaml").write_text(text)
    schemas = open_schemas(SchemaSettings(base_uris=[str(tmp_path)]), tmp_path)
    broken = schemas.find("/bad/1.0.0")

    def lacks_descriptors(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Path, "open", lacks_descriptors)
    unread = schemas.find("/good/1.0.0")

    assert isinstance(broken, tuple) and broken[0] == "broken_schema"
    assert isinstance(unread, tuple) and unread[0] == "schema_unavailable"


def test_all_titles_are_found(tmp_path: Path) -> None:
    for title in ("one", "two/three", "two"):
        (tmp_path / title).mkdir(parents=True, exist_ok=True)
        (tmp_path / title / "1.0.0.yaml").write_text(f"title: {title}\n")

    assert open_schemas(SchemaSettings(base_uris=[str(tmp_path)]), tmp_path).titles() == ["one", "two", "two/three"]
