"""Public keys of those who sign tokens: a JWKS (RFC 7517), from a file of the operator's or one that was fetched.

Place: auth.credentials at the start, fetch.public_keys for what came, auth.following for what was fetched later → HERE
→ auth.tokens.
Rules: which algorithm a key is for is told by the key, never by the token. Keys for anything but ES256, EdDSA (Ed25519)
and RS256 with at least 2,048 bits are passed over; a set without a single usable key is refused. Private parts are not
wanted here: a set that has any is refused.
Not here: tokens (auth.tokens).
"""

from __future__ import annotations

import hashlib
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


class PublicKeysError(Exception):
    """Why a set of keys cannot be used, in words for an operator; they follow its name."""


class PublicKey(msgspec.Struct, frozen=True, eq=False):
    """``kid`` is what tokens call it; None: they do not name it."""

    kid: str | None
    algorithm: str
    key: PyJWK


def kept_path(directory: Path, url: str) -> Path:
    """Where the fetcher keeps what is at a URL."""
    return directory / "public-keys" / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.json"


def read(path: Path) -> bytes:
    """The text of a set that can be used. Raises PublicKeysError."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PublicKeysError(f"cannot be read: {error.strerror}") from error
    parse(text)
    return text


def parse(text: bytes) -> list[PublicKey]:
    """The usable keys of a set. Raises PublicKeysError."""
    if len(text) > MAX_BYTES:
        raise PublicKeysError(f"has more than {MAX_BYTES} bytes")
    try:
        whole = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise PublicKeysError("is no JSON") from None
    entries = whole.get("keys") if isinstance(whole, dict) else None
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise PublicKeysError(f"is no JWKS: a map with a list `keys`, of at most {MAX_KEYS}")
    found = [key for entry in entries if isinstance(entry, dict) and (key := _key(entry)) is not None]
    if not found:
        raise PublicKeysError("has no key for ES256, EdDSA (Ed25519) or RS256 with 2,048 bits or more")
    names = [key.kid for key in found]
    if len(names) > 1 and (None in names or len({*names}) < len(names)):
        raise PublicKeysError("has several keys, so each needs a `kid` of its own")
    return found


def _key(entry: dict[str, Any]) -> PublicKey | None:
    """One of the set; None when it is for something else. Raises PublicKeysError."""
    # Imported where it is needed: cryptography takes 8 MB, which a service without tokens does not pay for.
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from jwt import PyJWK
    from jwt.exceptions import PyJWTError

    kty, kid = entry.get("kty"), entry.get("kid")
    if kty == "oct" or "d" in entry:
        raise PublicKeysError("has a secret or private key in it, which whoever reads it could sign with")
    algorithm = _ALGORITHMS.get((kty, None if kty == "RSA" else entry.get("crv")))
    is_for_this = entry.get("alg", algorithm) == algorithm and entry.get("use", "sig") == "sig"
    if algorithm is None or not is_for_this or not isinstance(kid, str | None):
        return None
    try:
        key = PyJWK(entry, algorithm)
    except (PyJWTError, ValueError, TypeError):
        raise PublicKeysError("has a key that cannot be read") from None
    if isinstance(key.key, RSAPublicKey) and key.key.key_size < MIN_RSA_BITS:
        return None
    return PublicKey(kid, algorithm, key)
