"""Make requests on an asyncio loop, each within a deadline. One connection per address is kept open."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any
from urllib.parse import urlsplit

from penstock_client.connection import IDLE_S, MAX_CONNECT_S, READ_BYTES, why
from penstock_client.decisions import Failure
from penstock_client.http1 import AnswerReader, BadAnswer, request_bytes
from penstock_client.jobs import Job, Result
from penstock_client.options import Options
from penstock_client.resolving import Address, resolve

COMPRESS_IN_THREAD_OVER = 64 << 10  # Bytes. Below, the loop compresses in less than a millisecond.
_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class AsyncConnections:
    """The connections of one task."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._context = options.ssl_context
        self._open: dict[tuple[str, str], tuple[_Streams, float]] = {}

    async def run(self, job: Job, deadline_s: float) -> Result:
        """Make the request; return the answer, or how it failed, soon after the deadline (``time.monotonic``)."""
        size = sum(map(len, job.bodies or ()))
        is_long = job.compress_over is not None and size > max(job.compress_over, COMPRESS_IN_THREAD_OVER)
        method, headers, body = await asyncio.to_thread(job.render) if is_long else job.render()
        parts = urlsplit(job.url)
        place = parts.scheme, parts.netloc
        try:
            async with asyncio.timeout(min(deadline_s - time.monotonic(), MAX_CONNECT_S)):
                streams = self._reuse(place) or await self._connect(place, deadline_s)
        except OSError as error:  # TimeoutError is one.
            return why(error)
        reader, writer = streams
        failure: Failure = "reset"
        answer = AnswerReader()
        keeps = False
        try:
            async with asyncio.timeout(deadline_s - time.monotonic()):
                writer.write(request_bytes(method, job.url, headers, body))
                await writer.drain()
                while answer.answer is None:
                    answer.feed(await reader.read(READ_BYTES))
            keeps = answer.keeps
        except TimeoutError:
            failure = "timeout"
        except (OSError, BadAnswer):
            failure = "reset"
        finally:
            if keeps:
                self._open[place] = streams, time.monotonic()
            else:
                _abort(writer)
        return answer.answer or failure

    def close(self) -> None:
        """Close what idles, at once: the farewell of TLS would take longer than the loop may live."""
        while self._open:
            _abort(self._open.popitem()[1][0][1])

    def _reuse(self, place: tuple[str, str]) -> _Streams | None:
        kept = self._open.pop(place, None)
        if kept is None:
            return None
        (reader, writer), since_s = kept
        if time.monotonic() - since_s < IDLE_S and not reader.at_eof() and not writer.is_closing():
            return reader, writer
        _abort(writer)
        return None

    async def _connect(self, place: tuple[str, str], deadline_s: float) -> _Streams:
        parts = urlsplit(f"{place[0]}://{place[1]}")
        is_secure = parts.scheme == "https"
        host = parts.hostname or ""
        if is_secure and self._context is None:
            import ssl

            self._context = ssl.create_default_context()
        error: OSError = OSError("no address")
        for _, address in await _resolve(host, parts.port or (443 if is_secure else 80), deadline_s):
            try:
                return await asyncio.open_connection(
                    address[0],
                    address[1],
                    ssl=self._context if is_secure else None,
                    server_hostname=host if is_secure else None,
                )
            except OSError as failed:
                error = failed
        raise error


def _abort(writer: asyncio.StreamWriter) -> None:
    """Close a connection without a farewell."""
    transport: Any = writer.transport
    try:
        transport.abort()
    except TypeError:  # Up to Python 3.12.1 a transport over TLS forgets an argument here, and closes nothing.
        transport._force_close(None)


async def _resolve(host: str, port: int, deadline_s: float) -> list[Address]:
    """As ``resolve``, in a thread of its own: the loop's executor would hold up the end of ``asyncio.run``."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[list[Address]] = loop.create_future()

    def settle(found: list[Address] | OSError) -> None:
        if not future.done():
            if isinstance(found, OSError):
                future.set_exception(found)
            else:
                future.set_result(found)

    def look_up() -> None:
        try:
            found: list[Address] | OSError = resolve(host, port, deadline_s)
        except OSError as error:
            found = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, found)

    threading.Thread(target=look_up, name="penstock-client-resolver", daemon=True).start()
    return await future
