"""Attacks by one client on many connections, and by requests that cost much for their size.

Place: table → HERE → wire.
Rule: no pauses: what others have left is what the server leaves them. Each connection sends a few requests, one after
another, and ends with the first that is not answered.
Not here: bodies that are dear to read one at a time (bodies), slow clients (slow).
"""

from __future__ import annotations

import asyncio
import json
import random
import zlib
from collections import Counter
from itertools import cycle

from bench.attacks.bodies import BODY, EVENT, EVENTS, event
from bench.attacks.wire import GONE, Line, Outcome, Target, post, request
from server.config.limit_settings import EXTERNAL

CROWD, FEW = 100, 4
EACH = 6  # Requests of a connection.
INSIDE = EXTERNAL["max_decompressed_bytes"]
ANSWER_BYTES = 4_194_304 + 65_536  # An answer's bound (intake.verdict), and its head.
GZIP = b"Content-Encoding: gzip"


def _packed(body: bytes) -> bytes:
    return zlib.compress(body, 9, 31)


def _salt(size: int) -> bytes:
    """Letters that do not shrink: with them a body of ``size`` grows to 100 times of what is sent, which is allowed."""
    return random.Random(size).randbytes(size // 200).hex().encode()


def _noise(size: int, salt: bytes = b"noise") -> bytes:
    """One element of very many values."""
    return b'[["%b",[' % salt + b"{}," * ((size - len(salt) - 16) // 3) + b"{}]]]"


async def _crowd(target: Target, whole: int, *raws: bytes) -> Outcome:
    """So many connections, each with the next of these requests."""
    outcome: Outcome = Counter()

    async def one(raw: bytes) -> None:
        try:
            line = await Line.open(target)
        except OSError:
            outcome["refused"] += 1
            return
        for _ in range(EACH):
            line.writer.write(raw)
            word = await _word(line, len(raw))
            outcome[word] += 1
            if word in GONE or word == "503":  # Which may close the connection.
                break
        line.close()

    chosen = cycle(raws)
    await asyncio.gather(*(one(next(chosen)) for _ in range(target.count(whole))))
    return outcome


async def _word(line: Line, sent_bytes: int) -> str:
    try:
        answer = await asyncio.wait_for(line.answer(), 60.0)
    except asyncio.IncompleteReadError:
        return "closed"
    except OSError as error:
        return "silent" if isinstance(error, TimeoutError) else "reset"
    is_large = len(answer.body) > max(ANSWER_BYTES, 3 * sent_bytes)
    return "larger than it may be" if is_large else answer.word


async def batches(target: Target) -> Outcome:
    """100 connections of one client, each with as many events per body as may be: valid, {}, and wrong ones."""
    bodies = (event(), b"{}", event(number="1"))
    return await _crowd(target, CROWD, *(post(b"[" + b",".join([each] * EVENTS) + b"]") for each in bodies))


async def compressed(target: Target) -> Outcome:
    """50 connections of one client, each with a body that grows to as much as may be."""
    one = event(open=_salt(INSIDE).decode()[: INSIDE // EVENTS - 200])
    plain = b"[" + b",".join([one] * EVENTS) + b"]"
    raw = await asyncio.to_thread(lambda: post(_packed(plain), GZIP))
    return await _crowd(target, CROWD // 2, raw)


async def noise(target: Target) -> Outcome:
    """An event of very many values: as it is, compressed, and as the only event."""
    packed = await asyncio.to_thread(lambda: _packed(_noise(INSIDE, _salt(INSIDE))))
    raws = [post(_noise(BODY)), post(packed, GZIP), post(_noise(BODY)[1:-1].replace(b'"noise",', b"", 1))]
    return await _crowd(target, 2 * FEW, *raws)


async def chunks(target: Target) -> Outcome:
    """Bodies in chunks of one byte, on four connections."""
    body = b" " * 20_000 + event()
    chunked = b"".join(b"1\r\n%c\r\n" % each for each in body) + b"0\r\n\r\n"
    raw = request("GET", "/v1/events", b"", b"Content-Type: application/json", b"Transfer-Encoding: chunked")
    return await _crowd(target, FEW, raw.replace(b"GET", b"POST", 1) + chunked)


async def constraints(target: Target) -> Outcome:
    """Questions of 1,000 alternatives, each another one, on four connections."""
    alternatives = "|".join(f"a={number}" for number in range(1_000))
    raws = [request("GET", f"/v1/streamconfigs?constraints={alternatives}&n={number}") for number in range(FEW)]
    raws.append(request("GET", "/v1/streamconfigs?constraints=a[" + "9" * 5_000 + "]=1"))
    return await _crowd(target, FEW + 1, *raws)


async def large_answers(target: Target) -> Outcome:
    """106 kB of gzip that would be shown whole in the answer, on each route that answers with events."""
    salt = _salt(INSIDE).decode()
    shown = json.dumps([{"a": salt + "x" * (EVENT // 2)}] * (INSIDE // EVENT)).encode()
    bodies = await asyncio.to_thread(lambda: [_packed(_noise(INSIDE, _salt(INSIDE))), _packed(shown)])
    paths = ("/v1/events", "/v1/validate", "/v1/events?hasty=true")
    return await _crowd(target, 3 * FEW, *(post(body, GZIP, target=path) for path in paths for body in bodies))
