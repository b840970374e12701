"""``penstock check`` finds the directories that a worker could not write: ``serve`` would end with exit code 5."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from server.commands.check import run
from server.errors import EXIT_DONE, EXIT_SETTINGS

KAFKA = ("sink.kind=kafka", 'sink.kafka={"bootstrap.servers": "127.0.0.1:1"}')


def check(directory: Path, *overrides: str) -> tuple[int, list[str]]:
    (directory / "settings.yaml").write_text(
        "streams: {sources: []}\nschemas: {base_uris: [.]}\nsink: {kind: memory}\n"
    )
    out = io.StringIO()
    code = run(directory / "settings.yaml", overrides, environ={}, out=out)
    return code, out.getvalue().replace(f"{directory}/", "").splitlines()


@pytest.mark.parametrize(
    ("overrides", "setting", "without"),
    [
        (("sink.kind=sqlite", "sink.sqlite.path=settings.yaml/d"), "sink.sqlite.path", "no worker could start"),
        ((*KAFKA, "spool.path=settings.yaml/d/e"), "spool.path", "no worker could start"),
        (
            (*KAFKA, "canary.enabled=true", "canary.path=settings.yaml/d"),
            "canary.path",
            "no canary could be sent",
        ),
    ],
)
def test_a_directory_that_a_worker_needs_is_an_error(
    tmp_path: Path, overrides: tuple[str, ...], setting: str, without: str
) -> None:
    code, lines = check(tmp_path, *overrides)

    assert code == EXIT_SETTINGS
    assert lines[0].startswith(f"error: --set {setting}: {setting}: settings.yaml is not a directory, so {without}. ")


def test_a_directory_that_only_saves_time_is_a_warning(tmp_path: Path) -> None:
    code, lines = check(tmp_path, "schemas.prepared_path=settings.yaml/d")

    assert code == EXIT_DONE
    assert lines[0].startswith("warning: --set schemas.prepared_path: schemas.prepared_path: settings.yaml is not a")


@pytest.mark.parametrize("what", ["var", "var/spool/spool-0.db"])
def test_a_directory_or_a_file_in_it_that_may_not_be_written_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """As when the service was once started by root. Root itself may write everything, so the system is asked less."""
    path = tmp_path / what
    (tmp_path / "var" / ("spool" if "spool" in what else "")).mkdir(parents=True, exist_ok=True)
    if path.suffix:
        path.touch()
    access = os.access
    monkeypatch.setattr(os, "access", lambda one, mode: Path(one) != path and access(one, mode))

    code, lines = check(tmp_path, *KAFKA, "spool.max_bytes=1048576")

    assert code == EXIT_SETTINGS
    assert f"spool.path: {what} cannot be written by this user, so no worker could start. " in lines[0]


class _Disk:
    """What os.statvfs says of a disk."""

    f_bavail = 10
    f_frsize = 4096


def test_a_spool_that_is_larger_than_its_disk_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: _Disk)
    code, lines = check(tmp_path, *KAFKA, "spool.max_bytes=1048576")

    assert code == EXIT_DONE
    assert "spool.max_bytes: 1048576 is more than the 40960 bytes that the disk of" in lines[0]


def test_no_directory_of_events_is_made(tmp_path: Path) -> None:
    check(tmp_path, *KAFKA)
    check(tmp_path, "sink.kind=sqlite")

    assert {path.name for path in tmp_path.glob("var/*")} <= {"schemas"}
