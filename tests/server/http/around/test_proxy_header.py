"""The header of the PROXY protocol is believed of our proxies alone, and is bounded; nothing else gets a word."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from typing import Any, cast

import pytest
import uvloop

from server.config.limit_settings import Limits
from server.config.settings import Http
from server.http.around.client_address import ClientAddress
from server.http.around.proxy_header import MAX_BYTES, SIGNATURE, HeaderError, parse
from server.http.server import HttpServer
from server.http.wheel import TICK_S
from tests.server.http.fakes import FakeRow, Harness, get, post, responses, statuses

OURS: Any = ("10.0.0.1", 4711)


def header(client: str = "198.51.100.7", *, command: int = 1, family: int | None = None, more: bytes = b"") -> bytes:
    packed = ipaddress.ip_address(client).packed
    kind = family if family is not None else (0x11 if len(packed) == 4 else 0x21)
    block = packed + bytes(len(packed)) + b"\x10\x00\x20\x00" + more
    return SIGNATURE + bytes([0x20 | command, kind]) + len(block).to_bytes(2, "big") + block


def harness(**limits: Any) -> Harness:
    return Harness(http={"trusted_proxies": ["10.0.0.0/8"], "proxy_protocol": True}, **limits)


@pytest.mark.parametrize(
    ("sent", "address"),
    [
        (header(), "198.51.100.7"),
        (header("2001:db8::7"), "2001:db8::7"),
        (header(more=b"\x03\x00\x04abcd" * 50), "198.51.100.7"),
        (header(command=0), "10.0.0.1"),
        (header(family=0), "10.0.0.1"),
        (SIGNATURE + b"\x20\x00\x00\x00", "10.0.0.1"),
    ],
)
@pytest.mark.parametrize("is_cut", [False, True])
def test_the_client_is_the_one_it_names(sent: bytes, address: str, is_cut: bool) -> None:
    served = harness()
    wire = served.wire(OURS)
    whole = sent + post() + get()
    wire.send(*([whole[at : at + 1] for at in range(len(whole))] if is_cut else [whole]))

    assert statuses(wire) == [200, 200]
    assert [request.peer for request in served.seen] == [address] * 2
    assert served.server.connections == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"PROXY TCP4 198.51.100.7 192.0.2.1 1 2\r\n" + get(),
        get(),
        SIGNATURE[:-1] + b"!",
        SIGNATURE + b"\x11\x11\x00\x0c",
        SIGNATURE + b"\x22\x11\x00\x0c",
        SIGNATURE + b"\x21\x12\x00\x0c",
        SIGNATURE + b"\x21\x11\x00\x0b",
        SIGNATURE + b"\x21\x21\x00\x0c",
        SIGNATURE + b"\x21\x11" + (MAX_BYTES - 15).to_bytes(2, "big"),
        SIGNATURE + b"\x20\x11\xff\xff",
    ],
)
@pytest.mark.parametrize("is_cut", [False, True])
def test_whatever_is_none_is_cut_off_without_a_word(sent: bytes, is_cut: bool) -> None:
    served = harness()
    wire = served.wire(OURS)
    wire.send(*([sent[at : at + 1] for at in range(len(sent))] if is_cut else [sent]))

    assert wire.transport.is_aborted and wire.sent == b"" and served.seen == []
    assert served.server.refused["proxy_header"] == 1


@pytest.mark.parametrize(("size_bytes", "is_taken"), [(MAX_BYTES - 1, True), (MAX_BYTES, True), (MAX_BYTES + 1, False)])
def test_it_is_bounded_in_bytes(size_bytes: int, is_taken: bool) -> None:
    wire = harness().wire(OURS)
    wire.send(header(more=bytes(size_bytes - len(header()))) + get())

    assert (statuses(wire) == [200]) == is_taken


@pytest.mark.parametrize("sent", [b"", header()[:20]])
def test_it_is_bounded_in_time(sent: bytes) -> None:
    served = harness(head_s=5)
    wire = served.wire(OURS)
    wire.send(sent)
    served.pass_time(5)
    assert not wire.is_lost()
    served.pass_time(3 * TICK_S)

    assert wire.is_lost() and wire.sent == b""
    assert served.server.refused["head_slow"] == 1


@pytest.mark.parametrize("peer", [("192.0.2.1", 1), ("11.0.0.1", 1)])
def test_nobody_but_a_trusted_proxy_may_speak_it(peer: Any) -> None:
    served = harness()
    wire = served.wire(peer)
    wire.send(header() + get())

    assert wire.transport.is_aborted and served.seen == []
    assert served.server.refused["proxy_header"] == 1


def test_it_counts_among_the_connections_and_not_twice() -> None:
    served = harness(max_connections=8)
    wires = [served.wire(OURS) for _ in range(10)]
    assert cast(Any, served.row).connections == 9, "an eighth more than taken may be there, to be told"
    for wire in wires[:9]:
        wire.send(header() + get())

    assert [statuses(wire) for wire in wires] == [[200]] * 8 + [[503], []] or wires[9].transport.is_aborted
    for wire in wires[:9]:
        wire.hang_up()
    assert cast(Any, served.row).connections == 0


def test_the_client_that_it_names_is_bounded_as_one() -> None:
    served = harness(max_connections_per_address=1)
    first, second, other = (served.wire(OURS) for _ in range(3))
    first.send(header() + get())
    second.send(header() + get())
    other.send(header("198.51.100.8") + get())

    assert [statuses(wire) for wire in (first, second, other)] == [[200], [], [200]]


def test_the_way_may_go_on_through_proxies_that_write_headers() -> None:
    """It names the next hop; only where that one is ours is its X-Forwarded-For believed."""
    served = harness()
    of = ClientAddress(Http(trusted_proxies=["10.0.0.0/8"])).of
    inner, outer = served.wire(OURS), served.wire(OURS)
    inner.send(header("10.1.2.3") + get(headers=b"X-Forwarded-For: 203.0.113.9\r\n"))
    outer.send(header("198.51.100.7") + get(headers=b"X-Forwarded-For: 203.0.113.9\r\n"))

    assert [of(request) for request in served.seen] == ["203.0.113.9", "198.51.100.7"]


def test_a_drain_does_not_wait_for_it() -> None:
    served = harness(head_s=60)
    wire = served.wire(OURS)
    served.server.is_draining = True
    for connection in list(served.server._connections):
        connection.drain(served.server.wheel.now + 1)
    served.pass_time(2)

    assert wire.is_lost()


def test_every_beginning_is_waited_for() -> None:
    whole = header(more=b"\x04\x00\x01a")

    assert [parse(whole[:size]) for size in range(len(whole))] == [None] * len(whole)
    assert parse(whole + b"rest") == (len(whole), "198.51.100.7")
    with pytest.raises(HeaderError):
        parse(b"\r\n\r\n\0\r\nQUIX")


def test_a_real_socket_tells_the_same() -> None:
    """uvloop hands the connection over in the middle of a read."""
    loop = uvloop.new_event_loop()
    seen: list[Any] = []

    def handle(request: Any) -> None:
        seen.append((request.peer, request.body))
        request.reply(200, "OK", b"-")

    settings = Http(limits=Limits(), trusted_proxies=["127.0.0.1"], proxy_protocol=True)
    routes = {"/events": {"POST": handle}}
    server = HttpServer(loop, settings, routes, cast(Any, FakeRow()), logging.getLogger("test"))
    listening = socket.create_server(("127.0.0.1", 0))
    listener = loop.run_until_complete(loop.create_server(server.connection, sock=listening))

    async def ask(*pieces: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.02)
        writer.write_eof()
        answered = await asyncio.wait_for(reader.read(), 60)
        writer.close()
        return answered

    try:
        whole = loop.run_until_complete(ask(header() + post(b"one") + post(b"two")))
        cut = loop.run_until_complete(ask(header()[:9], header()[9:] + post(b"one")[:20], post(b"one")[20:]))
    finally:
        listener.close()
        server.close()
        loop.run_until_complete(listener.wait_closed())
        loop.close()

    assert [answer.status for answer in responses(whole) + responses(cut)] == [200] * 3
    assert seen == [("198.51.100.7", body) for body in (b"one", b"two", b"one")]
