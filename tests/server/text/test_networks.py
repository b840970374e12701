"""Networks mean what an operator meant by them, or are refused."""

from __future__ import annotations

import pytest

from server.text.networks import Networks, network


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
        ("10.0.0.1", "10.0.0.1/32"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("::1", "::1/128"),
        ("::/0", "::/0"),
        ("::ffff:10.0.0.1", "10.0.0.1/32"),
        ("::ffff:127.0.0.0/104", "127.0.0.0/8"),
        ("::ffff:7f00:0/104", "127.0.0.0/8"),
        ("0:0:0:0:0:ffff:127.0.0.0/104", "127.0.0.0/8"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("64:ff9b::/96", "64:ff9b::/96"),
    ],
)
def test_a_mapped_network_is_the_ipv4_network_that_it_maps(text: str, meant: str) -> None:
    """RFC 4291 section 2.5.5.2: ::ffff:0:0/96 are the nodes of IPv4."""
    assert str(network(text)) == meant


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("10.0.0.1/8", "the network is 10.0.0.0/8, the address is 10.0.0.1"),
        ("::ffff:10.0.0.1/104", "the network is 10.0.0.0/8"),
        ("::ffff:10.0.0.0/8", "host bits set"),
        ("fe80::1%eth0", "write fe80::1"),
        ("fe80::%eth0/64", "write fe80::/64"),
        ("010.0.0.1", "does not appear to be"),
        ("10.0.0.0/8 ", "does not appear to be"),
        ("localhost", "does not appear to be"),
        ("", "does not appear to be"),
    ],
)
def test_what_would_not_match_as_it_is_written_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        network(text)


def test_networks_of_clients_are_compared_in_one_form() -> None:
    networks = Networks(["::ffff:127.0.0.0/104", "fe80::/10"])

    assert "127.1.2.3" in networks and "fe80::1" in networks
    assert "128.0.0.1" not in networks and "" not in networks
