"""Any bytes through every door: each content type, each encoding, the query of a beacon. Each has one answer.

Place: havoc (seeded, random) and coverage (atheris) call ``DoorsTarget.run``.
Rule: the first three bytes of an input choose the door, the encoding and the way; the rest is the body, what is
compressed into it, or the query. What is done with it is compared with what /validate says of it, and with what is done
with the same event as the only one of an array. It raises for whatever must not happen.
Not here: where the bytes come from; what must be true of every answer (asked); bytes of whole connections (wire).
"""

from __future__ import annotations

import gzip
import json
import math
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import quote_from_bytes

from server.http.around.beacon import event_of
from server.intake import batch, receive
from server.timing import turns
from tests.fuzz.asked import SMALL_BYTES, Asked, Asking, compare
from tests.server.http.around.test_decompress import PACK
from tests.server.http.fakes import get, post
from tests.server.intake.conftest import STREAMS
from tests.server.intake.forms.test_forms import BATCH, CLOUD, EVENT, NDJSON, REPORTS

TYPES = [b"application/json", b"text/plain", NDJSON, REPORTS, CLOUD, BATCH, b"application/json; charset=utf-16", b"a/b"]
PLAIN = 2  # The first of them are JSON as it stands.
PACKED = PACK | dict.fromkeys(("gzip", "x-gzip"), (b"gzip", partial(gzip.compress, mtime=0)))  # The same every time.
PACKED.pop("identity and gzip")
CE = b"ce-specversion: 1.0\r\nce-id: 1\r\nce-source: /shop/1\r\nce-type: org.a.sold\r\n"
QUERY = len(TYPES) + 1  # Behind the types, and CloudEvents in binary mode.
NAMES = b"schema_uri=/test/event/1.0.0&stream=plain"
# Bits of the third byte.
REJECTS, CUTS, NAMED, HASTY, BEACON = 1, 2, 4, 8, 16  # BEACON goes before HASTY.
SMALL = [b'{"test":"x"}', b'{"n":1}', b"{}", b'{"n":""}', b"7"]
USUAL_S = batch.AT_ONCE_S, turns.TURN_S
_NOT_IN_A_URL = re.compile(rb"[^\x21\x24-\x7e]")


class DoorsTarget:
    """A server of each profile, which differ in what they think of a name that occurs twice. ``directory`` is the
    caller's, and empty."""

    def __init__(self, directory: Path) -> None:
        self._servers = []
        for profile in ("internal", "external"):
            (directory / profile).mkdir(parents=True)
            self._servers.append(Asking(directory / profile, f"profile={profile}"))
        self.valid = 0  # Inputs with an event that was sent.
        self.alike = 0  # Inputs that were sent as the only event of an array too.
        self.seeds = list(_seeds())

    def run(self, raw: bytes) -> None:
        """Send it. Raises AssertionError, or whatever escaped."""
        door, how, way = (*raw[:3], 0, 0, 0)[:3]
        body = raw[3:]
        door %= QUERY + 1
        # Either a body is cut after every few events, or never: by the clock, no failure would be seen again.
        vars(receive)["AT_ONCE_S"] = vars(turns)["TURN_S"] = -1.0 if way & CUTS else math.inf
        try:
            if door == QUERY:
                self._ask_query(how, way, body)
            else:
                self._ask_body(door, how, way, body)
        finally:
            vars(receive)["AT_ONCE_S"], vars(turns)["TURN_S"] = USUAL_S

    def _ask_body(self, door: int, how: int, way: int, body: bytes) -> None:
        head = b"Content-Type: %b\r\n" % TYPES[door] if door < len(TYPES) else CE
        packing = how % (2 * len(PACKED) + 1)  # As it is; packed here; said to be packed.
        sent = body
        if packing:
            name, pack = list(PACKED.values())[(packing - 1) % len(PACKED)]
            head += b"Content-Encoding: %b\r\n" % name
            sent = pack(body) if packing <= len(PACKED) else body
        server, query = self._servers[way & REJECTS], b"?" + NAMES if way & NAMED else b""
        to = b"/beacon" + query if way & BEACON else b"/events" + query
        if way & HASTY and not way & BEACON:
            to += b"&hasty=true" if query else b"?hasty=true"
        judged = self._ask(server, post(sent, head, to), post(sent, head, b"/judged" + query), len(body))
        if door < PLAIN and not packing and body[:1] == b"{" and body[-1:] == b"}":
            self._ask_alone(server, judged, b"[%b]" % body, head, b"/events" + query)

    def _ask_query(self, how: int, way: int, query: bytes) -> None:
        text = quote_from_bytes(query).encode() if how % 2 == 0 else _NOT_IN_A_URL.sub(b"%20", query)
        if way & NAMED:
            text = NAMES + b"&" + text
        body = event_of(text)
        server = self._servers[way & REJECTS]
        self._ask(server, get(b"/beacon?" + text), post(body, path=b"/judged?" + text), len(body))

    def _ask(self, server: Asking, request: bytes, same: bytes, size_bytes: int) -> Asked:
        """Ask for it to be sent, and to be judged alone. Returns what it was judged to be."""
        before = server.noted()
        asked = server.ask(request)
        after = server.noted()
        judged = server.ask(same)
        compare(asked, judged)
        noted, made, failed = (late - early for early, late in zip(before, after, strict=True))
        assert noted == made + failed, f"{made} + {failed} error events of {noted} events"
        assert size_bytes > SMALL_BYTES or not failed, "an error event was not fit to be sent"
        assert server.noted() == after and not judged.sent, "/validate leaves something behind"
        self.valid += bool(asked.sent)
        return judged

    def _ask_alone(self, server: Asking, judged: Asked, array: bytes, head: bytes, to: bytes) -> None:
        """One event goes straight to be judged, an array is taken apart first."""
        asked = server.ask(post(array, head, to))
        if judged.is_refused() and asked.is_refused():
            assert asked.answer.status == judged.answer.status
        elif judged.is_refused():
            assert len(json.loads(array)) != 1, "refused, but not in an array"
        elif b"nested too deeply" not in asked.answer.body:  # An array is one level more.
            self.alike += 1
            compare(asked, judged)


