"""Split a request's body into the raw text of its events.

Place: intake.receive → HERE → intake.pipeline.
Rule: every decoding error of a body is caught here; what is malformed is the request's fault, never half an event's.
Not here: content encodings and types (http), what is inside an event (intake.pipeline).
"""

# hot path

from __future__ import annotations

import json
import re
import sys
from typing import Any, Final

import msgspec
import orjson
from msgspec import Raw

EMPTY: Final = "Request body was empty. Must provide JSON encoded events."
NOT_JSON: Final = "The request body is not JSON: {} Send one JSON object or an array of objects, in UTF-8."
NOT_EVENTS: Final = "The request body is neither a JSON object nor an array. Send one event or an array of events."

BOM: Final = b"\xef\xbb\xbf"  # What editors of one system put before UTF-8. RFC 8259 section 8.1 lets a reader skip it.

# An array with more commas than this may have more elements than fit into memory well, 75 bytes each, before the first
# of them is counted: 4 MB of ``{}`` took 107 MB. So its elements are counted first, one by one, up to ``most``.
MAX_COMMAS: Final = 400_000

_BLANKS: Final = b" \t\r\n"  # RFC 8259 section 2; Python strips two more.

MAX_HALF_PAIRS_BYTES: Final = 262_144  # The slower way takes 0.6 ms a kilobyte of small elements.

_decode_array = msgspec.json.Decoder(list[Raw]).decode
_decode_one = msgspec.json.Decoder(Raw).decode


def split(body: bytes, most: int = sys.maxsize) -> list[bytes] | int | str:
    """The raw text of each event of a body, or what is wrong with the body, in words for the client. A number: so many
    events are more than ``most``.

    The whole body is checked to be UTF-8 (50 ns a kilobyte of ASCII), because decoders skip the strings that they
    do not need without a look.
    """
    body = body.strip(_BLANKS)
    if not body:
        return EMPTY
    first = body[0]
    try:
        str(body, "utf-8")
        if first == _BRACE:
            _decode_one(body)
            return [body]
        if first == _BRACKET:
            if body.count(b",") > MAX_COMMAS and (found := _count(body, most)) > most:
                return found
            raws = _decode_array(body)
            return len(raws) if len(raws) > most else [bytes(raw) for raw in raws] or EMPTY
        if body.startswith(BOM) and body[len(BOM) :].lstrip(_BLANKS)[:1] in (b"{", b"["):
            return split(body[len(BOM) :], most)
        _decode_one(body)
    except UnicodeDecodeError as error:
        return NOT_JSON.format(f"byte {error.start} is not UTF-8.")
    except RecursionError:
        return NOT_JSON.format("it is nested too deeply.")
    except msgspec.DecodeError as error:
        if first in (_BRACE, _BRACKET) and _HALF_PAIR.search(body):
            return _split_half_pairs(body, most)
        return NOT_JSON.format(f"{_reason(error)}.")
    return NOT_EVENTS


def _split_half_pairs(body: bytes, most: int) -> list[bytes] | int | str:
    """A body that may be JSON in which a string ends in half a surrogate pair, as scripts make them that cut text.

    The decoder refuses the whole of it, but only one event is at fault, so a slower one takes the body apart. What
    it makes of numbers and strings is not used but for the places where the events begin and end.
    """
    if len(body) > MAX_HALF_PAIRS_BYTES:
        return NOT_JSON.format("a string holds half of a surrogate pair.")
    text = body.decode()
    try:
        if body[0] == _BRACE:
            _SCANNER.decode(text)
            return [body]
        raws = _elements(text)
        return len(raws) if len(raws) > most else raws
    except json.JSONDecodeError as error:
        return NOT_JSON.format(f"{error.msg} (character {error.pos}).")
    except RecursionError:
        return NOT_JSON.format("it is nested too deeply.")


def _count(body: bytes, most: int) -> int:
    """How many elements the array has, or ``most`` + 1 where it has more, or is none from somewhere on."""
    text, count = body.decode(), 0
    at = _after_space(text, 1)
    while count <= most and text[at : at + 1] not in ("]", ""):
        try:
            _, end = _SCANNER.raw_decode(text, at)
        except (json.JSONDecodeError, RecursionError):
            return 0  # The decoder will say what is wrong, and where.
        count += 1
        at = _after_space(text, end)
        at = _after_space(text, at + (text[at : at + 1] == ","))
    return count


def _elements(text: str) -> list[bytes]:
    """The raw text of each element of an array. Raises json.JSONDecodeError when it is none."""
    raws = []
    at = _after_space(text, 1)
    while True:
        _, end = _SCANNER.raw_decode(text, at)
        raws.append(text[at:end].encode())
        at = _after_space(text, end)
        if text[at : at + 1] != ",":
            break
        at = _after_space(text, at + 1)
    if text[at:] != "]":
        raise json.JSONDecodeError("Expecting ',' or the end of the array", text, at)
    return raws


def _after_space(text: str, at: int) -> int:
    while text[at : at + 1] in _SPACES:
        at += 1
    return at


def _refuse_constant(name: str) -> None:
    raise json.JSONDecodeError(f"{name} is no JSON value", name, 0)


def has_duplicate_names(raw: bytes) -> bool:
    """True when a member name occurs twice in one object of this event, in whatever spelling.

    Decoding drops all but the last member of a name, and with each of them its colon. No colon comes back when the
    rest is written again: strings keep theirs, unless they were escapes, and nothing else has any. So they are counted.
    """
    if b"\\u003a" not in raw and b"\\u003A" not in raw:
        try:
            return raw.count(b":") != orjson.dumps(orjson.loads(raw)).count(b":")
        except (orjson.JSONDecodeError, orjson.JSONEncodeError, RecursionError):  # Half a surrogate pair, or too deep.
            return _has_duplicate_names(raw)
    return _has_duplicate_names(raw)


def _has_duplicate_names(raw: bytes) -> bool:
    """The same by looking at every object. Numbers are not made: those of thousands of digits would be refused."""
    try:
        json.loads(raw, object_pairs_hook=_refuse_duplicates, parse_int=len, parse_float=len)
    except _DuplicateNameError:
        return True
    return False


class _DuplicateNameError(Exception):
    pass


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) != len(pairs):
        raise _DuplicateNameError


def _reason(error: msgspec.DecodeError) -> str:
    """The decoder's words, which name the byte: "invalid character (byte 8)"."""
    return str(error).removeprefix("JSON is malformed: ")


# Half of a pair, or a whole one: a match only means that the slower way may know better.
_HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")
_SPACES = frozenset(" \t\n\r")
_SCANNER = json.JSONDecoder(parse_int=len, parse_float=len, parse_constant=_refuse_constant)
_BRACE = ord("{")
_BRACKET = ord("[")
