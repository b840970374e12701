"""Split a body into the raw text of its events, a slice at a time if it is large.

Place: intake.receive, intake.forms → HERE → intake.batch. Small bodies are split at once (intake.text.decode).
Rules: no tree is built from client data. A decoder is asked for one element at a time and sees at most as many bytes as
an event may have. An element that is larger, or nested more deeply than the decoder goes, is skipped by counting its
brackets, and is one event that is too large, with any content. A fault in one element never fails the others.
Not here: the content of an event (intake.pipeline), the order of turns (server.timing.turns).
"""

# hot path

from __future__ import annotations

import re
import sys
from array import array
from collections.abc import Generator, Iterator
from itertools import accumulate
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Raw

from server.intake.forms.piece import MAX_SHOWN_CHARS, Piece, shown
from server.intake.record import TOO_LARGE
from server.intake.text.decode import BLANKS, BOM, EMPTY, HALF_PAIR, NOT_EVENTS, NOT_JSON, at_once, without_half_pairs
from server.intake.text.event_limits import DECODERS_DEPTH, TOO_DEEP
from server.intake.verdict import Verdict

# Bytes that are split at once if no other body waits: 1 ms of the smallest elements, each of which costs 100 ns.
AT_ONCE_BYTES: Final = 262_144
AT_ONCE_COMMAS: Final = 10_000
SURE_BYTES: Final = 65_536  # The same if no more elements than AT_ONCE_COMMAS are copied: others take 40 ns each.
SMALL_BYTES: Final = 8_192  # The same if others wait.

FULL: Final = -1  # A fault of the service: the request already holds more bytes than it may.

# Bytes of an array that are split at once if its elements look alike.
CHUNK_BYTES = 32_768  # Not Final: see TURN_S in server.timing.turns.
ALIKE_BYTES: Final = 16

# Bytes examined between two looks at the clock if no element ends in them.
SLICE_BYTES = 16_384  # Not Final, as well.

# How the decoder reports that a value is followed by something, and where: counted from 1, after white space. It stops
# there, so an element costs no more than its own bytes (msgspec 0.19 to 0.20: tests/server/intake/text/test_cut.py
# checks it).
TRAILING: Final = "JSON is malformed: trailing characters (byte "
TRUNCATED: Final = "Input data was truncated"

_ALL_BLANKS: Final = re.compile(rb"[ \t\r\n]*+")
_OPEN, _CLOSE, _BRACE, _COMMA, _QUOTE = b'[]{,"'

# Possessive, as in intake.text.event_limits: linear, and no backtracking state is kept; but for the outer group here,
# which may end in the middle (tests/test_patterns.py), and is matched with a slice.
_CLOSED_STRINGS: Final = re.compile(rb'[^"]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"]*+)*', re.DOTALL)
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_IN_STRING: Final = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_SCALAR: Final = re.compile(rb"[^\],]+")
_BRACKET: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|([\[{])|[\]}]', re.DOTALL)
_BRACKETS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # +1 and -1 of signed bytes.
_REST: Final = bytes(set(range(256)) - set(b"[]{}"))

_BYTE: Final = re.compile(r" \(byte (\d+)\)$")
_FIRST_BYTES: Final = 1_024
_EDGE_BYTES: Final = 16

_decode_one = msgspec.json.Decoder(Raw).decode
_decode_array = msgspec.json.Decoder(list[Raw]).decode

Steps = Generator[None, None, int]  # Each step is short; the return value is a place in the body.


# Raw events, or pieces (intake.forms.piece); or the object that finds them; or why there are none (``Elements.fault``).
Found: TypeAlias = "Elements | list[Any] | int | str"


class NotJsonError(Exception):
    """A fault of the body, in words for the client."""