def _seeds() -> Iterator[bytes]:
    event = json.dumps(EVENT).encode()
    report = b'[{"type":"crash","age":1,"url":"https://a.example/","body":{"reason":"oom"}}]'
    cloud = {"specversion": "1.0", "id": "1", "source": "/shop/1", "type": "org.a.sold", "data": EVENT}
    one = json.dumps(cloud).encode()
    bodies = [event, event, event + b"\n\n" + event, report, one, b"[" + one + b"]", event, event, event]
    for door, body in enumerate(bodies):
        for how in range(2 * len(PACKED) + 1):
            yield bytes([door, how, how % 32]) + body
    # One event as it is, in every way: most of what comes. Of every stream, some that are no good to it.
    for way in range(64):
        name, stream = list(STREAMS.items())[way % len(STREAMS)]
        meta = {"stream": "job.a" if name.startswith("/") else name, "dt": "2020-01-01T00:00:00Z"}
        of_it = {"$schema": f"/{stream['schema_title']}/1.0.0", "meta": meta, "n": 1.0, "page": {"wiki": "a"}}
        yield bytes([way % PLAIN, 0, way % 32]) + json.dumps(of_it | {"test": ("x", 1)[way > 48]}).encode()
    for way, query in enumerate((event, b"stream=plain&" + quote_from_bytes(event).encode())):
        yield bytes([QUERY, way, 0]) + query
        yield bytes([QUERY, way, REJECTS | NAMED]) + query
    # Compressed already: what is changed is the encoding itself.
    for how, (_, pack) in enumerate(PACKED.values()):
        yield bytes([0, len(PACKED) + 1 + how, how]) + pack(event)
    # Arrays that are cut, or would be: of what is small, some of it wrong.
    for way, count in enumerate((20, 60, 24, 48, 33, 28, 40, 32)):
        events = [SMALL[index % (2 + way % 4)] for index in range(count)]
        yield bytes([way % PLAIN, 0, NAMED | (way * 3) % 32]) + b"[%b]" % b",".join(events)
    yield bytes([PLAIN, 0, NAMED | CUTS]) + b"\n".join(events)
    names = b'{"$schema":"/test/event/1.0.0","meta":{"stream":"job.a"},"n":%d}'
    yield bytes([0, 0, CUTS]) + b"[%b]" % b",".join(names % number for number in range(40))
    # What begins and ends like an event: with a name that occurs twice, and no JSON at all.
    yield bytes([0, 0, REJECTS]) + event[:-1] + b',"test":"y"}'
    yield bytes([0, 0, 0]) + event[:-1] + b',"test":"y"}'
    yield bytes([0, 0, REJECTS]) + event[:-1] + b",}"
    yield bytes([0, 0, 0]) + event[:-1] + b'"}'
