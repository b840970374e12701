"""Percent-decoding equals that of the standard library, and does not slow down where a client escapes much."""

from __future__ import annotations

from urllib.parse import unquote_plus, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.text import percent
from tests.steps import steps_of

PIECES = st.sampled_from(
    [b"%", b"%%", b"%41", b"%4", b"%zz", b"%e2%82%ac", b"%FF", b"=", b"=41", b"_", b"\n", b"\r\n", b" ", b"+"]
)


@given(st.lists(PIECES | st.binary(max_size=3)).map(b"".join))
def test_it_decodes_what_the_standard_library_does(escaped: bytes) -> None:
    assert percent.decode(escaped) == unquote_to_bytes(escaped)


@pytest.mark.parametrize("escaped", ["a+b", "%e2%82%ac+%2B", "%", "%zz+", "100%", "a=b%3Dc"])
def test_text_is_read_as_forms_write_it(escaped: str) -> None:
    assert percent.text_of(escaped.encode()) == unquote_plus(escaped)


def test_raw_utf_8_is_read_as_such() -> None:
    """URL Standard section 5.1: application/x-www-form-urlencoded is UTF-8 after decoding."""
    assert percent.text_of("Bogotá".encode()) == "Bogotá"


@pytest.mark.parametrize("many", [b"%", b"%25", b"%0", b"="])
def test_no_step_is_made_for_an_escape(many: bytes) -> None:
    assert steps_of(lambda: percent.decode(b"%41" + many * 5_000)) == steps_of(lambda: percent.decode(b"%41" + many))
