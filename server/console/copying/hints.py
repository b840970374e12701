"""Say in the answer itself, in plain words, what is wrong with events: for test sessions that asked for it.

Place: console.copying.answering, loaded with the first such answer → HERE → console.explain.
Rule: statuses stay as they are; an answer only gains members. An answer that is a picture, or whose form is not that of
events, is left alone.
Not here: verdicts (intake.verdict), the hints (console.explain).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from server.console.copying.event_copies import problems_of
from server.console.explain import HINTS, hint, path_of, value_at
from server.intake import verdict

if TYPE_CHECKING:
    from server.intake.event import Event

OF_EVENTS = frozenset({201, 202, 207, 400, 500, 503})


def hinted(events: Sequence[Event], status: int, body: bytes, content_type: bytes) -> tuple[bytes, bytes]:
    """Return body and type of the answer, with ``hints`` in the context of each event that was not accepted."""
    failed = [event for event in events if event.verdict is not None or event.observed is not None]
    if not failed or status not in OF_EVENTS:
        return body, content_type
    said: dict[str, Any] = msgspec.json.decode(body) if body else {"invalid": [], "error": []}
    told = {entry.get("index"): entry for kind in ("invalid", "error") for entry in said.get(kind, [])}
    for event in failed:
        found = event.verdict or event.observed
        assert found is not None
        entry = told.get(event.index)
        if entry is None:
            status_word = "observed" if event.verdict is None else "invalid" if found.is_invalid else "error"
            entry = {"status": status_word, "index": event.index, "context": verdict.context(found)}
            said.setdefault(status_word, []).append(entry)
        entry["context"] = entry.get("context", {}) | {"hints": hints_of(event)}
    return msgspec.json.encode(said), b"application/json"


def hints_of(event: Event) -> list[str]:
    """Return a sentence for each fault of an event."""
    found = event.verdict or event.observed
    if found is None:
        return []
    try:
        value = msgspec.json.decode(event.value)
    except (ValueError, RecursionError):
        value = None
    hints = [HINTS.get(found.error_type, "")]
    for problem in problems_of(found):
        path = path_of(str(problem.get("dataPath", "")))
        hints.append(hint(problem, value_at(value, path), value, path, None))
    return [text for text in hints if text]
