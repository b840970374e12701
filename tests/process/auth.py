"""What tests of who may write share: keys, tokens, an issuer's keys, and a client that sends what it is told."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from server.auth.api_keys import hashed, new_key
from tests.harness.served import Served

ISSUER, AUDIENCE = "https://issuer.example.org", "events"


class Key:
    """An API key, and how it is written down."""

    def __init__(self, name: str, **more: Any) -> None:
        self.text = new_key()
        self.entry = {"name": name, "hash": str(hashed(self.text)), **more}

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.text}"}


class Issuer:
    """Signs tokens by one algorithm; ``jwk`` is its public key."""

    def __init__(self, algorithm: str, kid: str) -> None:
        self._key: Any
        kind: Any
        if algorithm == "ES256":
            self._key, kind = ec.generate_private_key(ec.SECP256R1()), jwt.algorithms.ECAlgorithm
        elif algorithm == "EdDSA":
            self._key, kind = ed25519.Ed25519PrivateKey.generate(), jwt.algorithms.OKPAlgorithm
        else:
            self._key, kind = rsa.generate_private_key(65537, 2048), jwt.algorithms.RSAAlgorithm
        self._algorithm = algorithm
        self.kid = kid
        self.jwk: dict[str, Any] = {**json.loads(kind.to_jwk(self._key.public_key())), "kid": kid, "use": "sig"}

    def token(self, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """One that is right but for what is given; a claim that is None is left out."""
        now = int(time.time())
        whole = {"iss": ISSUER, "aud": AUDIENCE, "exp": now + 600, "sub": "somebody", "streams": ["tokens"], **claims}
        given = {name: value for name, value in whole.items() if value is not None}
        given_headers = {
            name: value for name, value in {"kid": self.kid, **(headers or {})}.items() if value is not None
        }
        return jwt.encode(given, self._key, self._algorithm, headers=given_headers)


def jwks(*issuers: Issuer) -> str:
    return json.dumps({"keys": [issuer.jwk for issuer in issuers]})


def write_keys(directory: Path, *keys: Key) -> None:
    (directory / "keys.yaml").write_text(json.dumps({"keys": [key.entry for key in keys]}))


def event(stream: str) -> dict[str, Any]:
    return {"$schema": "/app/tick/1.0.0", "meta": {"stream": stream, "dt": "2026-01-02T03:04:05.678Z"}, "count": 1}


class Answer:
    """Status, headers in lower case, and what went wrong, by type, in the order of the events."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        self.failed = [
            found["context"]["error_type"] for found in (json.loads(self.body).get("invalid", []) if self.body else [])
        ]


def send(
    service: Served,
    *streams: str,
    path: str = "/v1/events",
    headers: dict[str, str] | None = None,
    source: str = "127.0.0.1",
) -> Answer:
    """Post an event to each of the streams, from an address of the loopback network."""
    body = json.dumps([event(stream) for stream in streams]).encode()
    lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    with socket.create_connection(service.address, timeout=60, source_address=(source, 0)) as client:
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + body)
        return Answer(b"".join(iter(lambda: client.recv(65536), b"")))
