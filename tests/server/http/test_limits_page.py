"""The table of bounds is whole, and the page is what it says."""

from __future__ import annotations

from pathlib import Path

import msgspec

from server.config.framework.document import parse
from server.config.framework.judge import judge
from server.config.limit_settings import EXTERNAL, Limits, of_profile
from server.config.program import PENSTOCK
from server.config.rules import breaches
from server.config.settings import Config
from server.http.limits import INTAKE, KINDS, TABLE, RequestLimits
from server.http.limits_page import render
from server.http.problem import Refusal

PAGE = Path(__file__).parents[3] / "docs" / "LIMITS.md"


def test_the_committed_page_is_the_rendered_one() -> None:
    assert PAGE.read_text() == render(), "run: python -m server.http.limits_page > docs/LIMITS.md"


def test_every_setting_is_in_the_table_once() -> None:
    assert sorted(limit.setting for limit in TABLE + INTAKE) == sorted(Limits.__struct_fields__)
    assert set(EXTERNAL) <= set(Limits.__struct_fields__)


def test_a_refusal_answers_what_the_table_says_and_is_counted_as_that() -> None:
    bounds = RequestLimits(Limits())
    refusals = [found for name in dir(bounds) if isinstance(found := getattr(bounds, name), Refusal)]
    answers = {limit.kind: limit for limit in TABLE}

    assert len(refusals) >= 8
    for refusal in refusals:
        assert refusal.kind in KINDS
        if refusal is not bounds.big_framing:  # Of bytes that are no header: a malformed request.
            assert answers[refusal.kind].answer.startswith(str(refusal.status))
        assert (b"Retry-After" in refusal.more) == answers[refusal.kind].helps


def test_the_profile_sets_what_nobody_wrote() -> None:
    document = parse("{profile: external, http: {limits: {max_headers: 7}}}", "s.yaml")
    config = msgspec.convert(of_profile(document.value), Config)

    assert not judge(document, PENSTOCK)
    assert not breaches(config, document), "its defaults go together"
    assert config.http.limits.max_headers == 7
    assert config.http.limits.max_body_bytes == EXTERNAL["max_body_bytes"]
    assert config.http.limits.answer_s == Limits().answer_s
    assert msgspec.convert(of_profile({"profile": "internal"}), Config).http.limits == Limits()


def test_strangers_are_never_bounded_less_than_friends() -> None:
    friends = Limits()
    for name, value in EXTERNAL.items():
        before = getattr(friends, name)
        is_looser = value < before if name.startswith("min_") else value > before
        assert not is_looser or not before or name == "burst_per_address", name
