"""A token counts when a key of the set signed it, for us, and in time."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest

from server.auth import public_keys
from server.auth.grant import NEVER_MS
from server.auth.public_keys import PublicKeysError
from server.auth.tokens import EarlyError, Tokens
from server.config.auth_settings import Jwt
from tests.process.auth import AUDIENCE, ISSUER, Issuer, jwks

ONE, TWO = Issuer("ES256", "one"), Issuer("EdDSA", "two")
SETTINGS = Jwt(keys="x", issuer=ISSUER, audience=[AUDIENCE, "more"], leeway_s=0)


def tokens(*issuers: Issuer) -> Tokens:
    return Tokens(SETTINGS, jwks(*(issuers or (ONE, TWO))).encode())


def test_the_name_end_and_streams_of_a_token_are_its_own() -> None:
    grant = tokens().find(ONE.token(sub="me", exp=4_000_000_000, streams="a", aud=["x", "more"]).encode())

    assert grant is not None
    assert (grant.way, grant.name, grant.until_ms, grant.streams) == ("jwt", "me", 4_000_000_000_000, frozenset({"a"}))


def test_a_token_for_ever_has_an_end_that_can_be_compared() -> None:
    grant = tokens().find(ONE.token(exp=10**400).encode())

    assert grant is not None and grant.until_ms == NEVER_MS


def test_a_token_without_a_key_name_needs_a_set_of_one() -> None:
    bare = ONE.token(headers={"kid": None}).encode()
    assert tokens(ONE).find(bare) is not None
    assert tokens().find(bare) is None


def test_the_algorithm_is_the_keys_own() -> None:
    """The public key as the secret of an HMAC, no algorithm at all, and another key's name."""
    claims = jwt.decode(ONE.token(), options={"verify_signature": False})

    def forged(header: dict[str, Any], signature: bytes = b"") -> bytes:
        parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
        return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")])

    for algorithm in ("none", "None", "HS256", "RS256", "ES384", "PS256", "ES256"):
        assert tokens().find(forged({"alg": algorithm, "kid": "one"})) is None, algorithm
        assert tokens().find(forged({"alg": algorithm, "kid": "one"}, bytes(64))) is None, algorithm
    assert tokens().find(TWO.token(headers={"kid": "one"}).encode()) is None
    assert tokens().find(forged({"alg": "EdDSA", "kid": "two", "jwk": TWO.jwk}, bytes(64))) is None


@pytest.mark.parametrize(
    "token",
    [b"..", b"a.b.c", b"\xff.\xff.\xff", b"e30.e30.", b"W10.e30.", b"bnVsbA.e30.", b"." * 9_000]
    + [base64.urlsafe_b64encode(b'{"alg":"EdDSA","kid":' + kid + b"}").rstrip(b"=") + b".e30." for kid in (b"[]", b"1")]
    + [base64.urlsafe_b64encode(b"[" * 3_000).rstrip(b"=") + b".e30."],
)
def test_nothing_that_a_stranger_sends_raises(token: bytes) -> None:
    assert tokens().find(token) is None


def test_a_token_of_tomorrow_is_not_remembered_as_a_bad_one() -> None:
    with pytest.raises(EarlyError):
        tokens().find(ONE.token(nbf=4_000_000_000).encode())


def test_new_keys_replace_the_old_and_bad_ones_do_not() -> None:
    found = tokens(ONE)
    with pytest.raises(PublicKeysError):
        found.use(b"{}")
    assert found.find(ONE.token().encode()) is not None
    found.use(jwks(TWO).encode())
    assert found.find(ONE.token().encode()) is None
    assert found.find(TWO.token().encode()) is not None


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([], "no key for"),
        ([{**ONE.jwk, "use": "enc"}], "no key for"),
        ([{**ONE.jwk, "alg": "ES384"}], "no key for"),
        ([{**ONE.jwk, "crv": "P-384"}], "no key for"),
        ([{**ONE.jwk, "x": "AA"}], "cannot be read"),
        ([{**ONE.jwk, "d": "AA"}], "secret or private"),
        ([{"kty": "oct", "k": "AA", "kid": "x"}], "secret or private"),
        ([ONE.jwk, ONE.jwk], "`kid` of its own"),
        ([ONE.jwk, {**TWO.jwk, "kid": None}], "`kid` of its own"),
        ([ONE.jwk] * 101, "at most 100"),
    ],
)
def test_a_set_that_cannot_be_used_says_why(entries: list[Any], reason: str) -> None:
    with pytest.raises(PublicKeysError, match=reason):
        public_keys.parse(json.dumps({"keys": entries}).encode())


@pytest.mark.parametrize("text", [b"", b"[]", b"\xff", b"[" * 100_000, b'{"keys":{}}', b" " * 300_000])
def test_what_is_no_set_at_all_is_refused(text: bytes) -> None:
    with pytest.raises(PublicKeysError):
        public_keys.parse(text)


def test_keys_for_something_else_are_passed_over() -> None:
    small = {"kty": "RSA", "n": base64.urlsafe_b64encode(b"\xc1" * 128).decode().rstrip("="), "e": "AQAB", "kid": "s"}
    found = public_keys.parse(json.dumps({"keys": [ONE.jwk, small, {"kty": "new"}, 5]}).encode())

    assert [(key.kid, key.algorithm) for key in found] == [("one", "ES256")]
