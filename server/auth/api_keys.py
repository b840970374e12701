"""Make API keys, store their hashes, and find the grant of a key that is presented.

Place: ``penstock key`` makes them; auth.credentials reads their hashes; auth.access → HERE for each new header value.
Rules: a key is ``psk_<8 characters>_<32 characters>``: a handle to search by, which is no secret, and 192 random bits.
The stored hash is BLAKE2b of the whole key, keyed with a salt of its own. Guessing 192 bits is impossible, so a slow
hash would only cost time. The hashes of all keys with one handle are compared, each in constant time.
Not here: what a key allows (auth.grant), where keys are written down (auth.credentials).
"""

# hot path

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from hmac import compare_digest
from typing import Final, NamedTuple

from server.auth.grant import Grant

PREFIX: Final = b"psk_"
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
_SECRET_BYTES: Final = 24
_SALT_BYTES: Final = 16
_DIGEST_BYTES: Final = 32
_KEY = re.compile(rb"psk_([a-z0-9]{8})_[A-Za-z0-9_-]{32}")
_HASH = re.compile(r"b2:([a-z0-9]{8}):([0-9a-f]{32}):([0-9a-f]{64})")


class Hashed(NamedTuple):
    """The stored hash of a key. ``handle`` is the part of the key that is no secret."""

    handle: bytes
    salt: bytes
    digest: bytes

    def __str__(self) -> str:
        return f"b2:{self.handle.decode()}:{self.salt.hex()}:{self.digest.hex()}"


def new_key() -> str:  # cold: penstock key
    """Make a new random key."""
    handle = "".join(secrets.choice(_LETTERS) for _ in range(8))
    return f"psk_{handle}_{secrets.token_urlsafe(_SECRET_BYTES)}"


def hashed(key: str) -> Hashed:  # cold: penstock key
    """Hash a key with a new salt. Raises ValueError when the text is no key."""
    text = key.encode()
    found = _KEY.fullmatch(text)
    if found is None:
        raise ValueError("is not a key: make keys with `penstock key`")
    salt = secrets.token_bytes(_SALT_BYTES)
    return Hashed(found[1], salt, _digest(text, salt))


def parsed(text: str) -> Hashed:  # cold: once a key
    """Read a stored hash, ``b2:…``. Raises ValueError when the text is none."""
    found = _HASH.fullmatch(text)
    if found is None:
        raise ValueError("is not a hash: `penstock key` prints one for each key, beginning with b2:")
    return Hashed(found[1].encode(), bytes.fromhex(found[2]), bytes.fromhex(found[3]))


def is_key(text: str) -> bool:  # cold: what an operator wrote
    """Whether a text is a key itself, which only its owner may have."""
    return _KEY.fullmatch(text.encode()) is not None


def _digest(key: bytes, salt: bytes) -> bytes:
    return hashlib.blake2b(key, digest_size=_DIGEST_BYTES, key=salt).digest()


class ApiKeys:
    """All keys of the service, by handle."""

    __slots__ = ("_by_handle",)

    def __init__(self, keys: Iterable[tuple[Hashed, Grant]]) -> None:
        self._by_handle: dict[bytes, list[tuple[bytes, bytes, Grant]]] = {}
        for kept, grant in keys:
            self._by_handle.setdefault(kept.handle, []).append((kept.salt, kept.digest, grant))

    def find(self, key: bytes) -> Grant | None:
        """Return the grant of a key, or None. An invented key costs one dict lookup and is not cached."""
        found: Grant | None = None
        for salt, digest, grant in self._by_handle.get(key[4:12], ()):
            if compare_digest(_digest(key, salt), digest):
                found = grant
        return found
