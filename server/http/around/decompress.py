"""Undo the Content-Encoding of a body before its handler sees it: gzip, deflate, br, zstd.

Place: http.reader → http.head.bad_encoding; http.around.request_rate → HERE → the handler of the route, which gets a
plain body.
Rules:
1. Output is made piece by piece and counted: against ``max_decompressed_bytes``, against ``max_ratio`` times what was
   sent, and as bytes in flight, of the worker and of the client. A bomb is refused as soon as it is known for one.
2. What is not done at once has its turns as its client has them (server.timing.turns). A decoder of br or zstd may
   hold a
   window of 16 MiB, however small its body is: ``MOST_WIDE`` of them may last longer than a turn, another that is not
   done by then begins again when it may.
3. Streams to the end of the body, with nothing behind them: all else is damaged, 400.
4. What nobody waits for is not undone: that of a client that asks too often (http.around.request_rate), or is gone
   meanwhile.
Not here: the decoders (http.around.decoders), which encodings are taken (http.around.content), bodies that are larger
than they may be as sent (http.reader).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from server.http.around import decoders
from server.http.around.decoders import IN_BYTES, MOST_STREAMS, DamagedError, Decoder, ManyStreamsError
from server.http.around.refused_kinds import not_compressed
from server.http.around.request_rate import behind
from server.http.limits import REQUEST_BYTES, RequestLimits
from server.http.problem import INTERNAL, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.http.protocol import Connection
    from server.http.request import Request
    from server.http.routes import Handler
    from server.http.server import HttpServer
    from server.timing.turns import Turns

SLICE_S: Final = 0.001
RATIO_FROM_BYTES: Final = 65_536  # Less than this is no bomb, whatever it was made of.
MOST_WIDE: Final = 3

DAMAGED: Final = Refusal(
    400,
    "The body is not what its Content-Encoding says: it is damaged, cut off, or followed by something else. Send "
    "whole compressed streams and nothing behind them.",
)
MANY_STREAMS: Final = Refusal(
    413, f"The body is made of more than {MOST_STREAMS} compressed streams. Compress it as one.", kind="body"
)


class Decompressor:
    """One a worker."""

    def __init__(self, clock: Callable[[], float], server: HttpServer, bounds: RequestLimits, turns: Turns) -> None:
        self.clock = clock
        self.server = server
        self.bounds = bounds
        self.wide = 0  # Decoders that may hold a window between two turns.
        self._turns = turns

    def before(self, handler: Handler, encoding: str) -> Handler:
        """A handler that undoes ``encoding``, then calls ``handler``; who may not ask now is refused before."""
        return behind(handler, lambda inner: lambda request: self._take(request, inner, encoding))

    def _take(self, request: Request, handler: Handler, encoding: str) -> None:
        if not request.body:
            handler(request)  # Nothing is nothing, in every encoding.
            return
        self.server.hold(request, REQUEST_BYTES + len(request.body))
        undoing = Decompression(self, request, handler, encoding)
        if self._turns.has_any() or not undoing.go_on(SLICE_S):
            self._turns.take(self.server.client_of(request), undoing)


class Decompression:
    """A body on its way, as a job of its client (server.timing.turns)."""

    __slots__ = (
        "_decoder",
        "_encoding",
        "_handler",
        "_has_place",
        "_late_s",
        "_made_bytes",
        "_of",
        "_pieces",
        "_request",
        "_rest",
    )

    def __init__(self, of: Decompressor, request: Request, handler: Handler, encoding: str) -> None:
        self._of = of
        self._request = request
        self._handler = handler
        self._encoding = encoding
        self._has_place = False  # Among those of ``wide``.
        self._late_s = of.clock() + of.bounds.answer_s / 2
        self._begin()

    def _begin(self) -> None:
        self._decoder: Decoder | None = None
        self._rest = memoryview(self._request.body)  # What the decoder has not been given.
        self._pieces: list[bytes] = []
        self._made_bytes = 0

    def is_wanted(self) -> bool:
        """Whether the client is still there."""
        return cast("Connection", self._request.answering).is_waiting_for(self._request)

    def is_late(self) -> bool:
        """Whether what is left of ``answer_s`` is less than the handler may need."""
        return self._of.clock() > self._late_s

    def refuse(self) -> None:
        """The client sends more than its share."""
        self._end(self._of.bounds.full)

    def drop(self) -> None:
        """The client has gone."""
        self._leave()
        self._of.server.release(self._request)

    def on_bug(self) -> None:
        """An exception of ours, in a decoder or in the handler."""
        self._end(INTERNAL, is_bug=True)

    def go_on(self, time_s: float) -> bool:
        """A slice of it."""
        try:
            return self._go_on(self._of.clock() + time_s)
        except Exception:
            self.on_bug()
            return True

    def _go_on(self, until_s: float) -> bool:
        decoder = self._decoder or decoders.decoder_of(self._encoding, self._request.body)
        self._decoder = decoder
        while True:
            try:
                refusal = self._step(decoder)
            except DamagedError:
                refusal = not_compressed(self._request.body) or DAMAGED
            except ManyStreamsError:
                refusal = MANY_STREAMS
            if refusal is not None:
                self._end(refusal)
                return True
            if decoder.is_done() and not self._rest:
                self._hand_on()
                return True
            if self._of.clock() >= until_s:
                break
        if decoder.is_wide and not self._has_place:
            self._take_place()
        return False

    def _take_place(self) -> None:
        """Keep the decoder if there is room for one more, or begin again in the next turn."""
        of = self._of
        if of.wide < MOST_WIDE:
            of.wide += 1
            self._has_place = True
        else:
            self._begin()
            of.server.hold(self._request, REQUEST_BYTES + len(self._request.body))

    def _leave(self) -> None:
        self._of.wide -= self._has_place
        self._has_place = False
        self._decoder = None

    def _end(self, refusal: Refusal, *, is_bug: bool = False) -> None:
        server, request = self._of.server, self._request
        self._leave()
        self._pieces.clear()
        if is_bug:
            server.on_handler_error(request)
        server.count(refusal)
        server.cors.over(refusal.handle)(request)

    def _hand_on(self) -> None:
        request = self._request
        self._leave()
        request.body = b"".join(self._pieces)
        self._pieces.clear()
        self._handler(request)

    def _step(self, decoder: Decoder) -> Refusal | None:
        """Why the body is not taken, if it is not. Raises DamagedError, ManyStreamsError."""
        cut = IN_BYTES if decoder.is_hungry() else 0
        received, self._rest = self._rest[:cut], self._rest[cut:]
        made = decoder.more(received)
        if not (decoder.is_done() or made or received or self._rest) and decoder.is_hungry():
            raise DamagedError  # Cut off.
        if not made:
            return None
        self._pieces.append(made)
        self._made_bytes += len(made)
        return self._refusal()

    def _refusal(self) -> Refusal | None:
        bounds, server, sent_bytes = self._of.bounds, self._of.server, len(self._request.body)
        if self._made_bytes > bounds.max_decompressed_bytes:
            return bounds.big_inside
        if self._made_bytes > max(RATIO_FROM_BYTES, bounds.max_ratio * sent_bytes):
            return bounds.swelling
        server.hold(self._request, REQUEST_BYTES + sent_bytes + self._made_bytes)
        return bounds.full if server.is_too_much(self._request) else None
