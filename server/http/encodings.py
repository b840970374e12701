"""Undo the Content-Encoding of a body before its handler sees it: gzip, deflate, br, zstd.

Place: http.reader → http.head.bad_encoding; http.pace → HERE → the handler of the route, which gets a plain body.
Rules:
1. Output is made piece by piece and counted: against ``max_decompressed_bytes``, against ``max_ratio`` times what was
   sent, and as bytes in flight. A bomb is refused as soon as it is known for one.
2. One body is undone at a time, the others wait in their order: a decoder may hold as much as a window, 16 MiB, however
   small its body is. The loop waits for one slice; while more is to be done, it has as long a pause between two.
3. One stream, whole, with nothing behind it: all else is damaged, 400.
4. What nobody waits for is not undone: that of a client that asks too often (http.pace), or is gone meanwhile.
Not here: which encodings are taken (http.content), bodies that are larger than they may be as sent (http.reader).
"""

from __future__ import annotations

import asyncio
import sys
import zlib
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol, cast

import brotli
from msgspec import Struct

from server.http.limits import REQUEST_BYTES, Bounds
from server.http.pace import behind
from server.http.problem import INTERNAL, Refusal
from server.http.refused_kinds import not_compressed

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from server.http.protocol import Connection
    from server.http.request import Request
    from server.http.routes import Handler
    from server.http.server import HttpServer

SLICE_S: Final = 0.001
IN_BYTES: Final = 16_384  # Given to a decoder at a time: a step that yields nothing must end soon, too.
OUT_BYTES: Final = 65_536  # Taken from it at a time, or a little more: 0.1 ms.
RATIO_FROM_BYTES: Final = 65_536  # Less than this is no bomb, whatever it was made of.
WINDOW_LOG: Final = 23  # 8 MiB, as RFC 9659 has it for zstd. Brotli's own most is 16 MiB, deflate's 32 KiB.

DAMAGED: Final = Refusal(
    400,
    "The body is not what its Content-Encoding says: it is damaged, cut off, or followed by something else. Send one "
    "whole compressed stream and nothing behind it.",
)


class DamagedError(Exception):
    """These bytes are no such stream."""


class Decoder(Protocol):
    """Undoes one stream. ``more`` gives what comes next of it, ``OUT_BYTES`` or a little more at the most."""

    def more(self, received: memoryview) -> bytes:
        """Take all of ``received``, which is empty as long as ``is_hungry`` is False. Raises DamagedError."""

    def is_hungry(self) -> bool:
        """Whether nothing comes before more is received."""

    def is_done(self) -> bool:
        """Whether the stream has ended. What is behind its end is damage."""


class _Deflated:
    """gzip, and deflate with or without the head and sum of zlib: RFC 9110 asks for them, clients leave them out."""

    def __init__(self, start: bytes, *, is_gzip: bool) -> None:
        has_head = len(start) >= 2 and start[0] & 15 == 8 and int.from_bytes(start[:2]) % 31 == 0
        self._undo = zlib.decompressobj(31 if is_gzip else zlib.MAX_WBITS if has_head else -zlib.MAX_WBITS)

    def more(self, received: memoryview) -> bytes:
        try:
            made = self._undo.decompress(self._undo.unconsumed_tail or received, OUT_BYTES)
        except zlib.error as error:
            raise DamagedError from error
        if self._undo.unused_data:
            raise DamagedError
        return made

    def is_hungry(self) -> bool:
        return not self._undo.unconsumed_tail

    def is_done(self) -> bool:
        return self._undo.eof


class _Brotli:
    def __init__(self) -> None:
        self._undo = brotli.Decompressor()

    def more(self, received: memoryview) -> bytes:
        try:
            made: bytes = self._undo.process(bytes(received), output_buffer_limit=OUT_BYTES)
        except brotli.error as error:  # What is behind the end, too.
            raise DamagedError from error
        return made

    def is_hungry(self) -> bool:
        return bool(self._undo.can_accept_more_data())

    def is_done(self) -> bool:
        return bool(self._undo.is_finished())


class _Zstandard:
    def __init__(self) -> None:
        self._undo = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: WINDOW_LOG})

    def more(self, received: memoryview) -> bytes:
        try:
            made = self._undo.decompress(received, max_length=OUT_BYTES)
        except (zstd.ZstdError, EOFError) as error:  # EOFError: more after the end.
            raise DamagedError from error
        if self._undo.unused_data:
            raise DamagedError
        return made

    def is_hungry(self) -> bool:
        return self._undo.needs_input

    def is_done(self) -> bool:
        return self._undo.eof


