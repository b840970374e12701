"""An origin is written as browsers send it, and stands for itself, or for every host below a name."""

from __future__ import annotations

import pytest

from server.text import origins as module
from server.text.origins import MAX_BYTES, Origins, as_sent, is_origin, origins_of


@pytest.mark.parametrize(
    "text",
    [
        "https://a.example",
        "http://localhost:8080",
        "https://*.a.example",
        "https://[::1]:80",
        "chrome-extension://abc",
        "https://a.example:443",
    ],
)
def test_what_browsers_send_is_an_origin(text: str) -> None:
    assert is_origin(text)


@pytest.mark.parametrize(
    "text",
    [
        *("*", "null", "a.example", "https://", "https://*", "https://a.example/", "https://A.example", "https://["),
        *("https://a.example:0443", "https://a.example:65536", "https://[0:0:0:0:0:0:0:1]", "https://[::1::]"),
        *("https://a@b.example", "https://*a.example", "https://a.*", "https://a.example\n", "", None, 5),
    ],
)
def test_anything_else_is_none(text: object) -> None:
    assert not is_origin(text)


def test_names_alone_are_a_plain_set() -> None:
    assert origins_of(["https://a.example"]) == frozenset({b"https://a.example"})


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://a.example:443", b"https://a.example"),
        ("http://a.example:80", b"http://a.example"),
        ("https://[::1]:443", b"https://[::1]"),
        ("https://*.a.example:443", b"https://x.a.example"),
        ("https://a.example:80", b"https://a.example:80"),
        ("http://a.example:443", b"http://a.example:443"),
        ("https://a.example:8443", b"https://a.example:8443"),
    ],
)
def test_a_default_port_is_left_out_as_browsers_do(written: str, sent: bytes) -> None:
    """RFC 6454 section 6.2, step 3."""
    assert sent in origins_of([written])
    assert sent in Origins([as_sent(written)])


def test_a_star_stands_for_every_host_below_and_for_nothing_else() -> None:
    found = origins_of(["https://*.a.example", "https://b.example:8443"])

    assert all(
        one in found for one in (b"https://x.a.example", b"https://x_1.y-2.a.example", b"https://b.example:8443")
    )
    for other in (
        *(b"https://a.example", b"http://x.a.example", b"https://x.a.example:80", b"https://xa.example", b"null", b""),
        *(b"https://evil.example/.a.example", b"https://evil.example#.a.example", b"https://x.a.example.evil.example"),
        *(b"https://.a.example", b"https://x.a.example\n", b"https://x.aaexample", b"https://b.example", None),
    ):
        assert other not in found, other


def test_invented_origins_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CACHED", 10)
    found = Origins(["https://*.a.example"])
    for number in range(100):
        assert b"https://%d.a.example" % number in found
    assert b"https://%b.a.example" % (b"x" * MAX_BYTES) not in found

    assert len(found._cache) <= 10
