"""Attacks by what a body costs to read: large, deep, many, alike, compressed.

Place: table → HERE → wire.
Rule: each is as large as the default limits let it be, or larger.
Not here: attacks by time (slow), by what texts say (words).
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

from bench.attacks.forms import FORM, FORMATS, STREAM
from bench.attacks.wire import Outcome, Target, ask_each, post
from server.config.limit_settings import EXTERNAL
from tests.harness.redos import ATTACKS

BODY = EXTERNAL["max_body_bytes"]
EVENT = EXTERNAL["max_event_bytes"] - 2_000
EVENTS = EXTERNAL["max_events"]
NODES = EXTERNAL["max_json_nodes"] - 1_000
PERIOD = 2**61 - 1  # Python's hash of an integer is its remainder by this.


def event(**members: Any) -> bytes:
    """A valid event of the attacked schema but for these members."""
    return json.dumps({"$schema": FORM, "meta": {"stream": STREAM}, **members}, separators=(",", ":")).encode()


def raw_event(name: str, text: bytes) -> bytes:
    """The same with one member written out."""
    return event()[:-1] + b',"' + name.encode() + b'":' + text + b"}"


async def _times(target: Target, whole: int, *bodies: bytes) -> Outcome:
    raws = [post(body) for body in bodies]
    return await ask_each(target, (raws[number % len(raws)] for number in range(max(target.count(whole), len(raws)))))


def _filled(piece: bytes, size: int = BODY) -> bytes:
    """An array of as many pieces as go in."""
    return b"[" + (piece + b",") * ((size - 2) // (len(piece) + 1) - 1) + piece + b"]"


async def empty_objects(target: Target) -> Outcome:
    """4 MB of {}, as much as a body may be, and as many as one request may have."""
    return await _times(target, 20, _filled(b"{}", 4_194_304), _filled(b"{}"), _filled(b"{}", 3 * EVENTS))


async def ones(target: Target) -> Outcome:
    """4 MB of 1, as much as a body may be, as many as one request may have, and in an event."""
    members = raw_event("open", _filled(b"1", 2 * NODES))
    bodies = [_filled(b"1", 4_194_304), _filled(b"1"), _filled(b"1", 2 * EVENTS)]
    return await _times(target, 20, *bodies, members, raw_event("numbers", b"[1,1]"))


async def deep(target: Target) -> Outcome:
    """100,000 levels: of arrays, of objects, in an event; closed and not."""
    levels = 100_000
    arrays = b"[" * levels + b"]" * levels
    objects = b'{"a":' * levels + b"1" + b"}" * levels
    bodies = [arrays, objects, arrays[:levels], objects[:levels], raw_event("open", arrays), raw_event("open", objects)]
    return await _times(target, 30, *bodies, b"[" + b"[]," * 3 + arrays + b"]", raw_event("tree", arrays))


async def long_numbers(target: Target) -> Outcome:
    """Integers of a million digits and more, where an integer is wanted, where anything goes, and as the whole body."""
    digits = b"9" * EVENT
    small = b"9" * 5_000
    bodies = [b"9" * 10_000_000, digits, raw_event("number", digits[:-500]), raw_event("open", digits[:-500])]
    bodies += [raw_event("number", small), raw_event("numbers", _filled(small, EVENT - 500))]
    bodies += [raw_event("number", b"1e" + small), raw_event("number", b"0." + digits[:-600] + b"1")]
    return await _times(target, 32, *bodies)


async def many_names(target: Target) -> Outcome:
    """Objects of as many members as may be, where any are taken and where none are; long names, and the same ones."""
    members = b",".join(b'"n%d":1' % number for number in range(NODES))
    texts = b",".join(b'"n%d":"x"' % number for number in range(NODES))
    same = b",".join(repeat(b'"n":1', NODES))
    escaped = b",".join(b'"\\u006e%d":1' % number for number in range(NODES // 2))
    long = b",".join(b'"%s%d":1' % (b"n" * 9_000, number) for number in range(28))
    objects = [b"{" + each + b"}" for each in (members, texts, same, escaped, long)]
    return await _times(target, 36, *(raw_event(name, each) for each in objects for name in ("map", "closed")))


async def alike(target: Target) -> Outcome:
    """Names and numbers made to hash alike, where items must be unique and elsewhere."""
    numbers = [PERIOD * index for index in range(8, EVENT // 22)]
    objects = [{"a": each} for each in numbers[: EVENT // 30]]
    names = {str(each): 1 for each in numbers}
    bodies = [event(unique=numbers), event(any=objects), event(any=numbers), event(map=names), event(any=[names])]
    return await _times(target, 20, *bodies)


async def not_utf8(target: Target) -> Outcome:
    """Bytes that are no UTF-8: cut, overlong, surrogates, beyond Unicode; at the start, inside, behind a long text."""
    broken = [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\xf0\x9f\x98", b"\x80"]
    bodies = [raw_event("open", b'"' + each + b'"') for each in broken]
    bodies += [raw_event("open", b'"' + b"a" * (EVENT - 1_000) + each + b'"') for each in broken]
    return await _times(target, 200, *bodies, *broken, b"\xef\xbb\xbf\xff")


async def half_pairs(target: Target) -> Outcome:
    """Halves of surrogate pairs, with which a body is taken apart by the slower way: up to its bound, and beyond."""
    half = b'"\\ud83d"'
    small = [b"[" + _filled(b"1", size)[1:-1] + b"," + half + b"]" for size in (10_000, 250_000, 300_000)]
    return await _times(target, 20, *small, raw_event("open", half), _filled(raw_event("open", half), 100_000))


async def dear(target: Target) -> Outcome:
    """Texts that make patterns and formats slow, each as long as an event may be."""
    size = EVENT // 2
    bodies = [event(**{f"pattern{at}": attack(size)}) for at, (_, attack) in enumerate(ATTACKS)]
    for text in ("a" * size, "1" * size, " " * size + "!", "a." * (size // 2), "a@" + "a." * (size // 2), "[" * size):
        bodies += [event(**{name: text}) for name in FORMATS]
    bodies += [event(**{"date-time": "2026-01-01T00:00:00." + "0" * size}), event(uri="http://" + "%41" * (EVENT // 4))]
    return await _times(target, len(bodies), *bodies)


async def wrong_everywhere(target: Target) -> Outcome:
    """Events of which each item is wrong, alone and 1,000 of them: the words must not outgrow the event."""
    small = event(numbers=["1"] * 300, objects=[{"a": "1"}] * 100)
    whole = event(numbers=["1"] * NODES)
    raws = [post(body, target=path) for path in PATHS for body in (_filled(small), whole)]
    return await ask_each(target, (raws[number % len(raws)] for number in range(max(target.count(12), len(raws)))))


PATHS = ("/v1/events", "/v1/events?hasty=true", "/v1/validate")


async def bombs_of_one(target: Target) -> Outcome:
    """The same from one client: beyond its rate, nothing of them is looked at."""
    line = b"\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n"
    raws = await asyncio.to_thread(lambda: [raw.replace(b"\r\n\r\n", line, 1) for raw in _bombs()])
    return await ask_each(
        target, (raws[number % len(raws)] for number in range(max(target.count(3_000), 10 * len(raws))))
    )


def _compressed(encoding: bytes, compress: Callable[[bytes], bytes]) -> list[bytes]:
    """Bombs: zeros, blanks, and blanks around an event; 4 times as large as a body may be, and barely too large."""
    plain = [b" " * (4 * BODY), b"\0" * (BODY + 1), b" " * (2 * BODY) + event(), b"[" + b"{}," * 2_000_000]
    return [post(compress(each), b"Content-Encoding: " + encoding) for each in plain]


# 16 MB of blanks, by brotli: nothing in the standard library makes it.
BROTLI = bytes.fromhex("cbffff3f002440e2b14072effff2fffd0f8004401c1680eef91f")


def _zstd(blocks: int) -> bytes:
    """So many blocks of 128 kB of one blank each (RFC 8878: a frame without a size, window of 128 kB)."""
    size, is_rle = 131_072, 1
    headers = [(size << 3 | is_rle << 1 | (number == blocks - 1)).to_bytes(3, "little") for number in range(blocks)]
    return b"\x28\xb5\x2f\xfd\x00\x38" + b"".join(header + b" " for header in headers)


def _bombs() -> Iterator[bytes]:
    yield from _compressed(b"gzip", lambda plain: zlib.compress(plain, 9, 31))
    yield from _compressed(b"deflate", lambda plain: zlib.compress(plain, 9))
    yield from _compressed(b"deflate", lambda plain: zlib.compress(plain, 9, -15))
    yield post(BROTLI, b"Content-Encoding: br")
    yield post(_zstd(100_000), b"Content-Encoding: zstd")
    yield post(_zstd(40), b"Content-Encoding: zstd")
    gzipped = zlib.compress(zlib.compress(b" " * (4 * BODY), 9, 31), 9, 31)
    yield post(gzipped, b"Content-Encoding: gzip, gzip")
    member = zlib.compress(b" " * 1_000, 9, 31)
    yield post(member * 100_000, b"Content-Encoding: gzip")
    yield post(b"\x1f\x8b\x08\x08" + b"n" * 1_000_000, b"Content-Encoding: gzip")  # A file's name without an end.


async def bombs(target: Target) -> Outcome:
    """gzip, deflate, br and zstd that grow a thousandfold; in one another; in many members."""
    raws = await asyncio.to_thread(lambda: list(_bombs()))
    return await ask_each(target, (raws[number % len(raws)] for number in range(max(target.count(60), len(raws)))))
