"""Any bytes through every door: each content type, each encoding, the query of a beacon. Each has one answer.

Place: havoc (seeded, random) and coverage (atheris) call ``DoorsTarget.run``.
Rule: the first two bytes of an input choose the door and the encoding; the rest is the body, what is compressed into
it, or the query. It raises for whatever must not happen.
Not here: where the bytes come from; bytes of whole connections (wire); what becomes of valid events (target).
"""

from __future__ import annotations

import gzip
import json
import re
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

from server.http.beacon import Beacon
from tests.server.http.fakes import Harness, post, responses
from tests.server.http.test_encodings import PACK
from tests.server.intake.conftest import write
from tests.server.intake.test_forms import BATCH, CLOUD, EVENT, NDJSON, REPORTS, SETTINGS
from tests.server.intake.test_receive import Bench

TYPES = [b"application/json", b"text/plain", NDJSON, REPORTS, CLOUD, BATCH, b"application/json; charset=utf-16", b"a/b"]
PACKED = PACK | dict.fromkeys(("gzip", "x-gzip"), (b"gzip", partial(gzip.compress, mtime=0)))  # The same every time.
PACKED.pop("identity and gzip")
CE = b"ce-specversion: 1.0\r\nce-id: 1\r\nce-source: /shop/1\r\nce-type: org.a.sold\r\n"
STATUSES = {200, 400, 413, 415}
LIMITS: dict[str, Any] = {"max_body_bytes": 262_144, "max_decompressed_bytes": 524_288, "max_ratio": 100}
QUERY = len(TYPES) + 1  # Behind the types, and CloudEvents in binary mode.
_NOT_IN_A_URL = re.compile(rb"[^\x21\x24-\x7e]")


class DoorsTarget:
    """One server over a receiver that judges and sends nothing. ``directory`` is the caller's, and empty."""

    def __init__(self, directory: Path) -> None:
        receiver = Bench(write(directory), *SETTINGS).receiver
        beacon = Beacon(receiver.handle_validate)
        routes: Any = {"/events": {"POST": receiver.handle_validate}, "/beacon": {"GET": beacon.handle}}
        self.valid = 0  # Inputs with a valid event.
        self._harness = Harness(routes=routes, **LIMITS)
        event = json.dumps(EVENT).encode()
        report = b'[{"type":"crash","age":1,"url":"https://a.example/","body":{"reason":"oom"}}]'
        cloud = {"specversion": "1.0", "id": "1", "source": "/shop/1", "type": "org.a.sold", "data": EVENT}
        one = json.dumps(cloud).encode()
        bodies = [event, event, event + b"\n\n" + event, report, one, b"[" + one + b"]", event, event, event]
        self.seeds = [
            bytes([door, how]) + body for door, body in enumerate(bodies) for how in range(2 * len(PACKED) + 1)
        ]
        self.seeds += [
            bytes([QUERY, how]) + query
            for how, query in enumerate((event, b"stream=plain&" + quote_from_bytes(event).encode()))
        ]
        # Compressed already: what is changed is the encoding itself.
        for how, (_, pack) in enumerate(PACKED.values()):
            self.seeds.append(bytes([0, len(PACKED) + 1 + how]) + pack(event))

    def run(self, raw: bytes) -> None:
        """Send it. Raises AssertionError, or whatever escaped."""
        door, how, body = raw[0] if raw else 0, raw[1] if len(raw) > 1 else 0, raw[2:]
        sent = self._query(how, body) if door % (QUERY + 1) == QUERY else self._body(door % (QUERY + 1), how, body)
        wire = self._harness.wire()
        wire.send(sent)
        answers = responses(wire.sent)
        if not wire.is_lost():
            wire.hang_up()
        self._harness.wires.clear()
        server = self._harness.server
        assert len(answers) == 1, f"{len(answers)} answers"
        (answer,) = answers
        assert answer.status in STATUSES | {204, 414, 431}, f"answered {answer.status} {answer.body[:300]!r}"
        if answer.status == 200:
            self.valid += any(event["status"] == "valid" for event in json.loads(answer.body, parse_int=str)["events"])
        assert b'"internal"' not in answer.body, answer.body[:1_000]
        assert server.handler_errors == 0, "an exception was caught at the top"
        assert server.in_flight_bytes == 0, "something is held for ever"

    @staticmethod
    def _body(door: int, how: int, body: bytes) -> bytes:
        kind = b"Content-Type: %b\r\n" % TYPES[door] if door < len(TYPES) else CE
        way = how % (2 * len(PACKED) + 1)  # As it is; packed here; said to be packed.
        if not way:
            return post(body, kind)
        name, pack = list(PACKED.values())[(way - 1) % len(PACKED)]
        return post(pack(body) if way <= len(PACKED) else body, kind + b"Content-Encoding: %b\r\n" % name)

    @staticmethod
    def _query(how: int, query: bytes) -> bytes:
        text = quote_from_bytes(query).encode() if how % 2 == 0 else _NOT_IN_A_URL.sub(b"%20", query)
        return b"GET /beacon?%b HTTP/1.1\r\nHost: a\r\n\r\n" % text
