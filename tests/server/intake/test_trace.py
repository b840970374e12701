"""server.intake.trace: what is a traceparent and what only looks like one."""

from __future__ import annotations

import pytest

from server.intake.trace import header_of

TRACE, PARENT = b"4bf92f3577b34da6a3ce929d0e0e4736", b"00f067aa0ba902b7"


@pytest.mark.parametrize(
    "value",
    [
        b"00-" + TRACE + b"-" + PARENT + b"-01",
        b"00-" + TRACE + b"-" + PARENT + b"-00",
        b"cc-" + TRACE + b"-" + PARENT + b"-01-what-the-future-brings",
    ],
)
def test_a_well_formed_one_goes_on_as_it_came(value: bytes) -> None:
    assert header_of(value) == ("traceparent", value)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"00",
        b"ff-" + TRACE + b"-" + PARENT + b"-01",
        b"00-" + TRACE.upper() + b"-" + PARENT + b"-01",
        b"00-" + b"0" * 32 + b"-" + PARENT + b"-01",
        b"00-" + TRACE + b"-" + b"0" * 16 + b"-01",
        b"00-" + TRACE + b"-" + PARENT + b"-01-more",
        b"00-" + TRACE + b"-" + PARENT + b"-0g",
        b"00-" + TRACE + b"-" + PARENT + b"-01\n",
        b"00-" + TRACE + b"-" + PARENT + b"-01, 00-" + TRACE + b"-" + PARENT + b"-01",
        b"cc-" + TRACE + b"-" + PARENT + b"-01-" + b"x" * 201,
    ],
)
def test_anything_else_is_as_if_it_were_not_there(value: bytes) -> None:
    assert header_of(value) is None
