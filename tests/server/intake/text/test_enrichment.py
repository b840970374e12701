"""server.intake.text.enrichment: the text of a header, as events get it."""

from __future__ import annotations

import json

import pytest

from server.intake.arrival import MAX_HEADER_CHARS, Arrival
from server.intake.text.enrichment import header


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"Bogota", "Bogota"),
        ("Bogotá".encode(), "Bogotá"),  # As proxies write names of places.
        ("Bogotá".encode("latin-1"), "Bogotá"),  # As the Fetch Standard has browsers write it.
        ("東京 🐢".encode(), "東京 🐢"),
        (b"\xed\xa0\xbd", "í\xa0½"),
        (("x" * 399 + "🐢🐢").encode(), "x" * 399 + "🐢"),
        (("x" * 399 + "á" * 9).encode(), "x" * 399 + "á"),
        ("á".encode() * 300, "á" * 300),  # 600 bytes are 300 characters.
        ("é".encode("latin-1") * 500, "é" * 400),
        (b'"\\' * 300, '"\\' * 200),
    ],
)
def test_a_header_is_utf_8_where_it_is_and_is_cut_between_characters(value: bytes, expected: str) -> None:
    arrival = Arrival(0, b'""', {b"x-city": value})

    assert json.loads(arrival.header(b"x-city") or b"") == expected


def test_the_samples_of_a_header_are_as_odd_as_what_comes() -> None:
    """A reader takes a schema's word for what is filled in, so these must be the longest and oddest texts."""
    samples = [json.loads(sample) for sample in header(b"x-city").samples]

    assert max(map(len, samples)) == MAX_HEADER_CHARS
    assert max("".join(samples)) > "\uffff"
