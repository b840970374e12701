"""Each action of ``x-privacy``, by table: what takes the place of a value, and which values are removed."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode

import pytest
from msgspec import Raw

from server.privacy.actions import Actions
from server.privacy.keys import HashKey, HashKeys

SECRET = b"0123456789abcdef0123456789abcdef"
KEYS = HashKeys(None, (HashKey("2026-11", SECRET),))
ACTIONS = Actions(KEYS)


def hashed(text: bytes) -> str:
    digest = hmac.new(SECRET, text, hashlib.sha256).digest()
    return f"hmac:2026-11:{urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def carried_out(action: str, text: str, *, is_strict: bool = False) -> object:
    """The value in the place of this one; ... for none."""
    act = ACTIONS.strict if is_strict else ACTIONS.usual
    found = act(action, Raw(text.encode()))
    return ... if found is None else json.loads(bytes(found))


TABLE = [
    ("drop", '"a"', ...),
    ("drop", "null", ...),
    ("drop", "[1]", ...),
    ("hash", '"ada@example.org"', hashed(b"ada@example.org")),
    ("hash", '"\\u0061da@example.org"', hashed(b"ada@example.org")),
    ("hash", '"é"', hashed("é".encode())),
    ("hash", "17", hashed(b"17")),
    ("hash", "17.0", hashed(b"17")),
    ("hash", "123456789012345678901234567890", hashed(b"123456789012345678901234567890")),
    ("hash", "true", hashed(b"true")),
    ("hash", "null", None),
    ("hash", '["a","b"]', [hashed(b"a"), hashed(b"b")]),
    ("hash", '{"b": 1, "a": 2}', hashed(b'{"a":2,"b":1}')),
    ("truncate-ip", '"10.20.30.40"', "10.20.30.0"),
    ("truncate-ip", '"2001:db8:1:2:3:4:5:6"', "2001:db8:1::"),
    ("truncate-ip", '"fe80::1%eth0"', "fe80::"),
    ("truncate-ip", '"10.20.30.40:80"', ...),
    ("truncate-ip", '"ada"', ...),
    ("truncate-ip", "17", ...),
    ("truncate-ip", "{}", ...),
    ("truncate-ip", "null", None),
    ("truncate-ip", '["10.20.30.40", "ada"]', ["10.20.30.0"]),
    ("coarse-time", '"2026-11-29T06:41:37.123Z"', "2026-11-29T06:00:00Z"),
    ("coarse-time", '"2026-11-29T00:41:37+02:00"', "2026-11-28T22:00:00Z"),
    ("coarse-time", '"2026-11-29T06:41:37"', "2026-11-29T06:00:00Z"),
    ("coarse-time", '"2026-11-29"', "2026-11-29"),
    ("coarse-time", '"yesterday"', ...),
    ("coarse-time", '"0001-01-01T00:00:00+10:00"', ...),
    ("coarse-time", "1764398497", ...),
    ("coarse-time", "null", None),
]
STRICT = [
    ("hash", '"a"', ...),
    ("truncate-ip", '"10.20.30.40"', ...),
    ("coarse-time", '"2026-11-29T06:41:37.123Z"', "2026-11-29T00:00:00Z"),
    ("coarse-time", '"yesterday"', ...),
    ("drop", '"a"', ...),
]


@pytest.mark.parametrize(("action", "text", "expected"), TABLE)
def test_an_action_puts_another_value_in_the_place_of_one(action: str, text: str, expected: object) -> None:
    assert carried_out(action, text) == expected


@pytest.mark.parametrize(("action", "text", "expected"), STRICT)
def test_the_strict_set_leaves_less(action: str, text: str, expected: object) -> None:
    assert carried_out(action, text, is_strict=True) == expected


def test_an_address_of_ipv4_in_ipv6_loses_as_much_as_one_of_ipv4() -> None:
    found = carried_out("truncate-ip", '"::ffff:10.20.30.40"')

    assert found in ("::ffff:10.20.30.0", "::ffff:a14:1e00")


def test_without_a_key_a_value_to_be_hashed_is_removed() -> None:
    assert Actions(HashKeys()).usual("hash", Raw(b'"a"')) is None


def test_a_hash_is_hashed_again_unless_events_have_come_this_way_before() -> None:
    text = Raw(json.dumps(hashed(b"a")).encode())
    recovered = Actions(KEYS, keeps_hashes=True)

    assert ACTIONS.usual("hash", text) != text
    assert recovered.usual("hash", text) == text
    assert recovered.usual("hash", Raw(b'"hmac:2026-11:short"')) == ACTIONS.usual("hash", Raw(b'"hmac:2026-11:short"'))
