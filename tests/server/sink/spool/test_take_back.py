"""Events that wait in memory for a disk that takes nothing are taken back, to be sent without it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from server.sink.spool.file import SpoolFile
from server.sink.spool.spool import Spool
from tests.server.sink.spool.spools import FOREVER_S, Disk, Kept, drive, flushed, numbers, put, until


def test_what_waits_for_a_full_disk_can_be_taken_back_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, kept = Disk(monkeypatch), Kept()

    async def test(spool: Spool) -> None:
        disk.fill()
        for number in (1, 2, 3):
            put(spool, number, 7, kept=kept, is_owed=True)
        await until(lambda: not spool.is_usable())
        taken = spool.take_back()
        assert [record.value for record, _ in taken] == [b'{"n":1}', b'{"n":2}', b'{"n":3}']
        assert [on_kept for _, on_kept in taken] == [kept] * 3
        assert (spool.waiting(), spool.used_bytes(), spool.waits()) == (0, 0, False)
        assert not spool.holds("t", b'{"k":7}'), "what was put will never be on disk"
        assert spool.take_back() == []
        disk.error = None

    drive(tmp_path, test)
    assert (numbers(tmp_path), kept.outcomes) == ([], [])


def test_only_events_below_a_number_or_without_a_key_are_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)

    async def test(spool: Spool) -> None:
        disk.fill()
        for number, key in ((5, 7), (3, 7), (6, None), (4, 8)):
            put(spool, number, key, is_owed=True)
        await until(lambda: not spool.is_usable())
        assert [record.value for record, _ in spool.take_back(5)] == [b'{"n":3}', b'{"n":4}', b'{"n":6}']
        assert (spool.waiting(), spool.holds("t", b'{"k":7}')) == (1, True)
        assert spool.front_on_disk() == 0
        disk.error = None
        await flushed(spool)
        assert spool.front_on_disk() == 1, "the replay has not looked yet"

    drive(tmp_path, test)
    assert numbers(tmp_path) == [5]


def test_what_is_not_wanted_any_more_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)

    async def test(spool: Spool) -> None:
        disk.fill()
        for number in (1, 2, 3):
            put(spool, number, is_owed=True)
        await until(lambda: not spool.is_usable())
        assert [one.value for one in spool.withdraw(lambda one: one.value == b'{"n":2}')] == [b'{"n":2}']
        assert spool.withdraw(lambda _: False) == []
        disk.error = None
        await flushed(spool)

    drive(tmp_path, test)
    assert numbers(tmp_path) == [1, 3]


def test_nothing_is_taken_back_while_it_is_being_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append, is_begun, may_go_on = SpoolFile.append, threading.Event(), threading.Event()

    def slow(file: SpoolFile, found: Any) -> None:
        is_begun.set()
        assert may_go_on.wait(FOREVER_S)
        append(file, found)

    async def test(spool: Spool) -> None:
        monkeypatch.setattr(SpoolFile, "append", slow)
        put(spool, 1)
        await until(is_begun.is_set)
        assert spool.take_back() == []
        may_go_on.set()
        await flushed(spool)

    drive(tmp_path, test)
    assert numbers(tmp_path) == [1]
