"""The events that benches send: seeded, so that every run and every peer gets the same bytes.

Place: read by the load client, the peers and the benches that write settings.
Rule: none has what the intake fills in (`meta.dt`, `meta.id`); events are valid, but for those of ``invalid``.
Not here: how requests are made of them (works) and sent (load.client).
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parent.parent
CORPUS = ROOT.parent / "shared" / "corpus"
EXAMPLES = ROOT / "server" / "examples"
SEED = 20260102
EVENTS = 200  # Different ones, so that no cache of whole events can help; few enough to stay in the caches of the CPU.
BIG_BYTES = 20_000

# Of ten families, single and nested, 200 to 900 bytes.
MIXED = (
    "/analytics/legacy/editattemptstep/2.1.0",
    "/analytics/legacy/searchsatisfaction/1.5.0",
    "/analytics/mediawiki/content_translation_event/1.6.0",
    "/analytics/mobile_apps/android_app_session/1.0.1",
    "/analytics/session_tick/2.0.0",
    "/mediawiki/client/error/2.0.0",
    "/mediawiki/page/move/1.0.0",
    "/mediawiki/revision/create/2.0.0",
    "/mediawiki/revision/score/3.0.0",
    "/w3c/reportingapi/network_error/1.0.0",
)


class Workload(NamedTuple):
    """Events as JSON text, and the schemas and streams that they name; ``base_uri`` and ``streams`` are for settings.

    ``invalid`` are like ``events``, each with one member of a wrong type.
    """

    name: str
    base_uri: Path
    streams: Path
    schema_uris: tuple[str, ...]
    topics: tuple[str, ...]
    events: list[bytes]
    invalid: list[bytes]

    @property
    def event_bytes(self) -> int:
        """The mean size of an event."""
        return round(sum(map(len, self.events)) / len(self.events))

    def schemas(self) -> dict[str, Any]:
        """Its schemas by URI, materialised: they have no $ref."""
        files = {uri: self.base_uri / f"{uri[1:]}.yaml" for uri in self.schema_uris}
        return {uri: yaml.safe_load(file.read_text(encoding="utf-8")) for uri, file in files.items()}

    def batch(self, size: int, offset: int, every_invalid: int = 0) -> list[bytes]:
        """``size`` events from ``offset`` on; every ``every_invalid``-th is an invalid one."""
        chosen = []
        for at in range(offset, offset + size):
            is_invalid = every_invalid > 0 and at % every_invalid == every_invalid - 1
            pool = self.invalid if is_invalid else self.events
            chosen.append(pool[at % len(pool)])
        return chosen


@lru_cache
def workload(name: str) -> Workload:
    """``example``: the project's own page view. ``real``: a schema of a large site, 79 properties at all depths.
    ``mixed``: ten schemas in turn. ``big``: events of 20 kB."""
    return MAKERS[name]()


def names() -> list[str]:
    """The workloads that can be had here: real ones need the corpus next to the checkout."""
    return ["example", "real"] if CORPUS.is_dir() else ["example"]


def best(name: str) -> str:
    """The workload itself, or what stands for it where there is no corpus."""
    return name if CORPUS.is_dir() else "example"


def _text(event: Any) -> bytes:
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()


def _broken(text: bytes, path: tuple[str, ...]) -> bytes:
    """The same event with a list where ``path`` has something else."""
    event = json.loads(text)
    holder = event
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = ["wrong"]
    return _text(event)


def _day(rng: random.Random) -> str:
    return f"2026-01-02T{rng.randrange(24):02}:{rng.randrange(60):02}:07.{rng.randrange(1000):03}Z"


def _example() -> Workload:
    rng = random.Random(SEED)
    events = []
    for _ in range(EVENTS):
        event = {
            "$schema": "/web/page_view/1.1.0",
            "meta": {"stream": "web.page_view"},
            "dt": _day(rng),
            "page": "/articles/" + "-".join(rng.choices(("tea", "water", "gate", "wheel", "mill", "pond"), k=6)),
            "referrer": f"https://search.example/?q={rng.randrange(10**9)}",
            "load_ms": rng.randrange(20, 4000),
            "visit": f"{rng.getrandbits(80):020x}",
        }
        events.append(_text(event))
    uris, topics = ("/web/page_view/1.1.0",), ("web.page_view",)
    broken = [_broken(text, ("load_ms",)) for text in events]
    return Workload("example", EXAMPLES / "schemas", EXAMPLES / "streams.yaml", uris, topics, events, broken)


def _given() -> dict[str, dict[str, Any]]:
    """The first event of each schema in the corpus, without what the server fills in."""
    lines = (CORPUS / "events-routed.ndjson").read_text(encoding="utf-8").splitlines()
    found: dict[str, dict[str, Any]] = {}
    for event in map(json.loads, lines):
        event["meta"].pop("dt", None)
        event["meta"].pop("id", None)
        found.setdefault(event["$schema"], event)
    return found


def _corpus(name: str, events: list[bytes], broken: list[bytes]) -> Workload:
    parsed = [json.loads(text) for text in events]
    uris = tuple(dict.fromkeys(event["$schema"] for event in parsed))
    topics = tuple(dict.fromkeys(event["meta"]["stream"] for event in parsed))
    return Workload(name, CORPUS / "jsonschema", CORPUS / "streams.yaml", uris, topics, events, broken)


def _real() -> Workload:
    rng = random.Random(SEED)
    given = _given()["/analytics/legacy/editattemptstep/2.1.0"]
    events = []
    for _ in range(EVENTS):
        given["event"]["page_id"] = rng.randrange(1, 10**8)
        given["event"]["user_editcount"] = rng.randrange(10**5)
        events.append(_text(given))
    return _corpus("real", events, [_broken(text, ("event", "page_id")) for text in events])


def _mixed() -> Workload:
    rng = random.Random(SEED)
    given = _given()
    events = []
    for at in range(EVENTS):
        event = given[MIXED[at % len(MIXED)]]
        if "dt" in event:
            event["dt"] = _day(rng)
        events.append(_text(event))
    return _corpus("mixed", events, [_broken(text, ("meta", "stream")) for text in events])


def _big() -> Workload:
    """A job queue's parameters: nothing is said of what is inside them, as of most things that get big."""
    rng = random.Random(SEED)
    given = _given()["/mediawiki/job/1.0.0"]
    events = []
    for _ in range(EVENTS):
        pages: list[dict[str, Any]] = []
        size = 0
        while size < BIG_BYTES:
            pages.append(
                {f"{rng.getrandbits(64):x}": [rng.randrange(100), f"Página {rng.random()}"] for _ in range(40)}
            )
            size += len(_text(pages[-1]))
        given["params"] = {"pages": pages}
        events.append(_text(given))
    return _corpus("big", events, [_broken(text, ("type",)) for text in events])


MAKERS: dict[str, Callable[[], Workload]] = {"example": _example, "real": _real, "mixed": _mixed, "big": _big}
