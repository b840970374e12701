"""A fuzz over everything that the service writes or shows: no value that a schema withholds is in any of it.

Outputs: the topics of the embedded sink with the error stream, as bytes of its files; the spool's files; the log;
metrics, status, findings of checks in the background, and the console. The answers to senders are left out: they hold
what the senders sent.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.harness.annotated import Marked, schema_of
from tests.harness.broker import MockCluster
from tests.harness.consoled import send
from tests.harness.running import ROOT
from tests.harness.served import EXAMPLES, Served
from tests.process.scraped import ask_admin

TITLE = "fuzz"
API = "/console/api/v1"
PAGES = ("/metrics", "/status", "/shadow", "/", f"{API}/summary", f"{API}/coverage", "/console/micro/all")
SECRET = "s" * 32
DECLARED: dict[str, Any] = {
    "fuzz": {"schema_title": TITLE},
    "fuzz.watched": {"schema_title": TITLE, "producers": {"eventgate": {"validation": "observe"}}},
    "fuzz.open": {"schema_title": TITLE, "producers": {"eventgate": {"validation": "off"}}},
    "fuzz.strict": {"schema_title": TITLE, "producers": {"eventgate": {"privacy": "strict"}}},
    "fuzz.tried": {
        "schema_title": TITLE,
        "producers": {"eventgate": {"shadow_schema": "1.0.0", "shadow_rate": 1}},
    },
}


class Fuzzed:
    """A service, its schemas, and the places where its outputs are."""

    def __init__(self, directory: Path, service: Served) -> None:
        self._directory = directory
        self.service = service
        self._versions = 0
        self._sentinels = 0
        self._cursor = 0  # The console's rows up to here were looked at.

    def schema(self, rng: random.Random) -> dict[str, Any]:
        """Publish a new version of the schema, with random annotations."""
        self._versions += 1
        version = f"1.{self._versions}.0"
        schema = schema_of(rng, TITLE, version)
        write_schema(self._directory, schema)
        return schema

    def post(self, body: bytes, path: str = "/v1/events", **headers: str) -> int:
        return send(self.service.address, body, path, headers=headers)[0]

    def settle(self) -> None:
        """Wait until everything about the requests so far is written: with one worker, a refused event that comes last
        is told of last."""
        self._sentinels += 1
        word = f"sentinel{self._sentinels}x"
        event = {"$schema": "/web/page_view/1.1.0", "meta": {"stream": "web.page_view"}, "page": {"at": word}}
        assert self.post(json.dumps(event).encode()) == 400
        self.service.until(lambda: word.encode() in self.files())
        self.service.until(lambda: word in self.rows())

    def forget(self) -> None:
        """Look at no row of the console again that is there now."""
        self._cursor = json.loads(self.rows())["cursor"]

    def rows(self) -> str:
        """The newest rows of the console."""
        return ask_admin(self.service, f"{API}/events?limit=1000&after={self._cursor}")[2]

    def files(self) -> bytes:
        """The bytes of all files that the service writes."""
        found = [path for name in ("events", "spool") for path in sorted((self._directory / name).rglob("*"))]
        return b"\0".join(path.read_bytes() for path in found if path.is_file()) + self.service.log().encode()

    def pages(self) -> str:
        """All pages of the admin process, with the newest rows of the console."""
        rows = self.rows()
        numbers = [row["facts"]["seq"] for row in json.loads(rows)["events"]]
        paths = (*PAGES, *(f"{API}/events/{number}" for number in numbers))
        return "\0".join([rows, *(ask_admin(self.service, path)[2] for path in paths)])

    def check(self, markers: list[str]) -> None:
        """Fail if any output holds a marker."""
        written, shown = self.files(), self.pages()
        found = [marker for marker in markers if marker.encode() in written or marker in shown]
        assert found == []


def write_schema(directory: Path, schema: dict[str, Any]) -> None:
    path = directory / "schemas" / f"{schema['$id'][1:]}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(schema))


@contextmanager
def served(directory: Path, **more: Any) -> Iterator[Fuzzed]:
    write_schema(directory, schema_of(random.Random(0), TITLE, "1.0.0"))
    (directory / "keys").write_text(f"k1 {SECRET}\n")
    (directory / "more.yaml").write_text(json.dumps({"streams": DECLARED}))
    whole: dict[str, Any] = {
        "workers": 1,
        "schemas": {"base_uris": [str(EXAMPLES / "schemas"), "schemas"], "allow_insecure": True},
        "streams": {"sources": [str(EXAMPLES / "streams.yaml"), "more.yaml"]},
        "console": {"enabled": True, "mode": "development", "max_per_s": 10_000, "show_addresses": True},
        "log": {"level": "debug", "client_text": True},
        "privacy": {"keys_file": "keys"},
        "intake": {"error_events_per_s": 100_000},
        **more,
    }
    with Served(directory, **whole) as service:
        yield Fuzzed(directory, service)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    with served(tmp_path_factory.mktemp("privacy")) as found:
        yield found


def _in_another_place(marked: Marked) -> bytes:
    """An object where text should be, text where objects should be, and the like."""
    for name, value in marked.event.items():
        if name in marked.withheld:
            marked.event[name] = [{"a0": marked.marker()}] if isinstance(value, str | int) else marked.marker()
    return marked.text()


def _with(**fields: Any) -> Callable[[Marked], bytes]:
    def make(marked: Marked) -> bytes:
        marked.event |= fields
        return marked.text()

    return make


def _twice(marked: Marked) -> bytes:
    text = marked.text()
    return text[:1] + b'"s":"' + marked.marker().encode() + b'",' + text[1:]


# What is done to a valid event before it is sent.
SPOILED: dict[str, Callable[[Marked], bytes]] = {
    "nothing": Marked.text,
    "names that occur twice": _twice,
    "a violation elsewhere": _with(n="no number"),
    "values of other kinds": _in_another_place,
    "an unknown stream": _with(meta={"stream": "fuzz.nowhere"}),
    "a stream of another title": _with(meta={"stream": "web.page_view"}),
    "neither schema nor stream": _with(**{"$schema": 1, "meta": {}}),
    "the beginning of it": lambda marked: marked.text()[:-1],
    "half of a pair": lambda marked: marked.text()[:-1] + b',"h":"\\ud800"}',
    "too deep": lambda marked: marked.text()[:-1] + b',"d":' + b"[" * 3000 + b"]" * 3000 + b"}",
    "in a list with others": lambda marked: b"[" + marked.text() + b',{"s":1},17]',
    "in a list that does not end": lambda marked: b"[" + marked.text(),
    "a text": lambda marked: json.dumps(marked.text().decode()).encode(),
}
WAYS: list[tuple[str, dict[str, str]]] = [
    ("/v1/events", {}),
    ("/v1/events", {"Sec-GPC": "1"}),
    ("/v1/events?hasty=true", {}),
    ("/v1/beacon", {}),
    ("/v1/validate", {}),
    ("/v1/events", {"Content-Type": "application/x-ndjson"}),
    ("/v1/events", {"Content-Type": "application/cloudevents+json"}),
]


CASES = st.tuples(st.sampled_from(sorted(SPOILED)), st.sampled_from(sorted(DECLARED)), st.sampled_from(WAYS))


@pytest.mark.slow(reason="hundreds of requests to a real service")
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32),
    cases=st.lists(CASES, min_size=1, max_size=8),
)
def test_no_value_that_a_schema_withholds_is_in_anything_that_the_service_writes_or_shows(
    fuzzed: Fuzzed, seed: int, cases: list[tuple[str, str, tuple[str, dict[str, str]]]]
) -> None:
    rng = random.Random(seed)
    schema = fuzzed.schema(rng)
    markers: list[str] = []
    for spoil, stream, (path, headers) in cases:
        marked = Marked(rng, schema, stream)
        body = SPOILED[spoil](marked)
        fuzzed.post(body.replace(b"\n", b" "), path, **headers)
        markers += marked.markers

    fuzzed.settle()
    fuzzed.check(markers)
    fuzzed.forget()


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    cluster = MockCluster()
    yield cluster
    cluster.kill()


def test_the_spool_holds_what_is_stored(tmp_path: Path, cluster: MockCluster) -> None:
    kafka = {"bootstrap.servers": cluster.servers, "message.timeout.ms": 2000}
    sink = {"kind": "kafka", "kafka": kafka}
    with served(tmp_path, sink=sink, spool={"path": "spool"}, drain_s=3.0) as fuzzed:
        rng = random.Random(7)
        schema = fuzzed.schema(rng)
        cluster.hang()
        markers: list[str] = []

        def is_spooled() -> bool:
            marked = Marked(rng, schema, "fuzz")
            markers.extend(marked.markers)
            fuzzed.post(marked.text(), "/v1/events?hasty=true")
            return schema["$id"].encode() in fuzzed.files()

        fuzzed.service.until(is_spooled)
        cluster.go_on()
        fuzzed.check(markers)


def person(service: Served, name: str, **headers: str) -> dict[str, Any]:
    """What is stored of an event of this person."""
    event = {"$schema": "/person/1.0.0", "meta": {"stream": "people"}, "name": name, "n": 1}
    assert send(service.address, event, headers=headers)[0] == 201
    found: dict[str, Any] = service.events("people")[-1]["value"]
    return found


@pytest.fixture
def people(tmp_path: Path) -> dict[str, Any]:
    """Settings with a stream of persons, whose names are hashed."""
    properties = {"$schema": {"type": "string"}, "meta": {"type": "object"}, "n": {"type": "integer"}}
    named = {"type": "string", "x-privacy": "hash"}
    schema = {"title": "person", "$id": "/person/1.0.0", "type": "object", "properties": {**properties, "name": named}}
    write_schema(tmp_path, schema)
    (tmp_path / "people.yaml").write_text(json.dumps({"streams": {"people": {"schema_title": "person"}}}))
    (tmp_path / "keys").write_text(f"k1 {SECRET}\n")
    return {
        "workers": 1,
        "schemas": {"base_uris": ["schemas"]},
        "streams": {"sources": ["people.yaml"]},
        "privacy": {"keys_file": "keys"},
    }


def test_a_hash_outlives_a_restart_and_a_new_key_needs_none(tmp_path: Path, people: dict[str, Any]) -> None:
    with Served(tmp_path, **people) as service:
        first = person(service, "ada")["name"]
    (tmp_path / "log").unlink()
    with Served(tmp_path, **people) as service:
        again = person(service, "ada")["name"]
        (tmp_path / "new").write_text(f"k2 {SECRET[::-1]}x\nk1 {SECRET}\n")
        os.replace(tmp_path / "new", tmp_path / "keys")
        service.says("values are hashed with the key k2 from now on")
        rotated = person(service, "ada")["name"]

    assert first == again
    assert first.startswith("hmac:k1:")
    assert rotated.startswith("hmac:k2:")


def test_sec_gpc_asks_for_the_strict_set(tmp_path: Path, people: dict[str, Any]) -> None:
    with Served(tmp_path, **people) as service:
        assert "name" in person(service, "ada")
        assert "name" not in person(service, "ada", **{"Sec-GPC": "1"})


def test_a_start_needs_keys_that_can_be_read(tmp_path: Path, people: dict[str, Any]) -> None:
    (tmp_path / "keys").write_text("k1 short\n")
    settings = tmp_path / "penstock.yaml"
    settings.write_text(json.dumps({**people, "sink": {"kind": "memory"}}))
    command = [sys.executable, "-m", "server", "check", "-c", str(settings)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode != 0
    assert "the secret has fewer than 32 characters" in done.stdout + done.stderr
