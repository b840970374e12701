"""server.sink.spool.keys: a key waits as long as an event of it may be in a spool, and what each process may write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from server.sink.spool.keys import (
    _SLOTS,
    LEAST_CELLS,
    MOST_CELLS,
    NONE,
    KeyMap,
    KeyMaps,
    Mark,
    cells_for,
    cells_of,
    slot_of,
)


@pytest.fixture
def keys(tmp_path: Path) -> KeyMap:
    return KeyMap.make(tmp_path / "spool-0.db")


def holds(keys: KeyMap, topic: str = "t", key: bytes = b"k") -> bool:
    return keys.holds(cells_of(topic, key), slot_of(topic))


def commit(keys: KeyMap, seq: int) -> None:
    """All events up to this one are on disk."""
    keys[Mark.COMMITTED] = seq
    keys.set_waiting(0, 0)


def test_a_key_is_held_from_the_moment_of_putting_until_the_replay_has_passed_it(keys: KeyMap) -> None:
    assert not holds(keys)
    seq = keys.add("t", b"k", 100)
    assert (seq, holds(keys), holds(keys, key=b"other"), holds(keys, "other")) == (1, True, False, False)
    commit(keys, seq)
    keys.publish({slot_of("t"): 0}, 1)
    assert holds(keys), "the replay has seen it, and it is not gone"
    keys.publish({}, 1)
    assert not holds(keys)


def test_a_key_is_free_before_younger_events_of_its_topic_are(keys: KeyMap) -> None:
    for key in (b"k", b"other"):
        keys.add("t", key, 100)
    commit(keys, 2)
    keys.publish({slot_of("t"): 1}, 2)

    assert (holds(keys), holds(keys, key=b"other")) == (False, True)


def test_a_key_that_is_free_stays_so_when_a_worker_begins_to_replay_that_knows_less(keys: KeyMap) -> None:
    for key in (b"k", b"other"):
        keys.add("t", key, 100)
    commit(keys, 2)
    keys.publish({slot_of("t"): 1}, 2)
    keys.publish({slot_of("t"): 0}, 2)
    assert (holds(keys), holds(keys, key=b"other")) == (False, True)

    keys.publish({}, 2)
    keys.publish({slot_of("t"): 0}, 0)
    assert not holds(keys, key=b"other")
    keys.add("t", b"k", 101)
    assert holds(keys)


def test_an_event_that_the_replay_has_not_seen_is_held_though_its_topic_has_none_left(keys: KeyMap) -> None:
    keys.add("t", b"k", 100)
    commit(keys, 1)
    keys.publish({}, 1)
    keys.add("t", b"k", 101)

    assert holds(keys)


def test_what_will_never_be_on_disk_is_not_waited_for(keys: KeyMap) -> None:
    keys.add("t", b"old", 99)
    commit(keys, 1)
    keys.publish({}, 1)
    keys.add("t", b"k", 100)
    assert holds(keys)
    keys.set_waiting(0, 0)

    assert not holds(keys)


def test_what_is_void_does_not_free_what_is_on_disk(keys: KeyMap) -> None:
    keys.add("t", b"old", 99)
    commit(keys, 1)
    keys.add("t", b"k", 100)
    keys.set_waiting(0, 0)
    keys.publish({slot_of("t"): 0}, 1)

    assert holds(keys, key=b"old")


def test_two_topics_in_one_slot_wait_for_each_other(keys: KeyMap) -> None:
    other = next(name for name in map(str, range(100_000)) if slot_of(name) == slot_of("t"))
    keys.add("t", b"k", 100)
    keys.add(other, b"k", 101)
    commit(keys, 2)
    keys.publish({slot_of("t"): 0}, 2)

    assert (holds(keys), holds(keys, other)) == (True, True)


def test_similar_keys_have_cells_of_their_own() -> None:
    cells = {cells_of("t", b'{"k":"%d-0"}' % number) for number in range(2000)}

    assert len(cells) == 2000
    assert len({cell for three in cells for cell in three}) > 5900
    assert max(map(slot_of, map(str, range(3000)))) < _SLOTS


def test_what_waits_is_counted_by_those_who_know_it(keys: KeyMap) -> None:
    for number in (100, 101, 102):
        keys.add("t", b"k", number)
    assert (keys.pending(), keys.front()) == (3, 100)
    keys[Mark.COMMITTED] = 2
    keys.set_waiting(1, 102)
    assert keys.pending() == 3, "two that the replay has not seen, and one on its way"
    keys.publish({}, 2)
    keys[Mark.REMAINING], keys[Mark.FRONT], keys[Mark.ASIDE] = 1, 101, 5
    assert (keys.pending(), keys.front()) == (7, 101)


def test_a_map_that_was_left_is_filled_with_what_the_database_holds(tmp_path: Path, keys: KeyMap) -> None:
    keys.add("t", b"gone", 100)
    keys.add("t", b"k", 200)
    again = KeyMap.make(tmp_path / "spool-0.db")
    assert holds(again, key=b"gone"), "until it is filled it has what a killed worker has left"
    again.fill(dict.fromkeys(cells_of("t", b"k"), 2), 2, 150)

    assert (holds(again, key=b"gone"), holds(again)) == (False, True)
    assert (again[Mark.NEWEST], again[Mark.LAST], again[Mark.COMMITTED], again[Mark.WAITING]) == (200, 2, 2, 0)


@pytest.mark.parametrize("count", [2 * LEAST_CELLS, MOST_CELLS])
def test_in_place_of_a_map_of_another_size_comes_one_in_which_every_key_waits_until_it_is_filled(
    tmp_path: Path, keys: KeyMap, count: int
) -> None:
    keys.add("t", b"gone", 100)
    again = KeyMap.make(tmp_path / "spool-0.db", count)

    assert (again.count, holds(again, key=b"gone"), holds(again, key=b"never seen")) == (count, True, True)
    assert not keys.is_at(tmp_path / "spool-0.db"), "processes that have the old one open look for the new one"
    again.fill(dict.fromkeys(cells_of("t", b"k"), 2), 2, 150)
    assert (holds(again, key=b"gone"), holds(again)) == (False, True)
    seen = KeyMap.see(tmp_path / "spool-0.db")
    assert seen is not None
    assert (seen.count, holds(seen, key=b"gone"), holds(seen)) == (count, False, True)
    assert KeyMap.make(tmp_path / "spool-0.db").count == count, "without a size it stays as it is"


def test_a_map_of_another_layout_lets_no_key_through_and_is_replaced_in_place(tmp_path: Path, keys: KeyMap) -> None:
    """Versions differ in the cells of a key, so those of another one say nothing."""
    keys.fill({}, 0, 0)
    keys[Mark.LAYOUT] = 0
    seen = KeyMap.see(tmp_path / "spool-0.db")
    assert seen is not None
    assert holds(seen, key=b"never seen")
    again = KeyMap.make(tmp_path / "spool-0.db")
    assert holds(again, key=b"never seen"), "until it is filled"
    again.fill(dict.fromkeys(cells_of("t", b"k"), 2), 2, 150)
    assert [(holds(one, key=b"never seen"), holds(one)) for one in (again, seen)] == [(False, True)] * 2


@pytest.mark.parametrize("size", [1, 4096, 8 * LEAST_CELLS, 5_000_000])
def test_a_file_that_is_no_map_is_replaced(tmp_path: Path, size: int) -> None:
    (tmp_path / "spool-0.map").write_bytes(b"\x01" * size)
    assert KeyMap.see(tmp_path / "spool-0.db") is None
    made = KeyMap.make(tmp_path / "spool-0.db")

    assert (made.count, made.is_private, holds(made)) == (LEAST_CELLS, False, True)
    made.fill({}, 0, 0)
    assert not holds(made)


def test_a_large_spool_has_a_map_in_which_few_keys_wait_for_others(tmp_path: Path) -> None:
    assert [cells_for(size) for size in (1, 1 << 29, 1 << 30, 1 << 34)] == [
        LEAST_CELLS,
        1 << 20,
        MOST_CELLS,
        MOST_CELLS,
    ]
    large = KeyMap.make(tmp_path / "spool-0.db", cells_for(1 << 30))
    for number in range(150_000):
        large.add("t", b"%d" % number, number)

    assert sum(holds(large, key=b"other %d" % number) for number in range(10_000)) < 130


@pytest.mark.parametrize("mark", [mark for mark in Mark if mark != Mark.BROKEN])
@pytest.mark.parametrize("garbage", [-1, NONE])
def test_the_head_of_a_map_that_cannot_be_is_begun_again(keys: KeyMap, mark: Mark, garbage: int) -> None:
    keys[mark] = garbage
    keys.fill(dict.fromkeys(cells_of("t", b"k"), 2), 2, 150)

    assert holds(keys)
    assert (keys[Mark.NEWEST], keys[Mark.HORIZON], keys.front(), keys.is_doubtful()) == (150, 0, 0, False)


def test_the_map_of_another_database_does_not_free_the_keys_of_this_one(keys: KeyMap) -> None:
    """The database was deleted, and its sequence numbers begin again."""
    keys[Mark.LAST] = keys[Mark.COMMITTED] = keys[Mark.HORIZON] = 500
    keys.fill({}, 0, 0)
    keys.add("t", b"k", 100)

    assert holds(keys)


def test_a_reader_meets_no_moment_at_which_a_waiting_key_is_free(keys: KeyMap) -> None:
    """The replay writes the slot, then the horizon; a reader reads the horizon, then the slot."""
    keys.add("t", b"k", 100)
    commit(keys, 1)
    found: list[bool] = []

    class Looking:
        """The head, which shows what a reader finds just before each of its numbers is written."""

        def __init__(self, head: memoryview[int]) -> None:
            self.head = head

        def __getitem__(self, mark: int) -> int:
            return self.head[mark]

        def __setitem__(self, mark: int, number: int) -> None:
            found.append(holds(keys))
            self.head[mark] = number
            found.append(holds(keys))

    keys._head = Looking(keys._head)  # type: ignore[assignment]
    keys.publish({slot_of("t"): 0}, 1)

    assert found == [True, True]


def test_a_private_map_is_taken_over_whole_by_the_one_that_is_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.posix_fallocate", no_room)
        private = KeyMap.make(tmp_path / "spool-0.db")
    private.add("t", b"k", 100)
    shared = KeyMap.make(tmp_path / "spool-0.db")
    shared.copy(private)

    assert (private.is_private, shared.is_private) == (True, False)
    assert (holds(shared), shared.pending(), shared[Mark.NEWEST]) == (True, 1, 100)


def test_the_maps_of_a_directory_are_seen_and_forgotten(tmp_path: Path, keys: KeyMap) -> None:
    maps = KeyMaps(tmp_path)
    maps.set_own(tmp_path / "spool-0.db", keys)
    other = KeyMap.make(tmp_path / "spool-1.db")
    other.add("t", b"k", 300)
    assert not maps.holds("t", b"k")
    maps.look()
    assert (maps.holds("t", b"k"), maps.pending(), maps.newest(), maps.front()) == (True, 1, 300, 300)
    before = maps.done("t")
    other[Mark.COMMITTED] = 1
    other.set_waiting(0, 0)
    other.publish({}, 1)
    assert maps.done("t") != before
    assert not maps.holds("t", b"k")
    other[Mark.CATCH_UP_MS], other[Mark.ASIDE] = 2500, 4
    assert (maps.catch_up_s(), maps.aside(), maps.is_any_in_contact()) == (2.5, 4, True)
    (tmp_path / "spool-1.map").unlink()
    maps.look()
    assert (maps.catch_up_s(), maps.pending(), maps.is_any_in_contact()) == (0, 0, False)


def test_a_map_that_is_being_made_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "spool-1.map").write_bytes(bytes(100))
    maps = KeyMaps(tmp_path)
    maps.look()

    assert KeyMap.see(tmp_path / "spool-1.db") is None
    assert maps.pending() == 0


def test_a_directory_is_only_read_again_when_it_may_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An idle worker looks four times a second."""
    looks: list[object] = []
    listdir = os.listdir

    def listed(path: str) -> list[str]:
        looks.append(path)
        return listdir(path)

    monkeypatch.setattr(os, "listdir", listed)
    maps = KeyMaps(tmp_path)
    maps.look()
    maps.look()
    assert len(looks) == 2, "a file could have come at the same instant"
    os.utime(tmp_path, ns=(0, 1))
    maps.look()
    maps.look()
    assert len(looks) == 3
    KeyMap.make(tmp_path / "spool-1.db").add("t", b"k", 300)
    maps.look()
    assert maps.holds("t", b"k")
    (tmp_path / "spool-2.map").write_bytes(bytes(100))
    for _ in range(2):
        os.utime(tmp_path, ns=(0, 2))
        looks.clear()
        maps.look()
        assert looks, "a map is being made, without a change of the directory at its end"


def test_a_map_that_was_replaced_is_opened_again(tmp_path: Path) -> None:
    KeyMap.make(tmp_path / "spool-1.db").add("t", b"k", 300)
    maps = KeyMaps(tmp_path)
    maps.look()
    (tmp_path / "spool-1.map").unlink()
    KeyMap.make(tmp_path / "spool-1.db").add("t", b"other", 301)
    maps.look()

    assert (maps.holds("t", b"k"), maps.holds("t", b"other")) == (False, True)
