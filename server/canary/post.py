"""Send one canary to one target.

Place: canary.run → HERE → the network. Only the canary process and the command load it, and aiohttp with it.
Rules: a request has a hard deadline, from its connection to the end of its answer. An answer is bounded, nothing is
followed or decompressed, and no proxy and no cookie is taken from the environment. The key is sent to targets alone.
Not here: the event (canary.event), what an answer means (canary.verdict).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Self

import aiohttp
import msgspec

from server.canary.verdict import Reply
from server.errors import SettingsError
from server.paths import Paths
from server.version import CANARY_AGENT, VERSION

if TYPE_CHECKING:
    from pathlib import Path

    from server.canary.event import Canary
    from server.canary.plan import Check

MAX_ANSWER_BYTES: Final = 65_536
MAX_WORDS: Final = 500
_OF_STREAMS: Final = ("unknown_stream", "missing_stream", "wrong_service")  # The event is right, its address is not.


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


class Poster:
    """Keeps connections; use it in ``async with``."""

    def __init__(self, request_s: float, concurrency: int, key: str | None = None) -> None:
        self._request_s = request_s
        self._concurrency = concurrency
        self._key = key

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._concurrency, force_close=True),
            timeout=aiohttp.ClientTimeout(total=self._request_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"{CANARY_AGENT}{VERSION}", "Accept-Encoding": "identity"},
            auto_decompress=False,
            trust_env=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    def headers(self, check: Check) -> dict[str, str]:
        """Return the headers of the canary of a stream and target."""
        headers = {"Content-Type": "application/json"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key}"
        if check.origin is not None:
            headers["Origin"] = check.origin
        return headers

    async def post(self, check: Check, canary: Canary) -> Reply:
        """Send a canary as a guaranteed event, alone in its request."""
        url = f"{check.url}{Paths.EVENTS}"
        return await self._ask("POST", url, self.headers(check), canary.text)

    async def ping(self, url: str) -> Reply:
        """Tell an external checker that all is well."""
        return await self._ask("GET", url, {}, None)

    async def _ask(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> Reply:
        try:
            async with (
                asyncio.timeout(self._request_s),
                self._session.request(method, url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                answer = await _head_of(response)
                return Reply(response.status, *_words(response.status, response.reason or "", answer))
        except TimeoutError:
            return Reply(0, f"no complete answer within {self._request_s:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Reply(0, str(error)[:MAX_WORDS] or type(error).__name__)


async def _head_of(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_chunked(16_384):
        body += piece
        if len(body) >= MAX_ANSWER_BYTES:
            break
    return bytes(body[:MAX_ANSWER_BYTES])


def _words(status: int, reason: str, body: bytes) -> tuple[str, bool]:
    """Return the answer in words, and whether it says that the event is invalid."""
    try:
        answer: Any = msgspec.json.decode(body) if body else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        answer = {}
    answer = answer if isinstance(answer, dict) else {}
    for kind in ("invalid", "error"):
        failed = answer.get(kind)
        if isinstance(failed, list) and failed and isinstance(failed[0], dict):
            context = failed[0].get("context")
            context = context if isinstance(context, dict) else {}
            said = context.get("errorsText") or context.get("message") or context.get("error_type") or reason
            error_type = context.get("error_type", kind)
            is_invalid = kind == "invalid" and error_type not in _OF_STREAMS
            return f"{status} {error_type}: {said}"[:MAX_WORDS], is_invalid
    detail = answer.get("detail")
    return f"{status} {detail if isinstance(detail, str) else reason}"[:MAX_WORDS], False
