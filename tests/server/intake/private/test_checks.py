"""Checks in the background judge events of annotated schemas only if these are valid as they are stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from server.boot.generation import Generation, read
from server.intake.background.sampler import Check
from server.intake.private.checks import PrivateChecks
from server.schemas.repository import Validator


class Noted:
    """A check that notes what it is asked to judge."""

    rate = 0.5

    def __init__(self) -> None:
        self.judged: list[bytes] = []
        self.skipped = 0

    def judge(self, value: bytes, is_refused: bool) -> None:
        self.judged.append(value)

    def skip(self) -> None:
        self.skipped += 1


@pytest.fixture(scope="module")
def generation(settings_file: Path) -> Generation:
    return read(settings_file, [])


def wrapped(generation: Generation, stream: str, uri: str) -> tuple[Check, Noted]:
    noted = Noted()

    def checks(*_: Any) -> tuple[Check, ...]:
        return (noted,)

    validator, found = generation.schemas.find(uri), generation.snapshot.find(stream)
    assert isinstance(validator, Validator)
    assert found is not None
    (check,) = PrivateChecks(cast(Any, checks)).of(found, uri, validator)
    return check, noted


STORED = b'{"$schema":"/user/1.0.0","meta":{"stream":"users"},"count":1}'
VALID = b'{"$schema":"/user/1.0.0","meta":{"stream":"users"},"email":"a","count":1}'


def test_a_stored_event_that_lacks_what_its_schema_requires_is_skipped(generation: Generation) -> None:
    check, noted = wrapped(generation, "users", "/user/1.0.0")
    check.judge(STORED, False)
    check.judge(VALID, False)

    assert (noted.judged, noted.skipped, check.rate) == ([VALID], 1, 0.5)


def test_a_refused_event_is_skipped_because_it_is_not_in_its_stored_form(generation: Generation) -> None:
    check, noted = wrapped(generation, "users", "/user/1.0.0")
    check.judge(VALID, True)
    check.skip()

    assert (noted.judged, noted.skipped) == ([], 2)


def test_checks_of_schemas_without_annotations_are_left_alone(generation: Generation) -> None:
    check, noted = wrapped(generation, "plain", "/plain/1.0.0")

    assert check is noted


def test_checks_of_strict_streams_are_wrapped(generation: Generation) -> None:
    check, noted = wrapped(generation, "strict", "/plain/1.0.0")

    assert check is not noted
