"""Recognise canaries that are sent by the canary process, so that no rate limit refuses them.

Place: worker makes one → HERE, asked by http.around.request_rate for each client; canary.post sends what is shown.
Rules: a name in ``User-Agent`` is not enough, because any client may claim it. A canary shows the secret that the
processes of one master share, or the key of ``canary.key_file``, which all hosts of a service may have. Nothing but
rate limits depends on it.
Not here: who may write (auth.guard), how canaries are told from traffic in counts (intake.request_options).
"""

from __future__ import annotations

from hmac import compare_digest
from typing import TYPE_CHECKING, Final, Protocol

from server.errors import SettingsError
from server.version import CANARY_AGENT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HEADER: Final = "X-Penstock-Canary"
_HEADER: Final = HEADER.lower().encode()
_AGENT: Final = CANARY_AGENT.encode()


class Request(Protocol):
    """The part of http.request.Request that is used here."""

    headers: Mapping[bytes, bytes]


class CanaryPass:
    """The proof that canaries of this service show."""

    def __init__(self, secret: str, key: str | None = None) -> None:
        self._secret = secret.encode()
        self._key = f"Bearer {key}".encode() if key is not None else None

    def is_shown(self, request: Request) -> bool:
        """Whether a canary process has sent the request."""
        headers = request.headers
        if not headers.get(b"user-agent", b"").startswith(_AGENT):
            return False
        if compare_digest(headers.get(_HEADER, b""), self._secret):
            return True
        return self._key is not None and compare_digest(headers.get(b"authorization", b""), self._key)


def read_key(path: Path | None) -> str | None:
    """Return the key in a file. Raises SettingsError."""
    if path is None:
        return None
    try:
        key = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"canary.key_file: {path} cannot be read: {error}") from None
    if not key.isascii() or not key.isprintable() or not key:
        raise SettingsError(f"canary.key_file: {path} holds no key")
    return key


def pass_of(secret: str, path: Path | None) -> CanaryPass:
    """Return the pass of a service. The canary process says why a key file cannot be used."""
    try:
        return CanaryPass(secret, read_key(path))
    except SettingsError:
        return CanaryPass(secret)
