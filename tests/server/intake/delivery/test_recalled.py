"""Between a recall and its acks no event overtakes an older one of its key that the sink is about to give back."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from tests.server.intake.delivery.test_delivery import KEYED, books, drive, later
from tests.server.intake.delivery.test_waiting import keyed, sent
from tests.server.intake.fake_spool import FakeSpool
from tests.server.intake.test_receive import VALID, Bench, settled

__all__ = ["drive"]

SETTLE_S = 60.0


def other(number: int) -> bytes:
    """An event of another key."""
    return keyed(number).replace(b'"w"', b'"v"')


async def one_fails_and_another_is_recalled(bench: Bench) -> None:
    """An event of each of two keys is in the sink. The first one fails, so that the sink recalls what is not sent, and
    the second one has no ack yet."""
    bench.sink.is_held = True
    assert bench.post(keyed(1), hasty="true").status == 202
    assert bench.post(other(2), hasty="true").status == 202
    bench.sink._waiting[0][1]("broker_timeout", None)
    del bench.sink._waiting[0]
    bench.sink.recalled()


def recalled(bench: Bench) -> None:
    """The acks of the recalled events come."""
    bench.sink._ack("broker_timeout")
    bench.sink.is_held = False


def test_an_event_of_another_key_waits_until_the_sink_has_given_back_its_elder(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        await one_fails_and_another_is_recalled(bench)
        assert bench.post(other(3), hasty="true").status == 202
        guaranteed = bench.post(other(4))
        bench.delivery._look()
        assert (bench.delivery.in_room(), bench.sink.outstanding()) == (2, 1)
        recalled(bench)
        spool.settle()
        bench.delivery._look()
        assert [orjson.loads(one[2])["test"] for one in spool.kept] == ["1", "2"]
        assert (bench.delivery.in_room(), sent(bench)) == (2, []), "the spool holds the key by now"
        spool.let_go()
        bench.delivery._look()
        await settled()
        assert (sent(bench), guaranteed.status) == (["3", "4"], 201)
        assert books(bench)["keyed"] == (4, 2, 2, {})

    drive(test, settle_s=SETTLE_S)


def test_events_without_a_key_do_not_wait(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        await one_fails_and_another_is_recalled(bench)
        assert bench.post(VALID, hasty="true").status == 202
        assert (bench.delivery.in_room(), bench.sink.outstanding()) == (0, 2)

    drive(test, settle_s=SETTLE_S)


def test_keys_that_are_in_no_spool_wait_no_longer_than_for_the_acks(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        await one_fails_and_another_is_recalled(bench)
        third = KEYED.replace(b'"w"', b'"u"')
        assert bench.post(third, hasty="true").status == 202
        recalled(bench)
        bench.delivery._look()
        await settled()
        assert (len(bench.sink.records), bench.delivery.in_room()) == (1, 0), "although the spool has events"
        assert bench.post(third, hasty="true").status == 202
        await settled()
        assert len(bench.sink.records) == 2

    drive(test, settle_s=SETTLE_S)


def test_a_broker_that_is_slow_keeps_no_key_for_longer_than_a_recall_takes(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        await one_fails_and_another_is_recalled(bench)
        third = KEYED.replace(b'"w"', b'"u"')
        assert bench.post(third, hasty="true").status == 202
        with later(1.01):
            bench.delivery._look()
        assert (bench.delivery.in_room(), bench.sink.outstanding()) == (0, 2), "the event of the other key was sent"
        assert spool.is_doubtful, "it may come back"

    drive(test, settle_s=SETTLE_S)
