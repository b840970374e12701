"""server.sink.spool.claim: one process at a time holds a lock, also after its file was deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.sink.spool.claim import Lock


def test_one_of_two_holds_a_lock_until_it_releases_it(tmp_path: Path) -> None:
    first, second = Lock(tmp_path / "new" / "a"), Lock(tmp_path / "new" / "a")
    began: list[int] = []

    assert first.take(lambda: began.append(1)) and first.take(lambda: began.append(2))
    assert not second.take(lambda: began.append(3)) and not second.is_held
    first.release()
    assert not first.is_held and second.take()
    second.release()
    assert began == [1]


def test_a_lock_whose_file_was_deleted_is_taken_again(tmp_path: Path) -> None:
    """Another process would not see a lock without a name, and could have taken it by then."""
    lock, other = Lock(tmp_path / "a"), Lock(tmp_path / "a")
    began: list[int] = []
    assert lock.take()
    (tmp_path / "a.lock").unlink()

    assert lock.take(lambda: began.append(1)) and began == [1]
    (tmp_path / "a.lock").unlink()
    assert other.take() and not lock.take() and not lock.is_held
    other.release()


def test_a_lock_is_released_when_its_holder_cannot_begin(tmp_path: Path) -> None:
    lock, other = Lock(tmp_path / "a"), Lock(tmp_path / "a")

    def fails() -> None:
        raise OSError("the file cannot be read")

    with pytest.raises(OSError, match="cannot be read"):
        lock.take(fails)

    assert not lock.is_held and other.take()
    other.release()
