"""What to do after an answer, or without one: pure functions, run against tests/contract/clients."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

MAX_RETRY_AFTER_S = 3600.0
FINAL_ERRORS = frozenset({"broker_rejected", "internal"})  # Errors of the intake that a repetition does not mend.
PASSING = frozenset({408, 425, 429, 503})  # Nothing was accepted, and it may be later.
UNKNOWN = frozenset({500, 502, 504})  # Of a proxy, or of a bug: the events may have been accepted.
FINAL_5XX = frozenset({501, 505})

Event = Literal["sent", "rejected", "retry", "unknown"]
Action = Literal["sent", "resend", "ask_again"]
Failure = Literal["connect", "tls", "timeout", "reset"]

_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name: number for number, name in enumerate(_NAMES, 1)}
_DATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"
)


class Decision(NamedTuple):
    """By event: ``outcomes`` and ``reasons``, ``details`` where there are any. ``is_split``: halve the batch and send
    both halves at once. ``pauses``: the whole destination waits."""

    outcomes: Sequence[Event]
    reasons: Sequence[str | None]
    is_split: bool = False
    pauses: bool = False
    retry_after_s: float | None = None
    details: Mapping[int, str] = {}


def after_failure(events: int, failure: Failure) -> Decision:
    """Decide when there is no answer. ``connect`` and ``tls``: no byte of the request was sent."""
    outcome: Event = "retry" if failure in ("connect", "tls") else "unknown"
    return Decision([outcome] * events, [failure] * events, pauses=True)


def after_answer(events: int, status: int, headers: Mapping[str, str], body: Any, now_s: float) -> Decision:
    """Decide by an answer. ``headers`` have lower-case names; ``body`` is the parsed JSON, or anything else if it is
    not JSON; ``now_s`` is the wall clock."""
    retry_after_s = parse_retry_after(headers.get("retry-after"), headers.get("date"), now_s)
    listed = _listed(events, body)
    if status == 207:
        if listed is None:
            return Decision(["unknown"] * events, [None] * events, retry_after_s=retry_after_s)
        return _by_event(events, listed, "sent", None, retry_after_s, body)
    if status in (201, 202):
        return Decision(["sent"] * events, [None] * events)
    reason = f"http_{status}"
    if 200 <= status < 300:  # Of a proxy, or of a page for logging in: no intake answers so.
        return Decision(["unknown"] * events, [reason] * events, pauses=True, retry_after_s=retry_after_s)
    if status == 413:
        if events == 1:
            return Decision(["rejected"], ["too_large"])
        return Decision(["retry"] * events, [reason] * events, is_split=True)
    pauses = status in PASSING or (status >= 500 and status not in FINAL_5XX)
    if listed is not None and status in (400, 401, 403, 500, 503):
        unlisted: Event = "retry" if pauses else "rejected"
        return _by_event(events, listed, unlisted, reason, retry_after_s, body, pauses=pauses)
    outcome: Event = "rejected"
    if pauses:
        outcome = "retry" if status in PASSING else "unknown"
    return Decision(
        [outcome] * events, [reason] * events, pauses=pauses, retry_after_s=retry_after_s if pauses else None
    )


def _listed(events: int, body: Any) -> dict[int, tuple[bool, dict[str, Any]]] | None:
    """By index: whether the event is invalid, and the context; None if the body lists no events."""
    if not isinstance(body, dict) or not any(isinstance(body.get(kind), list) for kind in ("invalid", "error")):
        return None
    found: dict[int, tuple[bool, dict[str, Any]]] = {}
    for kind in ("error", "invalid"):  # An event in both lists is invalid.
        entries = body.get(kind)
        for entry in entries if isinstance(entries, list) else ():
            index = entry.get("index") if isinstance(entry, dict) else None
            if isinstance(index, int) and not isinstance(index, bool) and 0 <= index < events:
                context = entry.get("context")
                found[index] = (kind == "invalid", context if isinstance(context, dict) else {})
    return found


def _by_event(
    events: int,
    listed: Mapping[int, tuple[bool, dict[str, Any]]],
    unlisted: Event,
    unlisted_reason: str | None,
    retry_after_s: float | None,
    body: Any,
    *,
    pauses: bool = False,
) -> Decision:
    outcomes: list[Event] = [unlisted] * events
    reasons: list[str | None] = [unlisted_reason] * events
    details: dict[int, str] = {}
    for index, (is_invalid, context) in listed.items():
        error_type = context.get("error_type")
        reason = error_type if isinstance(error_type, str) else ("invalid" if is_invalid else "error")
        reasons[index] = reason
        outcomes[index] = "rejected" if is_invalid or reason in FINAL_ERRORS else "retry"
        text = context.get("errorsText") or context.get("message")
        if isinstance(text, str):
            details[index] = text
        after = context.get("retry_after_s")
        if outcomes[index] == "retry" and isinstance(after, int | float) and not isinstance(after, bool) and after > 0:
            retry_after_s = max(retry_after_s or 0, min(float(after), MAX_RETRY_AFTER_S))
    return Decision(
        outcomes, reasons, pauses=pauses and "retry" in outcomes, retry_after_s=retry_after_s, details=details
    )


def parse_retry_after(value: str | None, date: str | None, now_s: float) -> float | None:
    """Return the seconds of a ``Retry-After``, or None (RFC 9110 section 10.2.3). ``date``: the header of this name."""
    value = (value or "").strip(" \t")
    if value.isascii() and value.isdecimal():
        return min(float(value[-10:] if len(value) <= 10 else MAX_RETRY_AFTER_S), MAX_RETRY_AFTER_S)
    at_s = parse_date(value)
    if at_s is None:
        return None
    from_s = parse_date(date or "")
    return min(max(at_s - (now_s if from_s is None else from_s), 0.0), MAX_RETRY_AFTER_S)


def parse_date(text: str) -> float | None:
    """Return the Unix time of an IMF-fixdate, such as ``Sat, 28 Nov 2026 12:00:00 GMT``; None for anything else."""
    found = _DATE.fullmatch(text)
    if found is None or found[2] not in _MONTHS:
        return None
    day, hour, minute, second = map(int, found.group(1, 4, 5, 6))
    try:
        return datetime(int(found[3]), _MONTHS[found[2]], day, hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError:  # A day or a time that does not exist.
        return None


def backoff_s(
    attempt: int, random: float, retry_after_s: float | None = None, base_s: float = 1.0, cap_s: float = 300.0
) -> float:
    """Return how long to wait after ``attempt`` (from 1); ``random`` is from 0 to 1. It is full jitter: clients that
    failed together come back spread out."""
    if retry_after_s:
        return retry_after_s * (1 + random / 4)
    return random * min(cap_s, base_s * 2.0 ** min(attempt - 1, 60))


def after_receipt(
    events: int, status: int | None, body: Any, age_s: float, settle_s: float, give_up_s: float
) -> Action:
    """Decide by the answer to GET /v1/receipts/{id}, for a request that was sent ``age_s`` ago; ``status`` is None if
    there was no answer. The intake knows the outcome of a request ``settle_s`` after it came."""
    if status == 200:
        counts = body if isinstance(body, dict) else {}
        return "sent" if counts.get("accepted") == events and counts.get("failed") == 0 else "resend"
    if status == 404:
        return "ask_again" if age_s < settle_s else "resend"
    if status is None or status >= 500 or status == 429:
        return "ask_again" if age_s < give_up_s else "resend"
    return "resend"
