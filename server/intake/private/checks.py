"""Keep checks in the background to events that are valid as they are stored, where values are withheld.

Place: intake.router → HERE → intake.background.checks.
Rules: checks and their examples see stored events alone. One that is no longer valid by its own schema, because it
lacks a value that the schema requires, would break rules for that reason alone: it is skipped, and so are refused ones.
Not here: the checks (intake.background).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.catalog.stream import Stream
    from server.intake.background.sampler import Check
    from server.intake.route import ChecksLookup
    from server.schemas.repository import Validator


class PrivateChecks:
    """Looks up the checks of routes as ``checks`` does."""

    def __init__(self, checks: ChecksLookup) -> None:
        self._checks = checks

    def of(self, stream: Stream, schema_uri: str, validator: Validator | None) -> tuple[Check, ...]:
        """Return the checks of a route."""
        found = self._checks(stream, schema_uri, validator)
        if validator is None or (validator.privacy is None and stream.privacy == "declared"):
            return found
        return tuple(_OfStored(check, validator) for check in found)


class _OfStored:
    """A check of events that are valid as they are stored."""

    def __init__(self, check: Check, validator: Validator) -> None:
        self.rate = check.rate
        self._check = check
        self._validator = validator

    def judge(self, value: bytes, is_refused: bool) -> Check | None:
        if is_refused or self._validator.check(value) is not None:
            self._check.skip()
            return None
        return self._check.judge(value, is_refused)

    def skip(self) -> None:
        self._check.skip()