def decoder_of(encoding: str, start: bytes) -> Decoder:
    """A decoder for a body that begins with ``start``."""
    if encoding == "br":
        return _Brotli()
    if encoding == "zstd":
        return _Zstandard()
    return _Deflated(start, is_gzip=encoding == "gzip")


class _Undoing(Struct):
    """A body on its way. ``rest`` are the bytes that its decoder has not been given."""

    request: Request
    decoder: Decoder
    sent_bytes: int
    rest: memoryview
    pieces: list[bytes]
    made_bytes: int = 0


class Encodings:
    """One a worker."""

    def __init__(self, loop: asyncio.AbstractEventLoop, server: HttpServer, bounds: Bounds) -> None:
        self._loop = loop
        self._server = server
        self._bounds = bounds
        self._waiting: deque[tuple[Request, Handler, str]] = deque()
        self._current: tuple[_Undoing, Handler] | None = None
        self._is_turning = False

    def before(self, handler: Handler, encoding: str) -> Handler:
        """A handler that undoes ``encoding``, then calls ``handler``; who may not ask now is refused before."""
        return behind(handler, lambda inner: lambda request: self._take(request, inner, encoding))

    def _take(self, request: Request, handler: Handler, encoding: str) -> None:
        if not request.body:
            handler(request)  # Nothing is nothing, in every encoding.
            return
        self._server.hold(request, REQUEST_BYTES + len(request.body))
        self._waiting.append((request, handler, encoding))
        if not self._is_turning:
            self._turn()

    def _turn(self) -> None:
        """A slice of what waits, most often all of it; the rest after a pause."""
        self._is_turning = True
        began_s = self._loop.time()
        try:
            while (self._waiting or self._current) and self._loop.time() < began_s + SLICE_S:
                if self._current is None:
                    request, handler, encoding = self._waiting.popleft()
                    body = request.body
                    decoder = decoder_of(encoding, body)
                    self._current = _Undoing(request, decoder, len(body), memoryview(body), []), handler
                else:
                    self._go_on(*self._current)
        finally:  # Whatever is raised: nobody's body would be undone any more.
            self._is_turning = bool(self._waiting or self._current)
            if self._is_turning:
                self._loop.call_later(max(self._loop.time() - began_s, SLICE_S), self._turn)

    def _go_on(self, undoing: _Undoing, handler: Handler) -> None:
        """One step of the body whose turn it is."""
        if not cast("Connection", undoing.request.answering).is_waiting_for(undoing.request):
            self._current = None
            self._server.release(undoing.request)
            return
        try:
            refusal = self._step(undoing)
        except DamagedError:
            refusal = not_compressed(undoing.request.body) or DAMAGED
        except Exception:  # Else nobody's body would be undone any more.
            self._server.on_handler_error(undoing.request)
            refusal = INTERNAL
        if refusal is None and not undoing.decoder.is_done():
            return
        self._current = None
        request = undoing.request
        if refusal is not None:
            self._server.count(refusal)
            self._server.cors.over(refusal.handle)(request)
            return
        request.body = b"".join(undoing.pieces)
        try:
            handler(request)
        except Exception:
            self._server.on_handler_error(request)
            INTERNAL.handle(request)

    def _step(self, undoing: _Undoing) -> Refusal | None:
        """Why the body is not taken, if it is not. Raises DamagedError."""
        decoder = undoing.decoder
        cut = IN_BYTES if decoder.is_hungry() else 0
        received, undoing.rest = undoing.rest[:cut], undoing.rest[cut:]
        made = decoder.more(received)
        is_followed = decoder.is_done() and undoing.rest
        is_cut_off = not (decoder.is_done() or made or received or undoing.rest)
        if is_followed or is_cut_off:
            raise DamagedError
        if not made:
            return None
        undoing.pieces.append(made)
        undoing.made_bytes += len(made)
        return self._refusal(undoing)

    def _refusal(self, undoing: _Undoing) -> Refusal | None:
        bounds, server, made_bytes = self._bounds, self._server, undoing.made_bytes
        if made_bytes > bounds.max_decompressed_bytes:
            return bounds.big_inside
        if made_bytes > max(RATIO_FROM_BYTES, bounds.max_ratio * undoing.sent_bytes):
            return bounds.swelling
        server.hold(undoing.request, REQUEST_BYTES + undoing.sent_bytes + made_bytes)
        return bounds.full if server.in_flight_bytes > bounds.max_in_flight_bytes else None
