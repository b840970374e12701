"""Files that the settings name belong to what HUP compares, whatever else has changed with them."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.harness.broker import dead_servers
from tests.harness.served import Served


def certificate(name: str) -> bytes:
    """One that signs itself, good for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return made.sign(key, SHA256()).public_bytes(Encoding.PEM)


def test_a_certificate_that_changed_together_with_streams_brings_new_workers(tmp_path: Path) -> None:
    """Streams alone are handed to the workers that run, which have read the certificate once and for all."""

    def write(streams: int, ca: str | None = None) -> None:
        declared = {f"app.{number}": {"schema_title": "app/tick"} for number in range(streams)}
        (tmp_path / "streams.yaml").write_text(json.dumps({"streams": declared}))
        if ca is not None:
            (tmp_path / "ca.pem").write_bytes(certificate(ca))

    with dead_servers() as nowhere:
        kafka = {"bootstrap.servers": nowhere, "security.protocol": "ssl", "ssl.ca.location": "ca.pem"}
        settings = {"streams": {"sources": ["streams.yaml"]}, "intake": {"error_stream": ""}}
        write(1, "old")
        with Served(tmp_path, workers=1, sink={"kind": "kafka", "kafka": kafka}, **settings) as service:
            first = service.workers()
            write(2)
            service.reload()
            assert service.workers() == first

            write(3, "new")
            service.reload()
            assert service.workers().isdisjoint(first)

            second = service.workers()
            (tmp_path / "ca.pem").unlink()
            write(4)
            service.signal(signal.SIGHUP)
            service.says(
                r"reload refused, the old settings stay in force: [^\n]*ssl\.ca\.location: [^\n]*ca\.pem cannot be"
            )
            assert service.workers() == second
