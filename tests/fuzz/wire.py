"""Any bytes on a connection: whole, byte by byte and cut anywhere they must come to the same, and leave nothing behind.

Place: havoc (seeded, random) and coverage (atheris) call ``WireTarget.run``; the seeds are the corpus of tests/wire.
Rule: the first two bytes of an input choose limits and cuts; the rest is sent. It raises for whatever must not happen.
Not here: where the bytes come from.
"""

from __future__ import annotations

import re
from pathlib import Path
from random import Random
from typing import Any

from tests.server.http.around.test_proxy_header import OURS, header
from tests.server.http.fakes import Harness

CORPUS = Path(__file__).parents[1] / "wire"
LIMITS: list[dict[str, Any]] = [
    {"max_head_bytes": 1024, "max_headers": 20, "max_url_bytes": 256, "max_body_bytes": 2048},
    {"max_requests_per_connection": 3, "max_header_bytes": 1024},
    {"requests_per_s_per_address": 1.0, "burst_per_address": 4},
    {"http": {"trusted_proxies": ["10.0.0.0/8"], "proxy_protocol": True}},
]
_IDENTITY = re.compile(rb"X-Request-Id: [0-9a-f-]{36}\r\n")
_REFUSAL = re.compile(rb"HTTP/1\.1 [45][0-9]{2} ")


class WireTarget:
    """A server for each set of limits. Heads that come again are known to it, and must come to the same for it."""

    def __init__(self) -> None:
        self._servers = [Harness(**limits) for limits in LIMITS]
        raws = [case.read_bytes() for case in sorted(CORPUS.glob("*.http"))]
        self.seeds = [bytes([at % 3, at]) + raw for at, raw in enumerate(raws)]
        self.seeds += [bytes([3, at]) + header(more=b"\x04\x00\x00") + raw for at, raw in enumerate(raws[::4])]

    def run(self, raw: bytes) -> None:
        """Send it in every way. Raises AssertionError, or whatever escaped."""
        limits, chosen, sent = raw[0] if raw else 0, raw[1] if len(raw) > 1 else 0, raw[2:]
        dice = Random(chosen)
        cuts = sorted({dice.randrange(len(sent) + 1) for _ in range(1 + chosen % 8)})
        ways = [
            [sent],
            [sent[at : at + 1] for at in range(len(sent))],
            [sent[start:end] for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)],
        ]
        whole, *others = [self._outcome(limits % len(LIMITS), pieces) for pieces in ways]
        for other in others:
            assert whole == other, f"cutting changes it: {whole} or {other}"

    def _outcome(self, limits: int, pieces: list[bytes]) -> tuple[Any, ...]:
        if "requests_per_s_per_address" in LIMITS[limits] or self._servers[limits].server._connections:
            # No input is to use up the rate of the next, or to leave it a connection if it fails.
            self._servers[limits] = Harness(**LIMITS[limits])
        harness = self._servers[limits]
        harness.seen.clear()
        harness.wires.clear()
        wire = harness.wire(OURS)
        wire.send(*pieces)
        seen = [(one.method, one.path, one.query, one.peer, one.body, one.headers) for one in harness.seen]
        said, is_closed = _said(wire.sent), wire.is_closed()
        reader = None if wire.is_lost() else getattr(wire.connection, "_reader", None)  # None behind a PROXY header.
        if reader is not None and reader._line:
            # The parser does not say where in a read it has met no method. If that was behind the end of a request,
            # the line is waited for that may be one, or refused, according to where the request was cut. Both end it.
            said, is_closed = said + b"refused", True
        if not wire.is_lost():
            wire.hang_up()
        assert harness.server.handler_errors == 0, "an exception was caught at the top"
        assert harness.server.in_flight_bytes == 0, "something is held for ever"
        assert not harness.server._connections, "a connection is held for ever"
        return seen, said, is_closed


def _said(sent: bytes) -> bytes:
    """What was answered. Of several faults of one request, the first that is noticed is named, and that depends on the
    cuts: the parser hands on a name, a value or a target when it ends, or when a read does."""
    answers = _IDENTITY.sub(b"", sent)
    last = max((found.start() for found in _REFUSAL.finditer(answers)), default=len(answers))
    return answers[:last] + b"refused" if b"\r\nConnection: close\r\n" in answers[last:] else answers
