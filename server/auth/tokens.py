"""Verify tokens (JWT): the signature, issuer, audience and times, and the streams that a token names.

Place: auth.access → HERE for each header value that is not in its cache.
Rules: a token must be signed by a key of the set that its ``kid`` names, with that key's algorithm only: ``alg`` at
most chooses among keys of one name, each of which has its own. A token without ``kid`` needs the key without one, or
the only one. ``exp``, ``iss`` and ``aud`` must be present and valid; ``nbf`` and ``iat`` must be valid when present. An
invented ``kid`` costs no cryptography.
Not here: the keys (auth.public_keys), the cache (auth.access).
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

MAX_STREAMS: Final = 100  # Limits the claim, because each of its regexes is compiled.
_REQUIRED: Final = ["exp", "iss", "aud"]


class EarlyError(Exception):
    """The token is valid only from a later time on."""


class Tokens:
    """Verifies tokens by one set of public keys."""

    def __init__(self, settings: Jwt, public_keys: bytes) -> None:
        """Read the keys. Raises PublicKeysError."""
        self._settings = settings
        self.use(public_keys)

    def use(self, public_keys: bytes) -> None:
        """Verify by other keys from now on. Raises PublicKeysError, and then the old ones stay."""
        found = parse(public_keys)
        self._keys: dict[tuple[Any, Any], PublicKey] = {(key.kid, key.algorithm): key for key in found}
        self._only = found[0] if len(found) == 1 else None

    def find(self, token: bytes) -> Grant | None:
        """Return the grant of a token; None when it is not valid. Raises EarlyError."""
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
            # A stranger's header or payload makes json and base64 below PyJWT raise the last three.
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
        except ValueError:  # A regex cannot be used. The issuer meant to limit the token, so it must not allow all.
            return frozenset()
