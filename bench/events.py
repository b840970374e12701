"""The events that benches send: seeded, so that every run and every peer gets the same bytes.

Place: read by the load client, the peers and whoever writes settings for a bench.
Rule: a workload is one schema and one stream; its events are valid, and none has what the intake fills in.
Not here: how requests are sent (load.client).
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
CORPUS = ROOT.parent / "shared" / "corpus"
SEED = 20260102
EVENTS = 200  # Different ones, so that no cache of whole events can help; few enough to stay in the caches of the CPU.


class Workload(NamedTuple):
    """One schema, one stream, and events for them as JSON text.

    ``base_uri`` and ``streams`` are what the settings of a server name.
    """

    name: str
    base_uri: Path
    streams: Path
    schema_uri: str
    stream: str
    events: list[bytes]

    @property
    def schema_file(self) -> Path:
        """The schema, materialised: it has no $ref."""
        return self.base_uri / f"{self.schema_uri[1:]}.yaml"

    @property
    def event_bytes(self) -> int:
        """The mean size of an event."""
        return round(sum(map(len, self.events)) / len(self.events))

    def body(self, batch: int, offset: int) -> bytes:
        """The body of one request: an event, or an array of ``batch`` events."""
        chosen = [self.events[(offset + index) % len(self.events)] for index in range(batch)]
        return chosen[0] if batch == 1 else b"[" + b",".join(chosen) + b"]"


def workload(name: str) -> Workload:
    """``example``: the project's own page view. ``real``: a schema of a large site, 79 properties at all depths."""
    return {"example": _example, "real": _real}[name]()


def names() -> list[str]:
    """The workloads that can be had here: real ones need the corpus beside the checkout."""
    return ["example", "real"] if CORPUS.is_dir() else ["example"]


def _example() -> Workload:
    rng = random.Random(SEED)
    events = []
    for _ in range(EVENTS):
        event = {
            "$schema": "/web/page_view/1.1.0",
            "meta": {"stream": "web.page_view"},
            "dt": f"2026-01-02T{rng.randrange(24):02}:{rng.randrange(60):02}:07.{rng.randrange(1000):03}Z",
            "page": "/articles/" + "-".join(rng.choices(("tea", "water", "gate", "wheel", "mill", "pond"), k=6)),
            "referrer": f"https://search.example/?q={rng.randrange(10**9)}",
            "load_ms": rng.randrange(20, 4000),
            "visit": f"{rng.getrandbits(80):020x}",
        }
        events.append(json.dumps(event, separators=(",", ":")).encode())
    examples = ROOT / "server" / "examples"
    return Workload(
        "example", examples / "schemas", examples / "streams.yaml", "/web/page_view/1.1.0", "web.page_view", events
    )


def _real() -> Workload:
    uri, stream = "/analytics/legacy/editattemptstep/2.1.0", "eventlogging_EditAttemptStep"
    rng = random.Random(SEED)
    lines = (CORPUS / "events-routed.ndjson").read_text(encoding="utf-8").splitlines()
    given = next(event for event in map(json.loads, lines) if event["$schema"] == uri)
    given["meta"].pop("dt", None)
    given["meta"].pop("id", None)
    events = []
    for _ in range(EVENTS):
        given["event"]["page_id"] = rng.randrange(1, 10**8)
        given["event"]["user_editcount"] = rng.randrange(10**5)
        events.append(json.dumps(given, separators=(",", ":"), ensure_ascii=False).encode())
    return Workload("real", CORPUS / "jsonschema", CORPUS / "streams.yaml", uri, stream, events)
