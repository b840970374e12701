"""What is kept on disk: whole, or not at all."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec
import pytest

from server.fetch.store import Answers, StoredAnswer, sweep, write_whole

URL = "https://example.org/w/api.php?action=streamconfigs"
KEPT = StoredAnswer(URL, 1_700_000_000.5, b'{"streams":{}}\nand more', '"etag"', "Thu, 01 Jan 2026 00:00:00 GMT")


def test_what_was_kept_is_read_again(tmp_path: Path) -> None:
    Answers(tmp_path, {"Host": "a"}).keep(KEPT)

    assert Answers(tmp_path, {"host": "a"}).good(URL) == KEPT


def test_an_answer_is_asked_for_again_by_its_etag_or_else_by_its_date() -> None:
    assert KEPT.condition() == {"If-None-Match": '"etag"'}
    assert msgspec.structs.replace(KEPT, etag=None).condition() == {
        "If-Modified-Since": "Thu, 01 Jan 2026 00:00:00 GMT"
    }
    assert StoredAnswer(URL, 1.0, b"").condition() == {}


def test_other_headers_are_another_answer(tmp_path: Path) -> None:
    """``Host`` names the wiki that is asked."""
    Answers(tmp_path, {"Host": "a"}).keep(KEPT)

    assert Answers(tmp_path, {"Host": "b"}).good(URL) is None
    assert Answers(tmp_path, {}).good(URL) is None


def test_a_candidate_is_not_good_until_it_is_kept(tmp_path: Path) -> None:
    answers = Answers(tmp_path, {})
    answers.keep_candidate(KEPT)
    assert (answers.good(URL), answers.candidate(URL)) == (None, KEPT)

    answers.keep(KEPT)
    assert (answers.good(URL), answers.candidate(URL)) == (KEPT, None)


@pytest.mark.parametrize("damage", [b"", b"{}", b"not json\n{}", None])
def test_a_damaged_file_counts_as_absent(tmp_path: Path, damage: bytes | None) -> None:
    answers = Answers(tmp_path, {})
    answers.keep(KEPT)
    (file,) = (tmp_path / "streams").iterdir()
    file.write_bytes(file.read_bytes()[:-1] if damage is None else damage)

    assert answers.good(URL) is None


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a" / "b"
    write_whole(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"new")

    assert path.read_bytes() == b"old"
    assert [file.name for file in path.parent.iterdir()] == ["b"]


def test_what_dead_writers_left_is_swept_away(tmp_path: Path) -> None:
    old, new, other = (tmp_path / name for name in (".a.1.tmp", ".b.2.tmp", "c"))
    for file in (old, new, other):
        file.touch()
    hours_ago = time.time() - 7_200
    for file in (old, other):
        os.utime(file, (hours_ago, hours_ago))
    sweep(tmp_path)

    assert sorted(file.name for file in tmp_path.iterdir()) == [".b.2.tmp", "c"]