class Elements:
    """The events of a body: the only object, or the elements of an array.

    ``raws`` are those found so far; ``fault``, once it is known, has the form of the faults of
    intake.text.decode.split.
    """

    __slots__ = ("_body", "_max_event_bytes", "_most", "_view", "fault", "is_array", "raws")

    def __init__(self, body: bytes, most: int, max_event_bytes: int) -> None:
        self._body = body
        self._view = memoryview(body)
        self._most = most
        self._max_event_bytes = max_event_bytes
        self.raws: list[bytes | Piece] = []
        self.fault: int | str | None = None
        self.is_array = False

    def __iter__(self) -> Iterator[None]:
        """Each step is short. After the last one, all are found or there is a fault. The caller keeps the generator: an
        object that referenced its own would hold a body until the garbage collector runs."""
        return self._find()

    def _find(self) -> Iterator[None]:
        try:
            yield from self._find_all()
        except NotJsonError as error:
            self.fault = NOT_JSON.format(f"{error}.")
        if self.fault is not None:
            self.raws.clear()

    def _find_all(self) -> Iterator[None]:
        body = self._body
        at = yield from self._pass_blanks(len(BOM) if body.startswith(BOM) else 0)
        if at == len(body):
            self.fault = EMPTY
            return
        if body[at] == _BRACE:
            at = yield from self._element(at)
        elif body[at] == _OPEN:
            self.is_array = True
            at = yield from self._elements(at + 1)
            if self.fault is not None:
                return
        else:
            self.fault = NOT_EVENTS
            return
        at = yield from self._pass_blanks(at)
        if at != len(body):
            raise NotJsonError(f"trailing characters (byte {at})")
        if not self.raws:
            self.fault = EMPTY

    def _elements(self, at: int) -> Steps:
        """Find the elements of an array, from after its bracket. Returns where the array ends."""
        body, raws = self._body, self.raws
        at = yield from self._pass_blanks(at)
        if body[at : at + 1] == b"]":
            return at + 1
        between = b""  # The text between two elements, with the end of one and the beginning of the next.
        while True:
            end = self._chunk(at, between) if between else at
            if end == at:
                between = b""
                end = yield from self._element(at)
            else:
                yield
            if len(raws) > self._most:
                self.fault = len(raws)
                return end
            at = yield from self._pass_blanks(end)
            mark = body[at] if at < len(body) else 0
            if mark == _CLOSE:
                return at + 1
            if mark != _COMMA:
                raise NotJsonError(f"expected ',' or ']' (byte {at})" if mark else TRUNCATED)
            at = yield from self._pass_blanks(at + 1)
            if len(raws) == 1:
                between = body[end - 1 : at + ALIKE_BYTES]

    def _chunk(self, at: int, between: bytes) -> int:
        """Find elements up to a place where another seems to begin, as the first two did. Returns where they end;
        ``at``: the place was wrong. Text that a decoder takes for whole elements between commas is exactly that."""
        cut = self._body.rfind(between, at, at + CHUNK_BYTES)
        if cut < at:
            return at
        chunk = self._body[at : cut + 1]
        try:
            raws = _decode_array(b"[%b]" % chunk)
        except (msgspec.DecodeError, RecursionError):
            return at
        if not chunk.isascii():
            _check_utf8(chunk, at)
        self.raws += [bytes(raw) for raw in raws]
        return cut + 1

    def _element(self, at: int) -> Steps:
        """Append one more element to ``raws``. Returns where it ends."""
        body, most_bytes = self._body, self._max_event_bytes
        try:
            end = self._end_of(self._view[at : at + most_bytes + 1], at)
        except RecursionError:
            end = yield from self._pass_over(at)
            self.raws.append(_too_large(body, at, end, TOO_DEEP.format(DECODERS_DEPTH)))
            return end
        if end < 0:
            end = yield from self._pass_over(at)
            self.raws.append(_too_large(body, at, end, TOO_LARGE.format(end - at, most_bytes)))
            return end
        # The body itself if it is one event, not a copy: intake.pipeline knows a large event again by its identity.
        raw = (body[at:end] if end - at < len(body) else body).rstrip(BLANKS)
        if not raw.isascii():
            _check_utf8(raw, at)
        self.raws.append(raw)
        yield
        return end

    def _end_of(self, window: memoryview, at: int) -> int:
        """Return where the value ends that begins at ``at``, with the white space after it; -1: not within an event's
        bytes."""
        is_cut = at + len(window) < len(self._body)
        said = _said_of(window)
        if said != ENDS and not said.startswith(TRAILING):  # Half of a surrogate pair is an error, too.
            said = _said_without_half_pairs(window) or said
        if said.startswith(TRAILING):
            return at + int(said[len(TRAILING) : -1]) - 1
        if is_cut and (said.startswith((ENDS, TRUNCATED)) or _place(said) >= len(window) - _EDGE_BYTES):
            return -1
        if said != ENDS:
            raise NotJsonError(_moved(said, at))
        return len(self._body)

    # Values that are too large.

    def _pass_over(self, at: int) -> Steps:
        """Return where the value ends whose bracket, quote or digit is at ``at``."""
        body, size = self._body, len(self._body)
        if body[at] not in b"[{":
            return (yield from self._pass_scalar(at))
        depth = 1
        at += 1
        while at < size:
            found = _CLOSED_STRINGS.match(body, at, min(at + SLICE_BYTES, size))
            end = found.end() if found is not None else at
            if end == at:
                at = yield from self._pass_string(at)
                continue
            steps = array("b", _STRING.sub(b"", body[at:end]).translate(_BRACKETS, _REST))
            if min(accumulate(steps, initial=depth)) <= 0:
                yield
                return _ends_at(body, at, end, depth)
            depth += sum(steps)
            at = end
            yield
        raise NotJsonError(TRUNCATED)

    def _pass_scalar(self, at: int) -> Steps:
        body = self._body
        if body[at] == _QUOTE:
            return (yield from self._pass_string(at))
        while True:
            found = _SCALAR.match(body, at, at + SLICE_BYTES)
            if found is None:
                return at
            at = found.end()
            yield

    def _pass_string(self, at: int) -> Steps:
        """Return where the string ends that begins at ``at``."""
        body = self._body
        at += 1
        while at < len(body):
            found = _IN_STRING.match(body, at, at + SLICE_BYTES)
            end = found.end() if found is not None else at
            if body[end : end + 1] == b'"':
                return end + 1
            if end == at:
                break  # A backslash with nothing after it.
            at = end
            yield
        raise NotJsonError(TRUNCATED)

    def _pass_blanks(self, at: int) -> Steps:
        """Return the first place that is not white space."""
        body = self._body
        while at < len(body) and body[at] in BLANKS:
            found = _ALL_BLANKS.match(body, at, at + SLICE_BYTES)
            at = found.end() if found is not None else at
            yield
        return at


