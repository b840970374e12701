"""Names that would pass for a header which our proxies set are refused, whichever headers those are."""

from __future__ import annotations

import logging
from typing import Any, cast

import pytest

from server.config.settings import Http
from server.http.head import shadows
from server.http.server import HttpServer
from tests.server.http.fakes import FakeLoop, FakeRow, Harness, get, statuses


def test_every_spelling_with_underscores_but_the_name_itself() -> None:
    found = shadows(["X-Client-Ip", "Forwarded", ""])

    assert found >= {b"x_client_ip", b"x-client_ip", b"x_client-ip", b"content_length", b"transfer_encoding"}
    assert not found & {b"x-client-ip", b"forwarded", b"content-length", b"transfer-encoding", b""}


@pytest.mark.parametrize(
    ("name", "status"),
    [(b"X_Client_Ip", 400), (b"x-client_ip", 400), (b"X-Client-Ip", 200), (b"X_Other_Ip", 200)],
)
def test_the_configured_header_has_no_shadow(name: bytes, status: int) -> None:
    harness = Harness(http={"client_ip_header": "X-Client-IP", "trusted_proxies": ["10.0.0.0/8"]})
    for _ in range(3):  # The third time a plain head is known.
        wire = harness.wire()
        wire.send(get(headers=name + b": 192.0.2.1\r\n"))
        assert statuses(wire) == [status]
        assert wire.is_closed() == (status == 400)


def test_others_can_name_headers_that_they_believe() -> None:
    made: Any = {"loop": FakeLoop(), "row": FakeRow(), "log": logging.getLogger("test")}
    server = HttpServer(settings=Http(), routes={}, believed=["X-Identity"], **made)

    assert b"x_identity" in cast(Any, server).rare
