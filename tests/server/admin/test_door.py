"""Which names the admin address goes by."""

from __future__ import annotations

import socket

import pytest

from server.admin.door import AllowedHosts

NAMES = AllowedHosts(["metrics.a.example", "*.Monitoring.example.", "short"], "ops.b.example:8193")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8193",
        "10.1.2.3",
        "[::1]:8193",
        "[2001:db8::1]",
        "localhost:8193",
        "LOCALHOST",
        "localhost.",
        "penstock.localhost",
        "penstock:8193",  # As compose names it.
        "metrics.a.example",
        "Metrics.A.example.:8193",
        "x.monitoring.example",
        "y.x.monitoring.example:1",
        "ops.b.example:8193",
        socket.gethostname(),
    ],
)
def test_these_are_ours(host: str) -> None:
    assert NAMES.are_named(host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8193",
        "127.0.0.1.evil.example",
        "127.0.0.1.nip.io:8193",
        "localhost.evil.example",
        "notlocalhost.example",
        "monitoring.example",
        "xmonitoring.example",
        "metrics.a.example.evil.example",
        "evil@localhost",
        "[evil.example]",
        "[::1]evil.example",
        "::1",
        "1.2.3",
        "",
        ":8193",
        ".",
        "a b",
        "localhost, evil.example",
    ],
)
def test_these_are_not(host: str) -> None:
    assert not NAMES.are_named(host)
