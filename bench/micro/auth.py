"""Measure the cost of access control, compared with an event's whole way through the pipeline.

Place: ``python -m bench auth``, some seconds.
Rules: the ways are asked in turns, in one process, for short rounds; CPU of the process, and the least of many rounds:
neighbours on a shared machine only ever add. Each way is a stream of its own, of one schema, and a request of its own;
what it costs is the difference to the stream that all clients may write to.
Not here: HTTP, verifying what was not seen before (but once, for the table).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from server.auth.access import Access
from server.auth.api_keys import hashed, new_key
from server.auth.tokens import Tokens
from server.boot.generation import read
from server.intake.arrival import Arrival
from server.intake.pipeline import Pipeline, make_pipeline

EXAMPLES = Path(__file__).parents[2] / "server" / "examples"
EVENTS = 2_000
BATCH = 100
ISSUER = "https://issuer.example.org"
ALGORITHMS = ("ES256", "EdDSA", "RS256")


class Way(NamedTuple):
    """One kind of proof: the stream that asks for it, and what a request gives."""

    stream: str
    headers: dict[bytes, bytes]


def signers() -> dict[str, tuple[Any, dict[str, Any]]]:
    """Private key and public JWK, by algorithm."""
    made: dict[str, tuple[Any, Any]] = {
        "ES256": (ec.generate_private_key(ec.SECP256R1()), jwt.algorithms.ECAlgorithm),
        "EdDSA": (ed25519.Ed25519PrivateKey.generate(), jwt.algorithms.OKPAlgorithm),
        "RS256": (rsa.generate_private_key(65537, 2048), jwt.algorithms.RSAAlgorithm),
    }
    return {
        name: (key, {**json.loads(kind.to_jwk(key.public_key())), "kid": name}) for name, (key, kind) in made.items()
    }


def token(signer: tuple[Any, dict[str, Any]], algorithm: str) -> str:
    """One that is good for an hour."""
    claims = {"iss": ISSUER, "aud": "bench", "exp": int(time.time()) + 3600, "sub": "bench", "streams": ["tokens"]}
    return jwt.encode(claims, signer[0], algorithm, headers={"kid": algorithm})


def settings(directory: Path, keys: dict[str, str], jwks: list[dict[str, Any]]) -> Path:
    """Streams that ask for different proofs."""
    asked: dict[str, dict[str, Any]] = {
        "open": {"auth": "none"},
        "keys": {"auth": "api_keys"},
        "narrow": {"auth": "api_keys", "api_keys": ["narrow"]},
        "tokens": {"auth": "jwt"},
        "near": {"auth": "networks"},
        "closed": {"auth": "api_keys"},
    }
    streams = {name: {"schema_title": "app/tick", "producers": {"eventgate": each}} for name, each in asked.items()}
    entries: list[dict[str, Any]] = [{"name": name, "hash": str(hashed(key))} for name, key in keys.items()]
    entries[1] |= {"streams": ["narrow", "/^other/"], "origins": ["https://www.example.org"]}
    (directory / "streams.yaml").write_text(json.dumps({"streams": streams}))
    (directory / "jwks.json").write_text(json.dumps({"keys": jwks}))
    whole = {
        "schemas": {"base_uris": [str(EXAMPLES / "schemas")]},
        "streams": {"sources": ["streams.yaml"]},
        "sink": {"kind": "memory"},
        "auth": {
            "keys": entries,
            "networks": ["192.0.2.0/24"],
            "jwt": {"keys": "jwks.json", "issuer": ISSUER, "audience": ["bench"]},
        },
    }
    (directory / "penstock.yaml").write_text(json.dumps(whole))
    return directory / "penstock.yaml"


def of_batch(pipeline: Pipeline, way: Way, batch: int, *, is_taken: bool) -> Callable[[], None]:
    """Send ``EVENTS`` of them through the pipeline, so many a request."""
    event = {"$schema": "/app/tick/1.0.0", "meta": {"stream": way.stream, "dt": "2026-01-02T03:04:05Z"}, "count": 1}
    raw = json.dumps(event).encode()
    now_ms = time.time_ns() // 1_000_000

    def send() -> None:
        for _ in range(EVENTS // batch):
            arrival = Arrival(now_ms, b'"2026-01-02T03:04:05.678Z"', way.headers, _address)
            for index in range(batch):
                prepared = pipeline.prepare(index, raw, arrival)
            assert (prepared.verdict is None) == is_taken, prepared.verdict

    return send


def _address(_: Any) -> str:
    return "192.0.2.7"


def least_us(works: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """The least CPU of an event, by name; in turns."""
    costs: dict[str, float] = {}
    for _ in range(rounds):
        for name, work in works.items():
            start_ns = time.process_time_ns()
            work()
            cost = (time.process_time_ns() - start_ns) / EVENTS / 1000
            costs[name] = min(cost, costs.get(name, cost))
    return costs


def run(argv: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench auth", description="What it costs to ask who writes.")
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args(argv)
    signing = signers()
    keys = {"web": new_key(), "narrow": new_key()}
    with tempfile.TemporaryDirectory() as directory:
        generation = read(settings(Path(directory), keys, [jwk for _, jwk in signing.values()]), [])
        public_keys = (Path(directory) / "jwks.json").read_bytes()
    access = Access(generation.config.auth, generation.credentials, lambda _: False)
    narrow = {b"authorization": b"Bearer " + keys["narrow"].encode(), b"origin": b"https://www.example.org"}
    ways = {
        "none": Way("open", {}),
        "a key": Way("keys", {b"authorization": b"Bearer " + keys["web"].encode()}),
        "a key for a stream and an origin": Way("narrow", narrow),
        "a token": Way("tokens", {b"authorization": b"Bearer " + token(signing["ES256"], "ES256").encode()}),
        "a network": Way("near", {}),
        "an invented key, refused": Way("closed", {b"authorization": b"Bearer psk_aaaaaaaa_" + b"a" * 32}),
    }
    print(f"{'µs CPU an event':36}{'alone':>8}{'more':>8}{'in 100':>9}{'more':>8}")
    pipelines = {name: _pipeline(generation, access) for name in ways}
    tables = [
        least_us(
            {name: of_batch(pipelines[name], way, size, is_taken="refused" not in name) for name, way in ways.items()},
            options.rounds,
        )
        for size in (1, BATCH)
    ]
    for name in ways:
        cells = "".join(f"{table[name]:8.2f}{table[name] - table['none']:+8.2f} " for table in tables)
        print(f"{name:36}{cells}")
    for algorithm in ALGORITHMS:
        each = token(signing[algorithm], algorithm).encode()
        tokens = Tokens(generation.config.auth.jwt, public_keys)
        costs = []
        for _ in range(options.rounds):
            start_ns = time.process_time_ns()
            assert tokens.find(each) is not None
            costs.append((time.process_time_ns() - start_ns) / 1000)
        print(f"{f'verifying a new token, {algorithm}':36}{min(costs):8.0f}")
    return 0


def _pipeline(generation: Any, access: Access) -> Pipeline:
    """Make a pipeline for each way. Each has seen one stream only, like a worker with one busy stream."""
    return make_pipeline(generation.config, generation.schemas.find, generation.snapshot.find, None, access.guard)
