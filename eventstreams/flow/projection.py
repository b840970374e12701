"""Which events of its streams a client gets, and which of their members.

Place: ask makes one → HERE → group, client.
Rules: clients with equal choices share one object; a filter is evaluated once per event and worker, and a text is made
once per event and choice of members. A sample depends on ``meta.id`` alone: the same events are in it for every client,
on every host, and a smaller sample is part of a larger one. Canaries are in every sample.
Not here: the language of filters (server.filter), redaction (record).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final

from eventstreams.members import Path, picked, text_of, tree_of
from eventstreams.record import Event, Policies, Record

_WHOLE: Final = 1 << 64
Test = Callable[[Any], bool]


class Projection:
    """One choice. ``names`` are streams. ``key`` is equal for equal choices."""

    __slots__ = (
        "__weakref__",
        "_fields",
        "_has_canaries",
        "_share",
        "_test",
        "_tree",
        "evaluated",
        "filter_text",
        "key",
        "names",
        "topics",
    )

    def __init__(
        self,
        names: frozenset[str],
        topics: tuple[str, ...],
        *,
        filter_text: str = "",
        test: Test | None = None,
        fields: tuple[Path, ...] = (),
        sample: float = 1.0,
        has_canaries: bool = False,
    ) -> None:
        self.names = names
        self.topics = topics
        self.filter_text = filter_text
        self._test = test
        self._fields = fields
        self._tree = tree_of(fields)
        self._share = int(sample * _WHOLE) if sample < 1.0 else _WHOLE
        self._has_canaries = has_canaries
        self.evaluated = 0
        self.key = (names, topics, filter_text, fields, sample, has_canaries)

    def text(self, record: Record, policies: Policies) -> bytes | None:
        """Return the text of the record for this choice; None: it is not chosen; b"": it cannot be decoded, or
        is nested too deeply."""
        event = record.prepared(policies)
        if isinstance(event, str):
            return b"" if event == "undecodable" else None
        if event.stream not in self.names or (event.is_canary and not self._has_canaries):
            return None
        if (
            self._share < _WHOLE
            and not event.is_canary
            and _share_of(event.id or f"{record.topic}/{record.partition}/{record.offset}") >= self._share
        ):
            return None
        if self._test is not None and not self._matches(event, self._test):
            return None
        if not self._fields:
            return event.whole
        text = event.texts.get(self._fields)
        if text is None:
            text = event.texts[self._fields] = self._picked(event)
        return text

    def _picked(self, event: Event) -> bytes:
        try:
            return text_of(picked(event.members, self._tree))
        except RecursionError:
            return b""

    def _matches(self, event: Event, test: Test) -> bool:
        verdict = event.verdicts.get(self.filter_text)
        if verdict is None:
            self.evaluated += 1
            try:
                verdict = bool(test(event.decoded()))
            except RecursionError:  # It is nested too deeply to be looked at.
                verdict = False
            event.verdicts[self.filter_text] = verdict
        return verdict


def _share_of(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
