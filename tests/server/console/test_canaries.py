"""The console knows canaries, so that its page can leave them out."""

from __future__ import annotations

from server.console.facts import FACTS
from server.console.ring import Ring
from server.filter.language import compile_filter
from tests.harness.console_rows import add


def test_the_filter_of_the_page_leaves_out_canaries_alone() -> None:
    ring = Ring(10, 1_000_000)
    rows = [
        add(ring, {"page": "/", "meta": meta}) for meta in ({"domain": "canary"}, {"domain": "a.example"}, {}, "odd")
    ]
    chosen = compile_filter("-canary:true", FACTS)

    assert [chosen.matches(row.decoded(), row.summary) for row in rows] == [False, True, True, True]
