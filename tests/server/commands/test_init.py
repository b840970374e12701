"""``penstock init``: what it writes can be served, and nothing is overwritten."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from server.commands import check
from server.commands.init import STARTER, run
from server.errors import UsageError


def test_what_it_writes_has_neither_errors_nor_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "a" / "b") == 0
    out = io.StringIO()

    assert check.run(tmp_path / "a" / "b" / "intake.yaml", [], environ={}, out=out) == 0
    assert "0 error(s), 0 warning(s)" in out.getvalue()
    assert "penstock serve -c intake.yaml" in capsys.readouterr().out


def test_nothing_is_written_where_one_of_its_files_is(tmp_path: Path) -> None:
    (tmp_path / "streams.yaml").write_text("streams: {}\n")

    with pytest.raises(UsageError, match=r"already there: .*streams\.yaml"):
        run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["streams.yaml"]
    assert (tmp_path / "streams.yaml").read_text() == "streams: {}\n"


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(UsageError, match=r"cannot write .*file"):
        run(tmp_path / "file" / "below")


def test_its_error_schema_is_that_of_the_examples() -> None:
    schema = Path("schemas") / "error" / "2.1.0.yaml"

    assert (STARTER / schema).read_bytes() == (STARTER.parent / schema).read_bytes()
