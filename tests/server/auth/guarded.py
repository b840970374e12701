"""What is guarded: streams, keys, and requests as the guard sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.auth.access import Access
from server.auth.api_keys import hashed, new_key
from server.auth.credentials import Credentials
from server.auth.guard import Guard
from server.auth.key_entries import ApiKey
from server.catalog.stream import make
from server.config.auth_settings import Auth
from server.intake.arrival import Arrival

NOW_MS = 1_700_000_000_000


class Request:
    """As much of one as the guard looks at."""

    def __init__(self, path: bytes = b"/v1/events", **params: str) -> None:
        self.headers: Mapping[bytes, bytes] = {}
        self.path = path
        self.query = b"x" if params else b""
        self._params = params

    def params(self) -> Mapping[str, str]:
        return self._params


def key(name: str = "web", expires_ms: int | None = None, **more: Any) -> tuple[str, ApiKey]:
    """A key, and what is kept of it."""
    text = new_key()
    return text, ApiKey(name, hashed(text), more.get("streams"), more.get("origins"), expires_ms)


def access(*keys: ApiKey, **settings: Any) -> Access:
    return Access(Auth(**settings), Credentials(keys), lambda _: True)


def guard(known: Access, name: str = "s", **asked: Any) -> Guard:
    """Of a stream that asks for this."""
    found = known.guard(make(name, name, {"producers": {"eventgate": asked}}, ""))
    assert found is not None
    return found


def refused(guarding: Guard, *, now_ms: int = NOW_MS, **headers: str) -> str | None:
    given = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return guarding.refuses(Arrival(now_ms, b"", given, lambda _: "192.0.2.1", Request()))
