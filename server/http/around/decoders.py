"""Decoders of compressed bodies, piece by piece: gzip, deflate, br, zstd.

Place: http.around.decompress → HERE → zlib, brotli, zstd.
Rules: a step takes few bytes, yields few bytes and stays within one stream, so that bodies of many empty streams do not
block the loop. gzip is any number of members (RFC 1952 section 2.2), zstd any number of frames, including skippable
ones (RFC 8878 section 3.1); deflate and br are one stream (RFC 1950, RFC 7932). Bytes after the last stream are damage.
Not here: how large a body may become, whose turn it is (http.around.decompress).
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from typing import Any, Final, Protocol

import brotli

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

IN_BYTES: Final = 16_384  # Input of one step: a step that yields nothing must end soon, too.
OUT_BYTES: Final = 65_536  # Output of one step, or a little more: it takes 0.1 ms.
WINDOW_LOG: Final = 23  # 8 MiB, the limit of RFC 9659 for zstd. Brotli's own limit is 16 MiB, deflate's 32 KiB.

# An empty stream has 9 bytes and takes up to 10 µs: 4 MB of them would take 4 s. Files that are compressed in blocks
# have a stream for every 64 KiB or so (bgzip).
MAX_STREAMS: Final = 10_000

_TOO_WIDE: Final = "too much memory"  # What libzstd says of a window (lib/common/error_private.c).


class DamagedError(Exception):
    """The bytes are not a body of this encoding."""


class ManyStreamsError(Exception):
    """The body has more than ``MAX_STREAMS`` streams."""


class WideWindowError(Exception):
    """The body needs a window of more than 2 ** ``WINDOW_LOG`` bytes (RFC 8878 section 3.1.1.1.2)."""


class Decoder(Protocol):
    """Decompresses one body. ``more`` returns its next bytes, at most ``OUT_BYTES`` or a little more."""

    is_wide: bool  # The decoder may hold megabytes, however small the body is.

    def more(self, received: memoryview) -> bytes:
        """Take all of ``received``, which is empty as long as ``is_hungry`` is False. Raises DamagedError,
        ManyStreamsError, WideWindowError."""

    def is_hungry(self) -> bool:
        """Whether it needs more input to yield anything."""

    def is_done(self) -> bool:
        """Whether the body may end here."""


class _Streams:
    """A body of consecutive streams, each with a decoder of its own."""

    def __init__(self, make: Callable[[], Any], *, is_wide: bool) -> None:
        self.is_wide = is_wide
        self._make = make
        self._undo = make()
        self._rest: bytes | memoryview = b""
        self._streams = 1

    def more(self, received: memoryview) -> bytes:
        given = self._rest or received
        if self._undo.eof and given:
            self._streams += 1
            if self._streams > MAX_STREAMS:
                raise ManyStreamsError
            self._undo = self._make()
        try:
            made, self._rest = self._step(given)
        except (zlib.error, zstd.ZstdError) as error:
            raise (WideWindowError if _TOO_WIDE in str(error) else DamagedError) from error
        return made

    def _step(self, given: bytes | memoryview) -> tuple[bytes, bytes]:
        raise NotImplementedError

    def is_done(self) -> bool:
        return self._undo.eof and not self._rest


class _Gzip(_Streams):
    def __init__(self) -> None:
        super().__init__(lambda: zlib.decompressobj(31), is_wide=False)

    def _step(self, given: bytes | memoryview) -> tuple[bytes, bytes]:
        made = self._undo.decompress(given, OUT_BYTES)
        return made, self._undo.unused_data if self._undo.eof else self._undo.unconsumed_tail

    def is_hungry(self) -> bool:
        return not self._rest


class _Zstandard(_Streams):
    def __init__(self) -> None:
        options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: WINDOW_LOG}
        super().__init__(lambda: zstd.ZstdDecompressor(options=options), is_wide=True)

    def _step(self, given: bytes | memoryview) -> tuple[bytes, bytes]:
        made = self._undo.decompress(given, max_length=OUT_BYTES)
        return made, self._undo.unused_data

    def is_hungry(self) -> bool:
        return not self._rest and (self._undo.eof or self._undo.needs_input)


class _Deflated:
    """A deflate body with or without zlib's head and checksum: RFC 9110 requires them, some clients omit them."""

    is_wide = False

    def __init__(self, start: bytes) -> None:
        has_head = len(start) >= 2 and start[0] & 15 == 8 and int.from_bytes(start[:2]) % 31 == 0
        self._undo = zlib.decompressobj(zlib.MAX_WBITS if has_head else -zlib.MAX_WBITS)

    def more(self, received: memoryview) -> bytes:
        if received and self._undo.eof:
            raise DamagedError
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
    is_wide = True

    def __init__(self) -> None:
        self._undo = brotli.Decompressor()

    def more(self, received: memoryview) -> bytes:
        if received and self._undo.is_finished():
            raise DamagedError
        try:
            made: bytes = self._undo.process(bytes(received), output_buffer_limit=OUT_BYTES)
        except brotli.error as error:  # Also raised for bytes after the end.
            raise DamagedError from error
        return made

    def is_hungry(self) -> bool:
        return bool(self._undo.can_accept_more_data())

    def is_done(self) -> bool:
        return bool(self._undo.is_finished())


def decoder_of(encoding: str, start: bytes) -> Decoder:
    """Make a decoder for a body that begins with ``start``."""
    if encoding == "br":
        return _Brotli()
    if encoding == "zstd":
        return _Zstandard()
    return _Gzip() if encoding == "gzip" else _Deflated(start)
