"""Receipts are looked for in slices, newest first, and never for more readers than may wait."""

from __future__ import annotations

import json
import time
from array import array

import pytest

from server.pages import receipt as receipt_page
from server.pages.receipt import PATH, ReceiptPage
from server.shared.rings import IS_FINAL, KEPT_S, PIECE, Rings
from tests.server.http.fakes import Harness, get, responses, statuses

ENTRIES = 8 * PIECE


class Desk:
    """The page over full rings of two workers. ``looked`` counts pieces of rings that were looked at."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rings = Rings(2, ENTRIES)
        self.looked = 0
        for index in range(2):
            self.write(index, *(b"%d/%d" % (index, number) for number in range(ENTRIES)))
        self.harness = Harness(routes={f"{PATH}*": {"GET": ReceiptPage(self.rings, lambda: None).handle}})
        self.loop = self.harness.loop
        ring, find = type(self.rings.ring(0)), type(self.rings.ring(0)).find

        def counted(*arguments: object) -> object:
            self.looked += 1
            self.loop.now_s += 0.0004
            return find(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(ring, "find", counted)

    def write(self, index: int, *identities: bytes, at_s: float | None = None) -> None:
        second = int(time.time() if at_s is None else at_s)
        self.rings.ring(index).write(
            array("q", [c for each in identities for c in (hash(each), second, 0, 1 | IS_FINAL)])
        )

    def ask(self, identity: bytes):  # type: ignore[no-untyped-def]
        wire = self.harness.wire()
        with self.loop.running():
            wire.send(get(PATH.encode() + identity))
        return wire

    def turn(self) -> int:
        """One thing that is due; returns how many pieces were looked at."""
        before = self.looked
        with self.loop.running():
            self.loop.turn()
        return self.looked - before


def test_a_new_one_is_found_at_once_whichever_worker_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch)
    wire = desk.ask(b"1%%2F%d" % (ENTRIES - 1))

    assert json.loads(responses(wire.sent)[0].body)["delivered"] == 1
    assert desk.looked == 2


def test_one_that_nobody_has_is_looked_for_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look through all rings at once held the loop for 4 ms for each worker of the host."""
    desk = Desk(monkeypatch)
    wire = desk.ask(b"nobody")
    at_once = [desk.looked]
    while not wire.sent:
        at_once.append(desk.turn())

    assert statuses(wire) == [404]
    assert desk.looked == 2 * ENTRIES // PIECE, "the second look is at what was written meanwhile"
    assert max(at_once) <= 3


def test_what_another_worker_writes_meanwhile_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch)
    wire = desk.ask(b"late")
    while desk.looked < 2 * ENTRIES // PIECE:
        desk.turn()
    desk.write(1, b"late")
    while not wire.sent:
        desk.turn()

    assert statuses(wire) == [200]
    assert desk.looked == 2 * ENTRIES // PIECE + 1


def test_old_ones_are_not_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch)
    for index in range(2):
        desk.write(index, *[b"again"] * ENTRIES, at_s=time.time() - KEPT_S - 1)
    wire = desk.ask(b"again")
    while not wire.sent:
        desk.turn()

    assert statuses(wire) == [404]
    assert desk.looked == 2


def test_no_identity_is_longer_than_that_of_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch)

    assert statuses(desk.ask(b"%41" * 129)) == [404]
    assert desk.looked == 0


def test_more_readers_than_may_wait_are_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipt_page, "MAX_WAITING", 3)
    desk = Desk(monkeypatch)
    wires = [desk.ask(b"n%d" % number) for number in range(4)]
    answer = responses(wires[3].sent)[0]
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    while not all(wire.sent for wire in wires):
        desk.turn()

    assert [statuses(wire) for wire in wires[:3]] == [[404]] * 3
    assert not desk.loop.later, "nobody waits, and nothing is due"
