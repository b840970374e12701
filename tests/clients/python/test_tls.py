"""Over TLS, certificates are checked, and deadlines hold for the handshake too."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from penstock_client.testing import FaultServer
from tests.clients.python.conftest import EVENT, STREAM
from tests.clients.python.driven import DRIVERS, SOON, make
from tests.clients.python.test_deadlines import ATTEMPTS, FLUSH_S, LATE_S

LONG_S = 60.0
drivers = pytest.mark.parametrize("driver", DRIVERS)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a key and a certificate of 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "intake.test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "intake.pem"
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, *form) + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[FaultServer]:
    """An intake behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with FaultServer(ssl_context=context) as server:
        yield server


@drivers
def test_events_go_to_an_intake_whose_certificate_is_trusted(
    driver: str, secure: FaultServer, certificate: Path
) -> None:
    client = make(driver, secure.url, ssl_context=ssl.create_default_context(cafile=certificate), max_batch_events=5)
    tickets = [client.submit(STREAM, EVENT) for _ in range(20)]

    assert secure.url.startswith("https://")
    assert client.close(LONG_S).sent == 20
    assert secure.ids() == [ticket.id for ticket in tickets]


@drivers
def test_no_event_goes_to_an_intake_that_cannot_be_trusted_and_the_log_says_why(
    driver: str, secure: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    client = make(driver, secure.url, **SOON)
    client.submit(STREAM, EVENT)
    deadline_s = time.monotonic() + LONG_S
    while client.health().last_error != "tls" and time.monotonic() < deadline_s:
        client.flush(0.3)  # On a busy machine that may not be enough to connect.

    assert client.health().last_error == "tls"
    assert "TLS: self-signed certificate" in caplog.text.replace("self signed", "self-signed")
    assert client.close(0).sent == 0
    assert secure.seen == []


@drivers
def test_flush_keeps_its_deadline_when_the_handshake_hangs(driver: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        client = make(driver, "https://{}:{}".format(*silent.getsockname()))
        client.submit(STREAM, EVENT)
        late_s = []
        for _ in range(ATTEMPTS):
            began_s = time.monotonic()
            assert client.flush(FLUSH_S).pending == 1
            late_s.append(time.monotonic() - began_s - FLUSH_S)
        client.close(0)

    assert min(late_s) <= LATE_S
