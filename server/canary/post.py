"""Send one canary to one target, and read a stream in which one is expected.

Place: canary.run, canary.listen → HERE → the network. Only the canary process and the command load it, and aiohttp
with it.
Rules: a request has a hard deadline, from its connection to the end of its answer. An answer is bounded, its words are
printable, nothing is followed or decompressed, and no proxy and no cookie is taken from the environment. The key is
sent to targets alone.
Not here: the event (canary.event), what an answer means (canary.verdict).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Self

import aiohttp
import msgspec

from server.auth.canary_pass import HEADER
from server.canary.verdict import Reply
from server.log import printable
from server.paths import Paths
from server.version import CANARY_AGENT, VERSION

if TYPE_CHECKING:
    from server.canary.event import Canary
    from server.canary.plan import Check

MAX_ANSWER_BYTES: Final = 65_536
MAX_WORDS: Final = 500
_OF_STREAMS: Final = ("unknown_stream", "missing_stream", "wrong_service")  # The event is right, its address is not.


class Poster:
    """Keeps connections; use it in ``async with``."""

    def __init__(self, request_s: float, concurrency: int, key: str | None = None, secret: str | None = None) -> None:
        """``key`` and ``secret`` go to targets alone (auth.canary_pass)."""
        self._request_s = request_s
        self._concurrency = concurrency
        self._key = key
        self._secret = secret

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            # A canary has its request, and the stream that it is looked for in.
            connector=aiohttp.TCPConnector(limit=2 * self._concurrency, force_close=True),
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
        url, headers = f"{check.url}{Paths.EVENTS}", self.headers(check)
        if self._secret is not None:
            headers[HEADER] = self._secret
        return await self._ask("POST", url, headers, canary.text)

    async def ping(self, url: str) -> Reply:
        """Tell an external checker that all is well."""
        return await self._ask("GET", url, {}, None)

    async def read(self, url: str, needle: bytes, on_open: Callable[[], None]) -> str:
        """Read a stream of EventStreams until ``needle`` has come. ``on_open`` is called when it begins. Returns
        nothing then, else why there is no more of it. It has no deadline."""
        try:
            async with self._session.get(
                url,
                headers={"Accept": "application/x-ndjson"},
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._request_s),
            ) as response:
                if response.status != 200:
                    return _words(response.status, response.reason or "", await _head_of(response))[0]
                on_open()
                tail = b""
                async for piece in response.content.iter_any():
                    tail += piece
                    if needle in tail:
                        return ""
                    tail = tail[-len(needle) :]
                return "the stream has ended"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _plain(str(error)) or type(error).__name__

    async def _ask(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> Reply:
        try:
            async with (
                asyncio.timeout(self._request_s),
                self._session.request(method, url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                answer = await _head_of(response)
                return Reply(response.status, *_words(response.status, response.reason or "", answer))
        except TimeoutError:
            return Reply(0, f"no complete answer within {self._request_s:g} s", is_late=True)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Reply(0, _plain(str(error)) or type(error).__name__)


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
            return _plain(f"{status} {error_type}: {said}"), is_invalid
    detail = answer.get("detail")
    return _plain(f"{status} {detail if isinstance(detail, str) else reason}"), False


def _plain(text: str) -> str:
    """Return words of a target that can be written. aiohttp makes lone surrogates of bytes that are no UTF-8."""
    return printable(text[:MAX_WORDS])[:MAX_WORDS]
