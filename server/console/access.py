"""Access to the console: the token, and no page of another site.

Place: console.routes asks HERE before anything else.
Rules: the check of host names was made before (admin.door). A request that changes something is JSON, which a page of
another site cannot send without a preflight that is never answered, and a browser that says the request is cross-site
is believed. Comparing tokens takes the same time for all.
Not here: whether a console without a token is allowed (config.checks.console_rules).
"""

from __future__ import annotations

import hmac
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from server.errors import SettingsError

COOKIE: Final = "penstock_console"
_OWN: Final = frozenset({"", "same-origin", "none"})
MIN_TOKEN_CHARS: Final = 16


class Access:
    """The rule. ``token`` "": none is asked for."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    def refusal(self, request: web.Request) -> tuple[int, str] | None:
        """Return status and detail if a request is refused."""
        if request.headers.get("Sec-Fetch-Site", "") not in _OWN and not self._is_navigation(request):
            return 403, "Requests of other sites are refused."
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc.lower() != request.headers.get("Host", "").lower():
            return 403, "Requests of other sites are refused."
        if request.method == "POST" and request.content_type != "application/json":
            return 415, "Send JSON, with the header Content-Type: application/json."
        return None

    @staticmethod
    def _is_navigation(request: web.Request) -> bool:
        """Whether a link of another site was followed: the page itself holds no event."""
        is_page = request.method == "GET" and not request.path.startswith("/console/api/")
        return is_page and request.headers.get("Sec-Fetch-Mode") == "navigate"

    def is_known(self, request: web.Request) -> bool:
        """Whether a request has the token, as a bearer or in the cookie that ``login`` set."""
        if not self._token:
            return True
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            given = request.cookies.get(COOKIE, "")
        return self.is_token(given)

    def is_token(self, given: str) -> bool:
        """Whether a text is the token."""
        return hmac.compare_digest(given.encode("utf-8", "replace"), self._token)


def read_token(file: str | None, base_dir: Path) -> str:
    """Return the token in a file; "" without a file. Raises SettingsError."""
    if file is None:
        return ""
    try:
        token = (base_dir / file).read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        raise SettingsError(f"console.token_file, {file}: cannot be read: {error}") from None
    if len(token) < MIN_TOKEN_CHARS or not token.isascii() or not token.isprintable() or " " in token:
        raise SettingsError(
            f"console.token_file, {file}: holds no token of at least {MIN_TOKEN_CHARS} visible characters"
        )
    return token
