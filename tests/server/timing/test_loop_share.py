"""server.timing.loop_share: slices are short on an idle loop, and grow with what the loop does for others."""

from __future__ import annotations

import asyncio
import time

import uvloop

from server.timing.loop_share import MOST_SLICE_S, SLICE_S, LoopShare


def sliced(others_s: float) -> LoopShare:
    """Return the share after a pause in which others held the loop for so long."""

    async def run() -> LoopShare:
        loop = asyncio.get_running_loop()
        share = LoopShare(loop)
        assert share.slice_s == SLICE_S
        loop.call_soon(time.sleep, others_s)
        await share.pause()
        return share

    return uvloop.run(run())


def test_a_slice_is_short_while_nothing_else_is_to_be_done() -> None:
    """A pause of the whole machine may make it longer, but never shorter."""
    assert sliced(0.0).slice_s >= SLICE_S


def test_it_grows_with_what_others_take_up_to_a_limit() -> None:
    assert sliced(0.04).slice_s >= 0.019
    assert sliced(0.3).slice_s == MOST_SLICE_S


def test_it_is_over_after_its_time_and_begins_again() -> None:
    async def run() -> None:
        share = LoopShare(asyncio.get_running_loop())
        share.slice_s = 3600.0
        assert not share.is_over()
        time.sleep(0.01)
        share.slice_s = 0.005
        assert share.is_over()
        await share.pause()
        share.slice_s = 3600.0
        assert not share.is_over()

    uvloop.run(run())
