"""Bytes of a client as text: UTF-8 where they are it, else latin-1."""

from __future__ import annotations

import pytest

from server.text import percent
from server.text.octets import cut, text_of, without_quotes


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"", ""),
        (b"Bogota", "Bogota"),
        ("Bogotá".encode(), "Bogotá"),
        ("Bogotá".encode("latin-1"), "Bogotá"),
        ("Żółw 🐢 東京".encode(), "Żółw 🐢 東京"),
        (b"\xff\xfe", "ÿþ"),
        (b"caf\xc3", "cafÃ"),  # Cut off in the middle by somebody else.
        (b"\xed\xa0\xbd", "í\xa0½"),  # Half of a surrogate pair is no UTF-8 (RFC 3629 section 3).
        (b"\xc0\xaf", "À¯"),  # Nor are overlong forms.
        (b"\xf4\x90\x80\x80", "ô\x90\x80\x80"),
    ],
)
def test_bytes_have_a_text(octets: bytes, expected: str) -> None:
    assert text_of(octets) == expected
    text_of(octets).encode()


@pytest.mark.parametrize("char", ["a", "á", "東", "🐢"])
@pytest.mark.parametrize("before", range(4))
def test_a_cut_ends_with_a_whole_character(char: str, before: int) -> None:
    text = "x" * before + char * 500

    assert cut(text.encode(), 400) == text[:400]
    assert cut(b"\xff" * 500, 400) == "ÿ" * 400


def test_a_quoted_string_says_what_stands_in_it() -> None:
    """RFC 9110 section 5.6.4."""
    said = [without_quotes(value) for value in (b'"a;\\"b\\\\c"', b"a", b'"', b'"a', b'""')]

    assert said == [b'a;"b\\c', b"a", b'"', b'"a', b""]


def test_fields_of_a_query_are_decoded_once() -> None:
    given = [b"Bogot%C3%A1", b"Bogot%E1", "Bogot\u00e1".encode(), "Bogot\u00e1".encode("latin-1")]

    assert {percent.text_of(field) for field in given} == {"Bogot\u00e1"}
    assert percent.text_of(b"a+b%2B%252B%") == "a b+%2B%"
