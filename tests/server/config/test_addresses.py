"""What ``http.listen`` may say."""

from __future__ import annotations

import pytest

from server.config.addresses import TcpAddress, UnixAddress, parse
from server.errors import SettingsError


@pytest.mark.parametrize(
    ("spec", "host", "port"),
    [
        ("127.0.0.1:8192", "127.0.0.1", 8192),
        ("localhost:0", "localhost", 0),
        ("[::1]:80", "::1", 80),
        ("[fe80::1%eth0]:80", "fe80::1%eth0", 80),
        (":8192", "", 8192),
    ],
)
def test_a_tcp_address_is_a_host_and_a_port(spec: str, host: str, port: int) -> None:
    assert parse(spec) == TcpAddress(spec, host, port)


@pytest.mark.parametrize(
    ("spec", "path", "mode"),
    [
        ("unix:/run/p.sock", "/run/p.sock", 0o660),
        ("unix:/run/p.sock?mode=600", "/run/p.sock", 0o600),
        ("unix:/run/p.sock?mode=0666", "/run/p.sock", 0o666),
        ("unix:@penstock", "@penstock", 0o660),
    ],
)
def test_a_unix_address_is_a_path_and_a_mode(spec: str, path: str, mode: int) -> None:
    assert parse(spec) == UnixAddress(spec, path, mode)


@pytest.mark.parametrize(
    "spec", ["", "8192", "host", "::1:80", "a:65536", "a:-1", "a:x", "unix:p", "unix:/p?mode=9", "http://a:80", "a b:1"]
)
def test_anything_else_is_refused_with_the_grammar(spec: str) -> None:
    with pytest.raises(SettingsError, match=r"is not an address: write host:port"):
        parse(spec)
