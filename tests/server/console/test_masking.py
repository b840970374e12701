"""Masked values never leave a worker, in any form in which JSON can write them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.console.copying.masking import HIDDEN, MASKED, Masks

MASKS = Masks(["http.client_ip", "*.password"], shows_addresses=False)


@pytest.mark.parametrize(
    ("event", "masked"),
    [
        ({"http": {"client_ip": "1.2.3.4", "method": "GET"}}, {"http": {"client_ip": MASKED, "method": "GET"}}),
        ({"client_ip": "kept"}, {"client_ip": "kept"}),
        ([{"http": {"client_ip": [1, 2]}}], [{"http": {"client_ip": MASKED}}]),
        ({"a": [{"b": {"password": {"x": 1}}}]}, {"a": [{"b": {"password": MASKED}}]}),
        ({"http": [{"client_ip": 1}]}, {"http": [{"client_ip": MASKED}]}),
    ],
)
def test_paths_and_names_are_masked(event: Any, masked: Any) -> None:
    assert json.loads(MASKS.text(json.dumps(event).encode())) == masked


def test_a_text_without_the_names_is_the_same_bytes() -> None:
    raw = b'{"a":  1.0, "b": 1e5}'

    assert MASKS.text(raw) is raw


def test_a_name_in_escapes_is_masked() -> None:
    raw = b'{"pass\\u0077ord": "s3cret"}'

    assert b"s3cret" not in MASKS.text(raw)


@pytest.mark.parametrize(
    "raw", [b'{"password": "s3cret"', b"password=s3cret", b'{"password": "s3cret"}\nno JSON password']
)
def test_what_cannot_be_masked_is_not_shown(raw: bytes) -> None:
    shown = MASKS.text(raw)

    assert b"s3cret" not in shown
    assert HIDDEN in shown


SECRET = "s3cret-4711"
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.integers(-5, 5), st.text(max_size=4)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["a", "http", "password", "b"]), inner, max_size=3)
    ),
    max_leaves=12,
)


def with_secrets(value: Any) -> Any:
    """The same with the secret below each ``password``."""
    if isinstance(value, list):
        return [with_secrets(inner) for inner in value]
    if isinstance(value, dict):
        return {name: [SECRET] if name == "password" else with_secrets(inner) for name, inner in value.items()}
    return value


@given(VALUES)
def test_no_secret_is_left_wherever_it_was(value: Any) -> None:
    assert SECRET.encode() not in MASKS.text(json.dumps(with_secrets(value)).encode())


@pytest.mark.parametrize(
    ("address", "shown"),
    [("203.0.113.77", "203.0.113.0/24"), ("2001:db8:1:2::3", "2001:db8:1::/48"), ("", ""), ("odd", MASKED)],
)
def test_the_last_part_of_an_address_is_masked(address: str, shown: str) -> None:
    assert MASKS.address(address) == shown
    assert Masks([], shows_addresses=True).address(address) == address


def test_credentials_of_a_request_are_not_shown() -> None:
    headers = {b"authorization": b"Bearer x", b"cookie": b"y", b"x-odd-secret": b"z", b"content-type": b"a/b"}

    assert MASKS.headers(headers) == {"content-type": "a/b", "authorization": MASKED, "cookie": MASKED}
    assert MASKS.query(b"a=1&token=x&%7B%22p%22%3A1%7D&{1}&access_token=y") == (
        b"a=1&token=(masked)&(event)&(event)&access_token=(masked)"
    )
