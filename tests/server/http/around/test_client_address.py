"""Whose address is believed."""

from __future__ import annotations

from typing import Any, cast

import pytest

from server.config.settings import Http
from server.errors import SettingsError
from server.http.around import client_address
from server.http.around.client_address import MAX_HOPS, ClientAddress, address, normalised, trusted_proxies


class Asked:
    """What ``address`` looks at of a request."""

    def __init__(self, peer: str, forwarded: str | None = None, **headers: str) -> None:
        self.peer = peer
        self.headers = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
        if forwarded is not None:
            self.headers[b"x-forwarded-for"] = forwarded.encode()


PROXIES = ["10.0.0.0/8", "2001:db8::/32", "::ffff:192.0.2.128/121"]


def _of(asked: Asked, proxies: list[str] = PROXIES, header: bytes | None = None) -> str:
    return address(cast(Any, asked), trusted_proxies(proxies), header)


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("192.0.2.1", "198.51.100.1", "192.0.2.1"),  # A stranger may say what it wants.
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.1", "198.51.100.1"),  # The left-most is the client's own claim.
        ("10.0.0.1", "203.0.113.9, 198.51.100.1, 10.2.3.4,10.0.0.7", "198.51.100.1"),
        ("10.0.0.1", "10.9.9.9, 10.0.0.7", "10.9.9.9"),  # All of them trusted: the first who was there.
        ("10.0.0.1", "198.51.100.1, nonsense, 10.0.0.7", "10.0.0.7"),  # Malformed: nobody before it is known.
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1,", "198.51.100.1"),  # RFC 9110 section 5.6.1.2
        ("10.0.0.1", " , 203.0.113.9 ,\t,198.51.100.1\t, ,10.0.0.7,,", "198.51.100.1"),
        ("10.0.0.1", ",", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1:_secret", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("10.0.0.1", "[2a00::1]:443", "2a00::1"),
        ("10.0.0.1", "2A00:0:0::1", "2a00::1"),
        ("10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("2001:db8::7", "198.51.100.1", "198.51.100.1"),
        ("192.0.2.200", "198.51.100.1", "198.51.100.1"),
        ("::ffff:192.0.2.200", "198.51.100.1", "198.51.100.1"),
        ("::ffff:c000:2c8", "198.51.100.1", "198.51.100.1"),
        ("fe80::1%eth0", None, "fe80::1"),
        ("", "198.51.100.1", "198.51.100.1"),  # A Unix socket: on this host, so a proxy of ours.
        ("", None, ""),
    ],
)
def test_the_first_hop_from_the_right_that_is_no_proxy_is_the_client(
    peer: str, forwarded: str | None, expected: str
) -> None:
    assert _of(Asked(peer, forwarded)) == expected


@pytest.mark.parametrize("peer", ["192.0.2.1", "10.0.0.1", "127.0.0.1", ""])
def test_without_proxies_nobody_is_believed(peer: str) -> None:
    assert _of(Asked(peer, "198.51.100.1", x_client_ip="198.51.100.2"), [], b"x-client-ip") == peer


