"""The state of canaries on disk: what the last run found, and when each canary last came back.

Place: canary.process writes it → HERE → admin (metrics, page), ``penstock canary status``.
Rules: the file is written under another name and renamed, so that a reader never sees half of one. It is not trusted
when it is read: a malformed one counts as absent. A row lives as long as its stream and target are expected.
Not here: what is expected (canary.plan), verdicts (canary.verdict).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from server.host.replace import replace_file

if TYPE_CHECKING:
    from server.canary.plan import Check
    from server.canary.run import Outcome

FILE: Final = "state.json"
LOCK: Final = "leader"
PENDING_PERIODS: Final = 2

Condition = Literal["ok", "failing", "pending"]
_logger = logging.getLogger("canary")


class Row(Struct, frozen=True):
    """One stream and target. Times are in seconds since 1970: ``since_s`` is when it was first expected, ``tried_s``
    when its last canary was judged, ``success_s`` when one last came back."""

    stream: str
    target: str
    ok: bool
    stage: str
    detail: str
    roundtrip_ms: float | None
    since_s: float
    tried_s: float
    success_s: float | None = None

    def age_s(self, now_s: float) -> float:
        """Return the time since the last success, or since it was first expected."""
        return max(0.0, now_s - (self.since_s if self.success_s is None else self.success_s))

    def condition(self, now_s: float, period_s: float) -> Condition:
        """Return how it is now: a new one that never came back is pending for two periods."""
        if self.ok:
            return "ok"
        is_new = self.success_s is None and now_s - self.since_s < PENDING_PERIODS * period_s
        return "pending" if is_new else "failing"


class CanaryState(Struct, frozen=True):
    """The last complete run. ``runs`` counts the runs of all leaders."""

    run_id: str
    began_s: float
    ended_s: float
    period_s: float
    runs: int
    host: str
    rows: list[Row] = []

    @property
    def is_good(self) -> bool:
        """Whether every canary came back."""
        return bool(self.rows) and all(row.ok for row in self.rows)


def rows_of(outcomes: Iterable[Outcome], before: CanaryState | None, began_s: float) -> list[Row]:
    """Return the rows after a run, with what is remembered of earlier ones."""
    known = {(row.stream, row.target): row for row in before.rows} if before is not None else {}
    rows = []
    for outcome in outcomes:
        check, verdict = outcome.check, outcome.verdict
        earlier = _not_later(known.get((check.stream, check.target)), began_s)
        rows.append(
            Row(
                check.stream,
                check.target,
                verdict.is_ok,
                verdict.stage,
                verdict.detail,
                None if outcome.roundtrip_s is None else round(outcome.roundtrip_s * 1000, 1),
                since_s=earlier.since_s if earlier is not None else began_s,
                tried_s=outcome.ended_s,
                success_s=outcome.ended_s if verdict.is_ok else earlier.success_s if earlier is not None else None,
            )
        )
    return rows


def _not_later(row: Row | None, now_s: float) -> Row | None:
    """Return the row with no time after this one: a clock that was ahead would keep its age at 0 until then."""
    if row is None or max(row.since_s, row.success_s or 0.0) <= now_s:
        return row
    success_s = None if row.success_s is None else min(row.success_s, now_s)
    return replace(row, since_s=min(row.since_s, now_s), success_s=success_s)


def expected_rows(checks: Sequence[Check], state: CanaryState | None) -> list[tuple[Check, Row | None]]:
    """Return all expected canaries with their rows; None where no run has tried one."""
    known = {(row.stream, row.target): row for row in state.rows} if state is not None else {}
    return [(check, known.get((check.stream, check.target))) for check in checks]


def read_state(directory: Path) -> CanaryState | None:
    """Return the state, or None if there is none."""
    path = directory / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=CanaryState)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as failed:
        _logger.warning("the state of canaries in %s cannot be read: %s", path, failed)
        return None


def write_state(directory: Path, state: CanaryState) -> None:
    """Replace the state. Raises OSError."""
    replace_file(directory / FILE, msgspec.json.encode(state))
