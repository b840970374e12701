"""Make workers that lack one of their concerns, to compare them with whole ones.

Place: bench.micro.worker, bench.peers.undurable → HERE → server.worker.concerns.
Rules: what is left out is replaced by a part of the same shape that does nothing; no code of the product is changed.
Additions and comparisons that stand in the code of the hot path (0.05 µs each) are the same on both sides, so no figure
holds them. Rates and limits are switched off by settings.
Not here: measuring. A service without durability loses what it accepted.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final, cast

from server.intake.books.receipts import Receipts
from server.worker.concerns import ALL, Concerns
from server.worker.measures import Measures


class NoReceipts(Receipts):
    """Forgets what it is told; an append to a deque without room is the least that a call can cost."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.hasty = cast(Any, deque(maxlen=0))
        self.settled = cast(Any, deque(maxlen=0))

    def start(self) -> None:
        """There is nothing to write."""

    def note_odd(self, *_arguments: Any, **_named: Any) -> None:
        """Pass it over."""

    def spooled(self, number: int) -> None:
        """Pass it over."""

    def failed(self, number: int, *, was_spooled: bool) -> None:
        """Pass it over."""


class NoMeasures(Measures):
    """Copies nothing to shared memory."""

    def write(self) -> None:
        """There is nothing to write."""


CONCERNS: Final[dict[str, Concerns]] = {
    "expect": ALL,
    "durability": Concerns(make_spool=lambda *_: None, receipts=NoReceipts),
    "limits": ALL,
    "metrics": Concerns(measures=NoMeasures, measured_every=0),
    "rates": ALL,
    "shadow": ALL,
}
# What is added to the schema of the bench's events for the tree that has the concern: each event fails the second.
EXPECTED: Final[dict[str, str]] = {
    "expect": """\
x-expect:
  - {title: the page is a path, properties: {page: {minLength: 1, pattern: ^/, maxLength: 2000}}}
  - {title: home has a visit, if: {properties: {page: {const: /home}}}, then: {required: [visit]}}
""",
}
# Settings of HTTP for the tree that has the concern, and for the one that has it not. No bound is ever reached.
_RATES: Final = "limits: {requests_per_s_per_address: 1000000, burst_per_address: 1000000}"
_LIMITS: Final = (
    "limits: {max_connections_per_address: 1000000, max_requests_per_connection: 1000000, max_json_depth: 64, "
    "min_bytes_per_s: 1}"
)
_NO_LIMITS: Final = (
    "limits: {max_connections_per_address: 0, max_requests_per_connection: 0, max_json_depth: 1000, "
    "min_bytes_per_s: 0, max_event_bytes: 4194304, max_json_nodes: 10000000, max_number_digits: 10000000}"
)
HTTP: Final[dict[str, tuple[str, str]]] = {"rates": (_RATES, ""), "limits": (_LIMITS, _NO_LIMITS)}
# Further declarations of streams for the tree that has the concern: version 1.0.0 refuses each event of the bench.
DECLARED: Final[dict[str, str]] = {
    "shadow": "streams: {web.page_view: {producers: {eventgate: {shadow_schema: 1.0.0, shadow_rate: 0.1}}}}",
}