def test_the_configured_header_is_believed_from_a_proxy_alone() -> None:
    asked = {"forwarded": "198.51.100.1", "x_client_ip": "198.51.100.2"}

    assert _of(Asked("10.0.0.1", **asked), header=b"x-client-ip") == "198.51.100.2"
    assert _of(Asked("192.0.2.1", **asked), header=b"x-client-ip") == "192.0.2.1"
    assert _of(Asked("10.0.0.1", **asked), header=b"x-other") == "198.51.100.1"
    assert _of(Asked("10.0.0.1", "198.51.100.1", x_client_ip="bad"), header=b"x-client-ip") == "198.51.100.1"


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        ("for=198.51.100.1", "198.51.100.1"),
        ("For=198.51.100.1;proto=https;by=10.0.0.1", "198.51.100.1"),
        ('proto=https; for="198.51.100.1:4711"', "198.51.100.1"),
        ('for="[2a00::1]:4711"', "2a00::1"),
        ("for=203.0.113.9, for=198.51.100.1", "198.51.100.1"),
        ("for=203.0.113.9, for=198.51.100.1,for=10.2.3.4 ,for=10.0.0.7", "198.51.100.1"),
        ("for=198.51.100.1, for=unknown, for=10.0.0.7", "10.0.0.7"),
        ("for=_hidden", "10.0.0.1"),
        ("by=198.51.100.1", "10.0.0.1"),
        ("for=198.51.100.1;for=198.51.100.2", "10.0.0.1"),
        ("198.51.100.1", "10.0.0.1"),
        ("for=198.51.100.1 nonsense", "10.0.0.1"),
        ('for="198.51.100.1', "10.0.0.1"),
        ('for="203.0.113.9, for=198.51.100.1', "198.51.100.1"),  # An open quote hides nothing that is behind it.
        ('for=203.0.113.9;x=", for=198.51.100.1', "198.51.100.1"),
        ('for=203.0.113.9;x="a,b", for=198.51.100.1', "198.51.100.1"),
        (", ".join(["for=198.51.100.1"] + ["for=10.0.0.9"] * (MAX_HOPS + 5)), "10.0.0.9"),
        # RFC 9110 section 5.6.1.2: empty elements mean nothing.
        ("for=198.51.100.1,", "198.51.100.1"),
        (" ,for=198.51.100.1 , ,\t,", "198.51.100.1"),
        ("", "10.0.0.1"),
        (",", "10.0.0.1"),
        # RFC 7239 sections 4 and 6: quoted strings hold commas, semicolons and escapes; ports may be names.
        ('for=198.51.100.1;x="a,b;for=203.0.113.9"', "198.51.100.1"),
        ('for="198.51.100.1";x="a\\",b", for=10.0.0.7', "198.51.100.1"),
        (r'for="198.51.100\.1"', "198.51.100.1"),
        ('for="198.51.100.1:_secret"', "198.51.100.1"),
        ('for="[2a00::1]:_secret.1"', "2a00::1"),
        (";for=198.51.100.1;;proto=http;", "198.51.100.1"),
        # However a client balances its quotes, those of the proxies are their own.
        ('for=203.0.113.9;x=", for="[2a00::1]:4711"', "2a00::1"),
        ('for=203.0.113.9;x="y\\", for="[2a00::1]:4711";by="10.0.0.1"', "2a00::1"),
        ('for=203.0.113.9;x="\\, for="198.51.100.1"', "198.51.100.1"),
        ('"for=203.0.113.9", for=198.51.100.1', "198.51.100.1"),
    ],
)
def test_forwarded_is_read_as_its_rfc_has_it(forwarded: str, expected: str) -> None:
    """Where it is the configured header, and only there."""
    ours, strange = Asked("10.0.0.1"), Asked("192.0.2.1")
    ours.headers[b"forwarded"] = strange.headers[b"forwarded"] = forwarded.encode()

    assert _of(ours) == "10.0.0.1"
    assert _of(strange, header=b"forwarded") == "192.0.2.1"
    ours.headers[b"x-forwarded-for"] = b"203.0.113.66"
    assert _of(ours, header=b"forwarded") == expected


def test_endless_chains_are_not_walked() -> None:
    chain = ", ".join(["198.51.100.1"] + ["10.0.0.9"] * (MAX_HOPS + 5))

    assert _of(Asked("10.0.0.1", chain)) == "10.0.0.9"


@pytest.mark.parametrize("entry", ["1.2.3", "1.2.3.4:", "1.2.3.4:x", "[::1", "[::1]x", "[::1]:999999", "unknown", "_a"])
def test_what_is_no_address_is_none(entry: str) -> None:
    assert normalised(entry) is None


@pytest.mark.parametrize("cidr", ["10.0.0.0/33", "proxy.example", ""])
def test_a_proxy_that_is_no_network_is_a_settings_error(cidr: str) -> None:
    with pytest.raises(SettingsError, match=r"http\.trusted_proxies"):
        trusted_proxies([cidr])


def test_the_settings_are_bound_once() -> None:
    bound = ClientAddress(Http(trusted_proxies=["10.0.0.1"], client_ip_header="X-Client-IP")).of

    assert bound(cast(Any, Asked("10.0.0.1", x_client_ip="198.51.100.2"))) == "198.51.100.2"


@pytest.mark.parametrize("name", [b"a" * 8_000, b"for" * 3_000 + b"=", b"a=b;" + b"c" * 8_000])
def test_a_search_in_forwarded_begins_at_no_letter_inside_a_name(name: bytes) -> None:
    """At each it would read the rest of the name: 16 kB of them took time in the square of their length."""
    starts = [at for at in range(1, len(name)) if client_address._PAIR.match(name, at)]

    assert all(name[at - 1 : at] in b"=;" for at in starts)
    assert client_address._PAIR.match(b"xfor=192.0.2.1", 1) is None
