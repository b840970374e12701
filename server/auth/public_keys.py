"""Read public keys of token issuers: a JWKS (RFC 7517), from a file of the operator's or one that was fetched.

Place: auth.credentials at the start, fetch.public_keys for an answer, auth.key_follower for keys fetched later → HERE →
auth.tokens.
Rules: the key decides which algorithm it is for, never the token. An entry that is no key for ES256, EdDSA (Ed25519) or
RS256 with 2,048 bits or more is passed over and counted, so that the others can be used: a key that is not understood,
lacks a member or has one out of range (RFC 7517 section 5), is for another use (4.2 to 4.4), is private, or has the
``kid`` and the algorithm of an earlier one (4.5: one ``kid`` may name a key of each algorithm). A set without any
usable key is refused as a whole: it counts as a mistake, not as the end of all tokens.
Not here: tokens (auth.tokens).
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from jwt import PyJWK

MAX_BYTES: Final = 262_144
MAX_KEYS: Final = 100
MIN_RSA_BITS: Final = 2_048
_ALGORITHMS: Final[dict[tuple[Any, Any], str]] = {
    ("EC", "P-256"): "ES256",
    ("OKP", "Ed25519"): "EdDSA",
    ("RSA", None): "RS256",
}
_MEMBERS: Final = {"EC": ("crv", "x", "y"), "OKP": ("crv", "x"), "RSA": ("n", "e")}
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})  # RFC 7518 sections 6.2.2, 6.3.2, 6.4


class PublicKeysError(Exception):
    """A set of keys cannot be used. The message is for an operator and follows the name of the set."""


class PublicKey(msgspec.Struct, frozen=True, eq=False):
    """A public key. ``kid`` is the ID by which tokens name it; None: it has no ID."""

    kid: str | None
    algorithm: str
    key: PyJWK


def kept_path(directory: Path, url: str) -> Path:
    """Return the path where the fetcher stores the keys of a URL."""
    return directory / "public-keys" / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.json"


def read(path: Path) -> bytes:
    """Read a file and return its text if the set can be used. Raises PublicKeysError."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PublicKeysError(f"cannot be read: {error.strerror}") from error
    parse(text)
    return text


def parse(text: bytes) -> list[PublicKey]:
    """Return the usable keys of a set. Raises PublicKeysError."""
    return examine(text)[0]


def examine(text: bytes) -> tuple[list[PublicKey], str]:
    """Return the usable keys of a set, and a text about the entries that were passed over, "" for none. Raises
    PublicKeysError."""
    keys: dict[tuple[str | None, str], PublicKey] = {}
    passed_over: Counter[str] = Counter()
    for entry in _entries(text):
        key = _key(entry)
        if isinstance(key, PublicKey) and (key.kid, key.algorithm) in keys:
            key = "with the same kid and algorithm as another key"
        if isinstance(key, PublicKey):
            keys[key.kid, key.algorithm] = key
        else:
            passed_over[key] += 1
    reasons = ", ".join(f"{count} {reason}" for reason, count in passed_over.items())
    if not keys:
        wanted = "has no key for ES256, EdDSA (Ed25519) or RS256 with 2,048 bits or more"
        raise PublicKeysError(f"{wanted}; ignored: {reasons}" if reasons else wanted)
    whole = len(keys) + passed_over.total()
    return [*keys.values()], f"{passed_over.total()} of {whole} keys are ignored: {reasons}" if reasons else ""


def _entries(text: bytes) -> list[Any]:
    if len(text) > MAX_BYTES:
        raise PublicKeysError(f"has more than {MAX_BYTES} bytes")
    try:
        # msgspec does not accept half of a surrogate pair, but it is JSON (RFC 8259 section 8.2).
        whole = json.loads(text)
    except (ValueError, RecursionError):
        raise PublicKeysError("is not JSON") from None
    entries = whole.get("keys") if isinstance(whole, dict) else None
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise PublicKeysError(f"is not a JWKS: a map with a list `keys` of at most {MAX_KEYS} keys")
    return entries


def _has_half_pair(entry: dict[str, Any]) -> bool:
    try:
        json.dumps(entry, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _key(entry: Any) -> PublicKey | str:
    """Read one key of the set. Returns it, or the reason why it is passed over."""
    if not isinstance(entry, dict):
        return "that is not an object"
    if _has_half_pair(entry):
        return "with half of a surrogate pair in a text"
    kty, kid = entry.get("kty"), entry.get("kid")
    if kty == "oct" or not _PRIVATE.isdisjoint(entry):
        return "secret or private, so that every reader of it could sign tokens: withdraw it"
    members = _MEMBERS.get(kty) if isinstance(kty, str) else None
    if members is None or not _is_for_signatures(entry):
        return "for something else"
    if not isinstance(kid, str | None) or not all(isinstance(entry.get(name), str) for name in members):
        return "that cannot be read"
    algorithm = _ALGORITHMS.get((kty, entry["crv"] if "crv" in members else None))
    if algorithm is None or entry.get("alg", algorithm) != algorithm:
        return "for something else"
    return _read_key(kid, algorithm, {"kty": str(kty), **{name: entry[name] for name in members}})


def _is_for_signatures(entry: dict[str, Any]) -> bool:
    operations = entry.get("key_ops", ["verify"])
    return entry.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations


def _read_key(kid: str | None, algorithm: str, jwk: dict[str, str]) -> PublicKey | str:
    # Imported where it is needed: cryptography takes 8 MB, which a service without tokens does not pay for.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from jwt import PyJWK
    from jwt.exceptions import PyJWTError

    try:
        key = PyJWK(jwk, algorithm)
    except (PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, OverflowError):
        return "that cannot be read"
    if isinstance(key.key, RSAPublicKey) and key.key.key_size < MIN_RSA_BITS:
        return f"for RSA with less than {MIN_RSA_BITS:,} bits"
    return PublicKey(kid, algorithm, key)
