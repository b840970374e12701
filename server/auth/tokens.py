"""Tokens (JWT): who signed one, for whom, until when, and which streams it names.

Place: auth.access → HERE for each header value that was not seen before; what comes back is remembered there.
Rules: signed by a key of the set that the token's ``kid`` names, with that key's algorithm alone: ``alg`` at most
chooses among keys of one name, each of which has its own. A token without ``kid`` goes with the key without one, or the
only one. ``exp``, ``iss`` and ``aud`` must be there and right; ``nbf`` and ``iat`` when they are there. An invented
``kid`` costs no cryptography.
Not here: the keys (auth.public_keys), memory (auth.access).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jwt import ImmatureSignatureError, PyJWTError, decode, get_unverified_header

from server.auth.grant import NEVER_MS, Grant
from server.auth.names import names_of
from server.auth.public_keys import parse

if TYPE_CHECKING:
    from server.auth.names import StreamNames
    from server.auth.public_keys import PublicKey
    from server.config.auth_settings import Jwt

MAX_STREAMS: Final = 100  # In the claim: each regex of them is compiled.
_REQUIRED: Final = ["exp", "iss", "aud"]


class EarlyError(Exception):
    """A token that is right, but not yet."""


class Tokens:
    """Verifies tokens by one set of public keys."""

    def __init__(self, settings: Jwt, public_keys: bytes) -> None:
        """Raises PublicKeysError."""
        self._settings = settings
        self.use(public_keys)

    def use(self, public_keys: bytes) -> None:
        """Other keys from now on. Raises PublicKeysError, and keeps the old ones."""
        found = parse(public_keys)
        self._keys: dict[tuple[Any, Any], PublicKey] = {(key.kid, key.algorithm): key for key in found}
        self._only = found[0] if len(found) == 1 else None

    def find(self, token: bytes) -> Grant | None:
        """What the token allows; None when it is not to be believed. Raises EarlyError."""
        settings = self._settings
        try:
            header = get_unverified_header(token)
            kid = header.get("kid")
            key = self._keys.get((kid, header.get("alg")))
            if key is None and kid is None:
                key = self._only
            if key is None:
                return None
            claims = decode(
                token,
                key.key,
                [key.algorithm],
                {"require": _REQUIRED},
                audience=settings.audience,
                issuer=settings.issuer,
                leeway=settings.leeway_s,
            )
        except ImmatureSignatureError:
            raise EarlyError from None
        except (PyJWTError, ValueError, TypeError, RecursionError):
            # The last three: what a stranger's header or payload makes of json and base64 below PyJWT.
            return None
        until_ms = min(int(claims["exp"]) * 1000 + int(settings.leeway_s * 1000), NEVER_MS)
        return Grant("jwt", str(claims.get("sub", ""))[:200], until_ms, self._streams(claims))

    def _streams(self, claims: dict[str, Any]) -> frozenset[str] | StreamNames | None:
        claim = self._settings.streams_claim
        if claim is None:
            return None
        given = claims.get(claim, ())
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list) or len(texts) > MAX_STREAMS or not all(isinstance(one, str) for one in texts):
            return frozenset()
        try:
            return names_of(texts)
        except ValueError:  # A regular expression that cannot be used: the issuer meant something, not everything.
            return frozenset()
