"""A canary is awaited where clients of EventStreams read, and a stream that does not show it is named as the stage."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from server.canary import listen
from server.canary.event import Canary
from server.canary.plan import Check
from server.canary.run import Outcome, Run
from server.canary.verdict import Reply
from server.config.canary_settings import CanarySettings
from tests.server.canary.test_run import LONG_S, Intake, Log, event_of

URL = "http://e/v2/stream/a"
CHECK = Check("a", "t", "http://t", "topic.a", "a/b", reader_url=URL)


class Reading(Intake):
    """An intake with EventStreams behind it. ``answers`` are what its streams end with, in turn; None: the stream stays
    open until an event was stored, and then shows it; "never": it stays open."""

    def __init__(self, log: Log, *answers: str | None) -> None:
        super().__init__(log)
        self._answers = list(answers)
        self._shown = asyncio.Event()
        self.asked: list[str] = []
        self.open = 0

    async def post(self, check: Check, canary: Canary) -> Reply:
        reply = await super().post(check, canary)
        self._shown.set()
        return reply

    async def read(self, url: str, needle: bytes, on_open: Callable[[], None]) -> str:
        self.asked.append(url)
        answer = self._answers.pop(0)
        if answer not in (None, "never"):
            return str(answer)
        on_open()
        self.open += 1
        try:
            await (self._shown.wait() if answer is None else asyncio.sleep(LONG_S))
        finally:
            self.open -= 1
        return ""


def outcome(log: Log, reading: Callable[[Log], Reading], **settings: float) -> tuple[Outcome, Reading]:
    async def play() -> tuple[Outcome, Reading]:
        made = reading(log)
        run = Run(CanarySettings(**settings), "kafka", event_of, log.watch, made)  # type: ignore[arg-type]
        (found,) = await run.outcomes([CHECK])
        assert made.open == 0
        return found, made

    return asyncio.run(play())


def test_the_stream_is_opened_before_the_canary_is_sent_and_closed_after_it() -> None:
    log = Log()
    found, made = outcome(log, lambda log: Reading(log, None))

    assert found.verdict.is_ok
    assert made.asked == [f"{URL}?canary=true&format=ndjson&filter=%22id-of-a%22"]


def test_a_stream_that_does_not_show_the_canary_is_named_with_what_was_heard() -> None:
    found, _ = outcome(Log(), lambda log: Reading(log, "never"), roundtrip_s=0.2)
    assert (found.verdict.stage, found.verdict.detail) == (
        "eventstreams",
        "in the topic, but EventStreams has not sent it: it had not come by the deadline",
    )
    found, _ = outcome(Log(), lambda log: Reading(log, "503 full", "never"), roundtrip_s=0.2)

    assert (found.verdict.stage, found.verdict.detail[-8:]) == ("eventstreams", "503 full")
    assert found.roundtrip_s is not None


def test_a_stream_that_ends_is_asked_for_again_from_before_the_canary_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen, "AGAIN_S", 0.0)
    found, made = outcome(Log(), lambda log: Reading(log, "the stream has ended", "503 drain", None))

    assert found.verdict.is_ok
    assert ["&since=" in one for one in made.asked] == [False, True, True]


def test_a_canary_that_is_not_in_the_topic_is_not_waited_for_in_the_stream() -> None:
    class Losing(Reading):
        async def post(self, check: Check, canary: Canary) -> Reply:
            return Reply(201)

    found, _ = outcome(Log(), lambda log: Losing(log, "never"), roundtrip_s=LONG_S, run_s=LONG_S, period_s=LONG_S)

    assert found.verdict.stage == "kafka"
