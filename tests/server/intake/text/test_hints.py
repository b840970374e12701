"""A body that is not JSON is answered with what would help, and with no guess where nothing is known."""

from __future__ import annotations

import gzip
import zlib

import pytest

from server.intake.text import hints
from server.intake.text.cut import split
from server.intake.text.hints import MOST_BYTES, hint


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (gzip.compress(b"{}"), "Content-Encoding: gzip"),
        (zlib.compress(b"{}"), "Content-Encoding: deflate"),
        (b"\x28\xb5\x2f\xfd\x04\x00", "Content-Encoding: zstd"),
        ('{"a":1}'.encode("utf-16"), "UTF-16"),
        ('{"a":1}'.encode("utf-16-le"), "UTF-16"),
        ('[{"a":1}]'.encode("utf-16-be"), "UTF-16"),
        (b'{"a":1}\n{"a":2}\n', "application/x-ndjson"),
        (b'\xef\xbb\xbf{"a":1}\r\n\r\n{"a":2}', "application/x-ndjson"),
        (b"{'a': 1}", "double quotes"),
        (b"[ {'a': 1}]", "double quotes"),
        (b"'{\"a\":1}'", "double quotes"),
        (b"{a:1}", "double quotes"),
        (b'"{\\"a\\":1}"', "encoded twice"),
        (b"event=%7B%7D&x=1", "form"),
        (b"%7B%22a%22%3A1%7D", "percent-encoded"),
        (b"@events/one.json", "--data-binary"),
        (b"<?xml version='1.0'?>", "XML"),
        (b'{"a":1,}', "comma"),
        (b'[{"a":"},]"},\n]', "comma"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":[1,-Infinity]}', "NaN"),
        (b'{"a":True}', "true, false"),
    ],
)
def test_a_mistake_that_is_known_is_named(body: bytes, words: str) -> None:
    assert isinstance(split(body), str)
    assert words in hint(body)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"7", b"nonsense", b'{"a":1}\n7', b'{"a"\n{"a":1}', b'{"a":"NaN,]"', b"\xff", b'{"a":1} x', b"x{}"],
)
def test_what_is_not_known_gets_no_guess(body: bytes) -> None:
    assert isinstance(split(body), str)
    assert hint(body) == ""


@pytest.mark.parametrize("part", [b"{", b"[ ", b", ", b'"', b"\\", b"{a ", b'{"a":{}}\n', b"a", b"@a", b" \n"])
def test_only_the_beginning_of_a_body_is_looked_at(part: bytes) -> None:
    long = part * (MOST_BYTES // len(part) + 1)

    assert hint(long * 50) == hint(long)


@pytest.mark.parametrize("unit", [rb"\"", rb"\n\"", rb"a\"", rb"\\\"", b'\\\n\\"'])
@pytest.mark.parametrize("start", [b'"', b'["', b'{"', b'{"a":"'])
@pytest.mark.parametrize("more", [b"", b"x", b"\\"])
def test_a_string_that_the_bound_cuts_is_passed_once(start: bytes, unit: bytes, more: bytes) -> None:
    """A quote at which a search fails stays, and the search has read all that follows to find that out."""
    body = (start + unit * MOST_BYTES)[:MOST_BYTES] + more

    assert b'"' not in hints._STRING.sub(b"", body)
