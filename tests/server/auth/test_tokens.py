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


WEAK = {"kty": "RSA", "n": base64.urlsafe_b64encode(b"\xc1" * 128).decode().rstrip("="), "e": "AQAB", "kid": "s"}
RSA = Issuer("RS256", "three").jwk


def without(jwk: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in jwk.items() if key != name}


# RFC 7517 section 5 tells to ignore keys that are not understood, lack a member or are out of range; sections 4.2 to
# 4.4 say what a key is for.
ODD: list[tuple[Any, str]] = [
    ({**ONE.jwk, "use": "enc"}, "something else"),
    ({**ONE.jwk, "use": ["sig"]}, "something else"),
    ({**ONE.jwk, "key_ops": ["encrypt"]}, "something else"),
    ({**ONE.jwk, "key_ops": "verify"}, "something else"),
    ({**ONE.jwk, "alg": "ES384"}, "something else"),
    ({**RSA, "alg": "PS256"}, "something else"),
    ({**ONE.jwk, "crv": "P-384"}, "something else"),
    ({**ONE.jwk, "crv": "secp256k1"}, "something else"),
    ({**TWO.jwk, "crv": "X25519"}, "something else"),
    ({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA", "kid": "x"}, "something else"),
    ({"kty": ["RSA"], "kid": "x"}, "something else"),
    ({"kid": "x"}, "something else"),
    ({}, "something else"),
    (without(RSA, "n"), "cannot be read"),
    (without(RSA, "e"), "cannot be read"),
    ({**RSA, "n": 5}, "cannot be read"),
    ({**RSA, "n": ""}, "cannot be read"),
    ({**RSA, "e": "!"}, "cannot be read"),
    ({**RSA, "e": "AA"}, "cannot be read"),
    ({**RSA, "kid": 5}, "cannot be read"),
    (without(ONE.jwk, "y"), "cannot be read"),
    (without(ONE.jwk, "crv"), "cannot be read"),
    ({**ONE.jwk, "crv": {}}, "cannot be read"),
    ({**ONE.jwk, "x": "AA"}, "cannot be read"),
    ({**ONE.jwk, "y": ONE.jwk["x"]}, "cannot be read"),  # Not on the curve.
    ({**TWO.jwk, "x": "AA"}, "cannot be read"),
    (WEAK, "less than 2,048 bits"),
    ({**ONE.jwk, "d": "AA"}, "secret or private"),
    ({"kty": "oct", "k": "AA", "kid": "x"}, "secret or private"),
    (5, "not an object"),
    (None, "not an object"),
    ([], "not an object"),
]


@pytest.mark.parametrize(("odd", "reason"), ODD)
def test_an_odd_key_beside_a_good_one_is_passed_over_and_said(odd: Any, reason: str) -> None:
    good = Issuer("EdDSA", "good")
    text = json.dumps({"keys": [odd, good.jwk, odd]}).encode()
    keys, passed_over = public_keys.examine(text)

    assert [(key.kid, key.algorithm) for key in keys] == [("good", "EdDSA")]
    assert passed_over.startswith("2 of 3 keys are ignored: 2 ") and reason in passed_over
    assert Tokens(SETTINGS, text).find(good.token().encode()) is not None


def test_only_members_that_are_needed_are_looked_at() -> None:
    """RFC 7517 section 4: members that are not understood are ignored."""
    half = {**ONE.jwk, "kid": "\ud800"}  # JSON by RFC 8259 section 8.2, and no name that a token can have.
    keys, passed_over = public_keys.examine(json.dumps({"keys": [half, ONE.jwk]}).encode())
    assert len(keys) == 1
    assert "1 with half of a surrogate pair in a text" in passed_over
    _, passed_over = public_keys.examine(json.dumps({"keys": [{**ONE.jwk, "x5c": 5, "new": {}}], "more": 1}).encode())

    assert passed_over == ""


def test_one_name_may_stand_for_a_key_of_each_algorithm() -> None:
    """RFC 7517 section 4.5."""
    ec, ed, rsa, late = (Issuer(one, "one") for one in ("ES256", "EdDSA", "RS256", "ES256"))
    found = tokens(ec, ed, rsa, late)

    for issuer in (ec, ed, rsa):
        assert found.find(issuer.token().encode()) is not None
    assert found.find(late.token().encode()) is None
    assert (
        "1 with the same kid and algorithm as another key" in public_keys.examine(jwks(ec, ed, rsa, late).encode())[1]
    )


def test_a_token_without_a_key_name_goes_with_the_key_without_one() -> None:
    nameless, other = Issuer("EdDSA", "x"), Issuer("EdDSA", "y")
    del nameless.jwk["kid"]
    found = tokens(nameless, ONE, TWO)

    assert found.find(nameless.token(headers={"kid": None}).encode()) is not None
    assert found.find(other.token(headers={"kid": None}).encode()) is None
    assert found.find(ONE.token(headers={"kid": None}).encode()) is None


@pytest.mark.parametrize(("entries", "reason"), [([], ""), *(([odd], reason) for odd, reason in ODD)])
def test_a_set_without_a_usable_key_is_refused_and_says_why(entries: list[Any], reason: str) -> None:
    with pytest.raises(PublicKeysError, match=rf"has no key for .*{reason}"):
        public_keys.parse(json.dumps({"keys": entries}).encode())


def test_a_set_is_bounded() -> None:
    with pytest.raises(PublicKeysError, match="at most 100"):
        public_keys.parse(json.dumps({"keys": [ONE.jwk] * 101}).encode())


@pytest.mark.parametrize("text", [b"", b"[]", b"\xff", b"[" * 100_000, b'{"keys":{}}', b" " * 300_000])
def test_what_is_no_set_at_all_is_refused(text: bytes) -> None:
    with pytest.raises(PublicKeysError):
        public_keys.parse(text)
