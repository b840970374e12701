"""A new snapshot, from the process that makes it to the workers that swap it in."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from server.catalog import snapshot_follower as module
from server.catalog.publication import Publication, head_of
from server.catalog.snapshot import Snapshot, build, publishable
from server.catalog.snapshot_follower import SnapshotFollower
from server.config.framework.document import SettingsDocument, parse

OLD = "streams: {a: {schema_title: t}, same: {schema_title: t}, /^r\\./: {schema_title: old}}"
NEW = r"""
default_settings: {topic_prefixes: [x.], producers: {eventgate: {validation: observe}}}
streams:
  same: {schema_title: t}
  b: {schema_title: ü, producers: {eventgate: {enabled: true}}}
  /^r\./: {schema_title: new}
stream_overrides: {w: {b: {schema_title: for w}, only.w: {schema_title: t}}, v: {same: {schema_title: for v}}}
"""


class Loop:
    """Does what it is told to do later, one step when asked."""

    def __init__(self) -> None:
        self.due: list[tuple[Callable[..., None], Any]] = []

    def call_later(self, _: float, callback: Callable[..., None], *more: Any) -> None:
        self.due.append((callback, more))

    def step(self) -> bool:
        callback, more = self.due.pop(0)
        callback(*more)
        return bool(self.due)


class Worker:
    """Follows, and writes down each snapshot that it is given."""

    def __init__(self, publication: Publication, first: Snapshot) -> None:
        self.loop = Loop()
        self.used: list[Snapshot] = []
        self.following = SnapshotFollower(publication, first, "p.", self.used.append)

    def settle(self) -> None:
        self.following.look(self.loop.call_later)
        while self.loop.due:
            self.loop.step()


def document(text: str) -> SettingsDocument:
    return parse(text, "streams.yaml")


def snapshot_of(text: str) -> Snapshot:
    return build([document(text)], topic_prefix="p.", wiki="w")


def publish(publication: Publication, text: str) -> None:
    digest, published = publishable([document(text)], "w")
    publication.publish(published, digest)


def many(count: int, title: str = "t") -> str:
    return "streams: {" + ", ".join(f"s{n}: {{schema_title: {title}{n}}}" for n in range(count)) + "}"


def test_a_worker_has_what_a_restart_would_give() -> None:
    first, wanted = snapshot_of(OLD), snapshot_of(NEW)
    publication = Publication(first.digest)
    worker = Worker(publication, first)
    publish(publication, NEW)
    worker.settle()
    (used,) = worker.used

    assert used.digest == wanted.digest
    assert publication.digest_head == head_of(wanted.digest)
    assert used.names() == wanted.names()
    assert used.sections == wanted.sections  # What is served for other wikis.
    for name in ("a", "b", "same", "r.x", "no.such"):
        assert used.find(name) == wanted.find(name)
        assert used.settings(name) == wanted.settings(name)


def test_a_stream_that_has_not_changed_is_the_same_object() -> None:
    """Its memory stays shared with the other workers."""
    first = snapshot_of(OLD)
    publication = Publication(first.digest)
    worker = Worker(publication, first)
    publish(publication, OLD.replace("old", "new"))
    worker.settle()
    (used,) = worker.used

    assert used.find("a") is first.find("a")
    assert used.find("r.x") != first.find("r.x")


def test_nothing_new_is_no_work() -> None:
    first = snapshot_of(OLD)
    worker = Worker(Publication(first.digest), first)
    worker.following.catch_up()
    worker.settle()

    assert (worker.used, worker.loop.due) == ([], [])


def test_the_work_is_done_in_slices_and_the_swap_is_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLICE_S", 0.0)  # A slice then is one stream.
    first = snapshot_of(OLD)
    publication = Publication(first.digest)
    worker = Worker(publication, first)
    publish(publication, many(20))
    worker.following.look(worker.loop.call_later)
    slices = 1
    while worker.loop.step():
        assert worker.used == []
        slices += 1
        worker.following.look(worker.loop.call_later)  # A beat in between begins nothing anew.
        assert len(worker.loop.due) == 1

    assert slices >= 20
    assert [snapshot.digest for snapshot in worker.used] == [snapshot_of(many(20)).digest]


def test_the_newest_is_taken_up_when_several_came_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLICE_S", 0.0)
    first = snapshot_of(OLD)
    publication = Publication(first.digest)
    worker = Worker(publication, first)
    publish(publication, many(5))
    worker.following.look(worker.loop.call_later)
    worker.loop.step()
    for title in "xyz":
        publish(publication, many(5, title))
    worker.settle()
    worker.settle()

    assert [snapshot.digest for snapshot in worker.used] == [snapshot_of(many(5, title)).digest for title in "tz"]


def test_a_worker_that_is_forked_later_catches_up_before_it_serves() -> None:
    first = snapshot_of(OLD)
    publication = Publication(first.digest)
    for title in "uvw":
        publish(publication, many(3, title))
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        worker = Worker(publication, first)
        worker.following.catch_up()
        os.write(write, worker.used[0].digest.encode())
        os._exit(0)
    os.waitpid(pid, 0)

    assert os.read(read, 100).decode() == snapshot_of(many(3, "w")).digest
    os.close(read)
    os.close(write)
    publication.close()


def test_a_shorter_text_after_a_longer_one_is_read_whole() -> None:
    publication = Publication("0" * 64)
    for size in (5_000_000, 10, 3, 7_000_000, 1):
        publication.publish(b"x" * size, "1" * 64)
        assert publication.read()[1] == b"x" * size
