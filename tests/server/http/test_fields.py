"""Lists and parameters in header fields, by RFC 9110 sections 5.6.1.2, 5.6.4 and 5.6.6."""

from __future__ import annotations

import pytest

from server.http.around.accept import takes_gzip, wants_page
from server.http.around.content import encoding_of, format_of
from server.http.fields import Named, elements, named


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", []),
        (b" ,\t, ,", []),
        (b"foo,bar", [b"foo", b"bar"]),
        (b"foo ,bar,", [b"foo", b"bar"]),
        (b", , foo , ,bar,charlie", [b"foo", b"bar", b"charlie"]),  # The section's own examples.
        (b"\tfoo\t,\tbar baz\t", [b"foo", b"bar baz"]),
        (b'a;x="b,c",d', [b'a;x="b,c"', b"d"]),
        (b'a;x="b\\",c",d', [b'a;x="b\\",c"', b"d"]),
        (b'"a, b', [b'"a', b"b"]),  # A quote that is never closed quotes nothing.
        (b'"a, b\\", c', [b'"a', b'b\\"', b"c"]),
    ],
)
def test_a_list_has_the_elements_that_are_not_empty(value: bytes, expected: list[bytes]) -> None:
    assert elements(value) == expected


@pytest.mark.parametrize("value", [b'"' * 8_191, b'"\\' * 4_096, b'a"b,' * 2_048, b'"' + b"\\," * 4_095, b"," * 8_192])
def test_every_byte_of_a_list_stays_and_no_value_is_too_odd(value: bytes) -> None:
    assert b"".join(elements(value)).replace(b",", b"") == value.replace(b",", b"")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"Text/Plain", Named("text/plain", [])),
        (b"text/plain ; A=b;\tc=D ;;", Named("text/plain", [("a", "b"), ("c", "D")])),
        (b'a/b;c="d;e=f"', Named("a/b", [("c", "d;e=f")])),
        (b'a/b;c="d\\"e\\\\f\\g"', Named("a/b", [("c", 'd"e\\fg')])),
        (b"a/b;c", Named("a/b", [("c", "")])),
        (b'a/b;c="', Named("a/b", [("c", '"')])),
        (b"", Named("", [])),
    ],
)
def test_what_is_named_has_parameters(value: bytes, expected: Named) -> None:
    assert named(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"application/json;charset=utf-8", "json"),
        (b"APPLICATION/JSON;CHARSET=UTF8", "json"),
        (b"application/json ;charset = utf-8", "json"),
        (b"application/json;charset=us-ascii", "json"),
        (b"application/json;charset=ASCII", "json"),
        (b'application/json;profile="x;charset=latin1"', "json"),
        (b'application/json;charset="us-\\ascii"', "json"),
        (b"application/json;charset=", "json"),
        (b"application/json;", "json"),
        (b"application/x-ndjson;charset=us-ascii", "ndjson"),
        (b"application/ndjson", "ndjson"),
        (b"application/jsonl", "ndjson"),
        (b"application/reports+json;charset=utf8", "reports"),
        (b'application/cloudevents+json;charset="us-ascii"', "cloudevents"),
        (b'application/cloudevents-batch+json ; x="a,b;c" ; charset=utf-8', "cloudevents_batch"),
        (b"application/json;charset=iso-8859-1", ""),
        (b"application/json;charset=utf-16", ""),
        (b"application/json;charset=utf-8;charset=latin1", ""),  # No two readers agree which of them counts.
        (b'application/json;charset="latin1;charset=utf-8"', ""),
        (b"application/json, application/json", ""),
        (b"application/json x", ""),
        (b"application", ""),
    ],
)
def test_a_type_is_taken_whatever_its_spelling_and_its_other_parameters(value: bytes, expected: str) -> None:
    """RFC 9110 section 8.3. ASCII is a subset of UTF-8."""
    assert format_of(value) == expected
    assert format_of(value) == expected  # As remembered.


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"gzip", "gzip"),
        (b" ,GZIP\t,", "gzip"),
        (b"X-Gzip", "gzip"),
        (b"identity, gzip", "gzip"),
        (b",", "identity"),
        (b"gzip, gzip", ""),
        (b"gzip, br", ""),
        (b"snappy", ""),
    ],
)
def test_an_encoding_is_read_from_a_list(value: bytes, expected: str) -> None:
    assert encoding_of(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"gzip", True),
        (b" , gzip;q=0.1 ,", True),
        (b"GZIP ; Q=1.000", True),
        (b"br, x-gzip", True),
        (b"*", True),
        (b"gzip;q=0", False),
        (b"gzip;q=0.000,*", False),
        (b"gzip;q=nan", False),
        (b"gzip;q=", False),
        (b"br,,", False),
        (b"", False),
    ],
)
def test_a_client_says_whether_it_takes_gzip(value: bytes, expected: bool) -> None:
    """RFC 9110 section 12.4.2: weights; 12.5.3: Accept-Encoding."""
    assert takes_gzip(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"text/html", True),
        (b",, Text/HTML ;level=1;q=0.9 , */*", True),
        (b'application/json;profile="a,text/html;q=1";q=0.9, text/html;q=0.8', False),
        (b'text/html;title="x;q=0"', True),
        (b"application/json, text/html;q=0.5", False),
        (b"*/*", False),
    ],
)
def test_a_browser_is_one_that_names_pages(value: bytes, expected: bool) -> None:
    assert wants_page(value) == expected