# The result of _said_of if the decoder reports nothing: the value ends with the window.
ENDS: Final = "the value ends"


def _said_of(window: bytes | memoryview) -> str:
    """Return the decoder's message about a value and the text after it."""
    try:
        _decode_one(window)
    except msgspec.DecodeError as error:
        return str(error)
    return ENDS


def _said_without_half_pairs(window: memoryview) -> str:
    """Return the message while ignoring halves of surrogate pairs; "" if there is none. Of a large window, no more is
    copied than the value needs, up to a factor."""
    if not HALF_PAIR.search(window):
        return ""
    size = _FIRST_BYTES
    while True:
        said = _said_of(without_half_pairs(bytes(window[:size])))
        if size >= len(window) or not (said.startswith(TRUNCATED) or _place(said) >= size - _EDGE_BYTES):
            return said
        size *= 4


def _place(said: str) -> int:
    found = _BYTE.search(said)
    return int(found[1]) if found is not None else -1


def _moved(said: str, at: int) -> str:
    """Return the decoder's message about a value at ``at``, with the place counted from the start of the body."""
    text, place = said.removeprefix("JSON is malformed: "), _place(said)
    return text if place < 0 else _BYTE.sub(f" (byte {at + place})", text)


def _ends_at(body: bytes, at: int, end: int, depth: int) -> int:
    """Return the place of the bracket after which the depth is 0, before ``end``."""
    for found in _BRACKET.finditer(body, at, end):
        if found.lastindex is not None:
            depth += 1
        elif body[found.start()] != _QUOTE:
            depth -= 1
            if not depth:
                return found.end()
    raise AssertionError("counting has found its end")


def _too_large(body: bytes, at: int, end: int, reason: str) -> Piece:
    """Make an event that is too large: its content was not examined, so it is shown as text, cut off."""
    return Piece(shown(body[at : min(end, at + 4 * MAX_SHOWN_CHARS)]), Verdict("event_too_large", reason))


def _check_utf8(text: bytes, at: int) -> None:
    """Check that ``text`` is UTF-8. Raises NotJsonError with the place in the body, of which ``text`` begins at
    ``at``."""
    try:
        str(text, "utf-8")
    except UnicodeDecodeError as error:
        raise NotJsonError(f"byte {at + error.start} is not UTF-8") from None


def elements(body: bytes, most: int, max_event_bytes: int, *, may_take_long: bool) -> Found:
    """Find events as ``split`` does; a body that takes long, or has an odd event, is still to be split. A small body
    takes little time."""
    size = len(body)
    is_small = size <= SMALL_BYTES
    if not is_small and may_take_long and size <= AT_ONCE_BYTES:
        # Between two commas there is a byte at least. Counting takes 0.2 µs for each usual event.
        sure_bytes = SURE_BYTES if most <= AT_ONCE_COMMAS else 2 * AT_ONCE_COMMAS
        is_small = size <= sure_bytes or body.count(b",") <= AT_ONCE_COMMAS
    if is_small:
        found = at_once(body, most)
        if found is not None:
            return found
    return Elements(body, most, max_event_bytes)


def split(body: bytes, most: int = sys.maxsize, max_event_bytes: int = sys.maxsize) -> list[Any] | int | str:
    """Return the raw text of each event of a body, or what is wrong with the body, in words for the client. A number:
    that many events are more than ``most``."""
    found = elements(body, most, max_event_bytes, may_take_long=True)
    if not isinstance(found, Elements):
        return found
    for _ in found:
        pass
    return found.raws if found.fault is None else found.fault
