"""The HTTP client for everything that this host fetches.

Place: fetch.stream_source, fetch.fetched_schemas → HERE → the network. Only the fetcher loads it, and aiohttp with it.
Rules: only allowed origins are asked, redirects included; a redirect never takes headers to another origin. Every
answer is bounded in time and in bytes, and nothing is decompressed: the client asks for ``identity`` and refuses any
other coding. No proxy and no cookie is taken from the environment.
Not here: what an answer must look like (fetch.stream_source, validators), storing answers (fetch.store).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Self
from urllib.parse import urljoin

import aiohttp
from msgspec import Struct

from server.config.urls import origin_of
from server.fetch.retry import pause_s
from server.fetch.trouble import AbsentError, FetchError
from server.version import VERSION

if TYPE_CHECKING:
    from datetime import datetime

    from server.config.catalog_settings import Fetch

_REDIRECTS = (301, 302, 303, 307, 308)
_MAY_PASS = (408, 425, 429, 500, 502, 503, 504)
_CHUNK_BYTES = 65_536


class FetchedAnswer(Struct, frozen=True):
    """An answer. ``body`` None: the caller's copy is still right (304)."""

    body: bytes | None
    content_type: str = ""
    etag: str | None = None
    last_modified: str | None = None


class HttpClient:
    """Keeps connections; use it in ``async with``. ``allowed`` are URLs whose origins may be asked."""

    def __init__(self, settings: Fetch, allowed: Iterable[str]) -> None:
        self._settings = settings
        self._origins = {origin_of(url) for url in (*allowed, *settings.allowed_origins)}

    async def __aenter__(self) -> Self:
        settings = self._settings
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=32, limit_per_host=8, keepalive_timeout=30.0),
            timeout=aiohttp.ClientTimeout(total=settings.total_s, sock_connect=settings.connect_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"penstock/{VERSION}", "Accept-Encoding": "identity"},
            auto_decompress=False,
            trust_env=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def get_patiently(self, url: str, headers: Mapping[str, str], max_bytes: int) -> FetchedAnswer:
        """Ask, and ask again after a pause as long as that may help. Raises FetchError."""
        attempt = 1
        while True:
            try:
                return await self.get(url, headers, max_bytes)
            except FetchError as error:
                if not error.may_pass or attempt == self._settings.attempts:
                    raise
                await asyncio.sleep(pause_s(attempt, self._settings.retry_s, error.retry_after_s))
                attempt += 1

    async def get(self, url: str, headers: Mapping[str, str], max_bytes: int) -> FetchedAnswer:
        """Ask once. Raises FetchError; AbsentError when the server says that there is nothing."""
        try:
            async with asyncio.timeout(self._settings.total_s):  # This is for all redirects together.
                return await self._follow(url, headers, max_bytes)
        except TimeoutError:
            raise FetchError(f"{url}: no complete answer in time", may_pass=True) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise FetchError(f"{url}: {_words(error)}", may_pass=True) from error

    async def _follow(self, url: str, headers: Mapping[str, str], max_bytes: int) -> FetchedAnswer:
        first = url
        for _ in range(self._settings.max_redirects + 1):
            self._insist_on_origin(url)
            async with self._session.get(url, headers=headers, allow_redirects=False) as response:
                if response.status not in _REDIRECTS:
                    return await _read(response, url, max_bytes)
                target = urljoin(url, response.headers.get("Location", ""))
            if not self._is_allowed(target):
                raise FetchError(
                    f"{url}: redirects to {target[:200]}, which is not in fetch.allowed_origins", may_pass=False
                )
            if origin_of(target) != origin_of(url):
                headers = {}
            url = target
        raise FetchError(f"{first}: more than {self._settings.max_redirects} redirects", may_pass=False)

    def _is_allowed(self, url: str) -> bool:
        try:
            return origin_of(url) in self._origins
        except ValueError:
            return False

    def _insist_on_origin(self, url: str) -> None:
        if not self._is_allowed(url):
            raise FetchError(f"{url[:200]}: is not below a URL of the settings", may_pass=False)


async def _read(response: aiohttp.ClientResponse, url: str, max_bytes: int) -> FetchedAnswer:
    status = response.status
    if status == 304:
        return FetchedAnswer(None)
    if status in (404, 410):
        raise AbsentError(f"{url}: is not there ({status})")
    if status != 200:
        wait_s = retry_after_s(response.headers.get("Retry-After", ""))
        raise FetchError(f"{url}: answered {status}", may_pass=status in _MAY_PASS, retry_after_s=wait_s)
    coding = response.headers.get("Content-Encoding", "identity").lower()
    if coding not in ("", "identity"):
        raise FetchError(f"{url}: is sent as {coding}, which was not asked for", may_pass=False)
    too_large = FetchError(f"{url}: is larger than {max_bytes} bytes", may_pass=False)
    if (response.content_length or 0) > max_bytes:
        raise too_large
    body = bytearray()
    async for piece in response.content.iter_chunked(_CHUNK_BYTES):
        body += piece
        if len(body) > max_bytes:
            raise too_large
    content_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if content_type == "text/html" or body.lstrip()[:1] == b"<":
        raise FetchError(f"{url}: answered with a web page", may_pass=True)  # Usually the error page of a proxy.
    return FetchedAnswer(bytes(body), content_type, response.headers.get("ETag"), response.headers.get("Last-Modified"))


def retry_after_s(text: str, now: datetime | None = None) -> float:
    """Return the seconds of a Retry-After header, which is a number or a date; 0 when it is neither."""
    if text.strip().isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
        return max(0.0, (moment - (now or moment.now(moment.tzinfo))).total_seconds())
    except (TypeError, ValueError):
        return 0.0


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
