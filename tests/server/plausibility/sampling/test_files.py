"""The files of the sampling process are whole or count as absent, and a full disk leaves nothing behind."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from server.host.replace import replace_file
from server.plausibility.sampling.drift import Spread
from server.plausibility.sampling.files import (
    LEARNED,
    REPORT,
    LearnedFields,
    Report,
    read_learned,
    read_report,
    write_learned,
    write_report,
)
from server.plausibility.sampling.sample import StreamReport
from server.plausibility.shares import Signal


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    report = Report(3, 7.5, {"a": StreamReport(sampled=2, signals=[Signal("field_missing", 0.1, 0.9, "b")])})
    assert read_report(tmp_path) is None
    write_report(tmp_path, report)

    assert read_report(tmp_path) == report


def test_what_was_learned_keeps_its_secret_and_is_for_this_user_alone(tmp_path: Path) -> None:
    learned = {"a": LearnedFields(1, 2, {"f": Spread({"v00": 3.0}, 0.1, 4)})}
    write_learned(tmp_path, b"0" * 32, learned)
    found = read_learned(tmp_path)

    assert (found.salt, found.streams) == (b"0" * 32, learned)
    assert stat.S_IMODE((tmp_path / LEARNED).stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xff", b'{"round_number":1}', b"\x81"])
def test_a_damaged_file_counts_as_absent(tmp_path: Path, content: bytes) -> None:
    for name in (REPORT, LEARNED):
        (tmp_path / name).write_bytes(content)

    assert read_report(tmp_path) is None
    assert read_learned(tmp_path).streams == {}
    assert read_learned(tmp_path).salt != read_learned(tmp_path).salt


def test_a_disk_without_room_leaves_the_file_of_before_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_file(path, b"before")
    pid = os.fork()
    if pid == 0:
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4, 4))
        try:
            replace_file(path, b"longer than the room")
        except OSError:
            os._exit(7)
        os._exit(0)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert path.read_bytes() == b"before"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
