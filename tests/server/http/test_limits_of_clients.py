"""Bounds for one client: its connections, its requests, its pace. At each bound, one below and one above."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from server.auth.canary_pass import CanaryPass, pass_of
from server.config.transport_settings import CorsSettings
from server.http.around.client_address import holder
from server.http.request import Request
from tests.server.http.fakes import Harness, get, post, responses, statuses

PROXY = {"trusted_proxies": ["10.0.0.0/8"]}


@pytest.mark.parametrize("count", [7, 8, 9, 10])
def test_connections_of_one_address(count: int) -> None:
    """One beyond the bound is told so; more than an eighth beyond are cut off: being told is bounded too."""
    harness = Harness(max_connections_per_address=8)
    wires = [harness.wire() for _ in range(count)]
    for wire in wires[:8]:
        wire.send(get())

    assert [statuses(wire) for wire in wires] == ([[200]] * 8 + [[429], []])[:count]
    assert harness.server.refused["address_connections"] == max(0, count - 8)
    if count > 8:
        assert responses(wires[8].sent)[0].headers["Retry-After"] == "1"
        assert wires[8].is_closed()


def test_a_connection_that_is_gone_counts_no_longer() -> None:
    harness = Harness(max_connections_per_address=8)
    for _ in range(50):
        wire = harness.wire()
        wire.send(get())
        assert statuses(wire) == [200]
        wire.hang_up()

    assert not harness.server._of_address, "nothing is kept of addresses that have gone"


def test_connections_are_counted_for_each_client_and_never_for_our_proxies() -> None:
    harness = Harness(max_connections_per_address=1, http=PROXY)
    peers: list[Any] = [("192.0.2.1", 1), ("192.0.2.2", 1), *[("10.0.0.1", 1)] * 5, *[""] * 5]
    wires = [harness.wire(peer) for peer in peers]
    for wire in wires:
        wire.send(get())

    assert [statuses(wire) for wire in wires] == [[200]] * len(wires)


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
    ],
)
def test_a_client_has_a_whole_64_of_ipv6(one: str, other: str, is_same: bool) -> None:
    harness = Harness(max_connections_per_address=1)
    harness.wire((one, 1, 0, 0))
    wire = harness.wire((other, 1, 0, 0))

    assert (holder(one) == holder(other)) == is_same
    assert (statuses(wire) == [429] or wire.is_lost()) == is_same


@pytest.mark.parametrize("count", [4, 5, 6])
@pytest.mark.parametrize("is_pipelined", [False, True])
def test_requests_of_a_connection(count: int, is_pipelined: bool) -> None:
    harness = Harness(max_requests_per_connection=5)
    wire = harness.wire()
    requests = [post(), get()] * 3
    wire.send(*([b"".join(requests[:count])] if is_pipelined else requests[:count]))

    assert statuses(wire) == [200] * min(count, 5)
    assert wire.is_lost() == (count >= 5)
    assert [answer.headers.get("Connection") for answer in responses(wire.sent)].count("close") == (count >= 5)
    assert harness.server.refused["connection_requests"] == (count >= 5)
    assert harness.server.in_flight_bytes == 0


def test_without_the_bound_a_connection_serves_any_number() -> None:
    harness = Harness()
    wire = harness.wire()
    for _ in range(300):
        wire.send(get() * 10)

    assert statuses(wire) == [200] * 3000


@pytest.mark.parametrize("count", [4, 5, 6])
def test_requests_a_second_of_one_address(count: int) -> None:
    harness = Harness(requests_per_s_per_address=2, burst_per_address=5)
    wire, other = harness.wire(), harness.wire(("192.0.2.9", 1))
    wire.send(*[post()] * count)
    other.send(get())

    answers = responses(wire.sent)
    assert [answer.status for answer in answers] == ([200] * 5 + [429])[:count]
    assert statuses(other) == [200]
    assert harness.server.refused["address_rate"] == (count == 6)
    if count == 6:
        assert answers[5].headers["Retry-After"] == "1"
        harness.pass_time(0.25)
        wire.send(post())
        harness.pass_time(0.25)
        wire.send(post())
        assert statuses(wire)[6:] == [429, 200], "and the connection was kept"


def test_the_rate_goes_by_the_client_behind_our_proxies() -> None:
    harness = Harness(requests_per_s_per_address=1, burst_per_address=1, http=PROXY)
    wire, direct = harness.wire(("10.0.0.1", 1)), harness.wire()
    for client in (b"198.51.100.1", b"198.51.100.2", b"198.51.100.1"):
        wire.send(get(headers=b"X-Forwarded-For: 203.0.113.7, %b\r\n" % client))
    direct.send(*[get(headers=b"X-Forwarded-For: 203.0.113.%d\r\n" % at) for at in range(2)])

    assert statuses(wire) == [200, 200, 429]
    assert statuses(direct) == [200, 429], "who is no proxy may say what it wants"


@pytest.mark.parametrize(("origin", "is_told"), [(b"https://a.example", True), (b"https://b.example", False)])
def test_a_page_can_read_that_it_sends_too_much(origin: bytes, is_told: bool) -> None:
    cors = CorsSettings(origins=["https://a.example"])
    harness = Harness(requests_per_s_per_address=1, burst_per_address=1, http={"cors": cors})
    wire = harness.wire()
    wire.send(*[post(headers=b"Origin: %b\r\n" % origin)] * 2)

    refusal = responses(wire.sent)[1]
    assert refusal.status == 429
    assert (refusal.headers.get("Access-Control-Allow-Origin") == origin.decode()) == is_told
    assert ("Retry-After" in refusal.headers.get("Access-Control-Expose-Headers", "")) == is_told
    assert refusal.headers["Vary"] == "Origin"


def test_our_proxies_themselves_and_unix_sockets_are_free() -> None:
    harness = Harness(requests_per_s_per_address=1, burst_per_address=1, http=PROXY)
    proxy, local = harness.wire(("10.0.0.1", 1)), harness.wire("")
    proxy.send(*[get()] * 5)
    local.send(*[get()] * 5)

    assert statuses(proxy) == statuses(local) == [200] * 5


@pytest.mark.parametrize("count", [4, 5, 6])
def test_requests_a_second_of_one_key(count: int) -> None:
    harness = Harness(key_holder=key_of, requests_per_s_per_key=2, burst_per_key=5)
    wires = [harness.wire((f"192.0.2.{at}", 1)) for at in range(count)]
    for wire in wires:
        wire.send(post(headers=b"X-API-Key: a\r\n"), post(), post())
    other = harness.wire()
    other.send(post(headers=b"X-API-Key: b\r\n"))

    answers = [responses(wire.sent) for wire in wires]
    assert [each[0].status for each in answers] == ([200] * 5 + [429])[:count], "whatever address it comes from"
    assert {answer.status for each in answers for answer in each[1:]} == {200}, "requests without a key are free"
    assert statuses(other) == [200]
    assert harness.server.refused["key_rate"] == (count == 6)
    if count == 6:
        assert answers[5][0].headers["Retry-After"] == "1"
        assert b"Your key exceeds its rate limit" in answers[5][0].body
        harness.pass_time(0.5)
        wires[5].send(post(headers=b"X-API-Key: a\r\n"))
        assert statuses(wires[5])[-1] == 200


def key_of(request: Request) -> str:
    return request.headers.get(b"x-api-key", b"").decode()


HEAD = b"POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"


def _dripping(bytes_per_s: int, seconds: int, **limits: Any) -> tuple[Harness, list[int]]:
    harness = Harness(body_stall_s=6, **limits)
    wire = harness.wire()
    wire.send(HEAD)
    for _ in range(seconds):
        harness.pass_time(1)
        wire.send(b"x" * bytes_per_s)
    return harness, statuses(wire)


@pytest.mark.parametrize(("bytes_per_s", "status"), [(90, [408]), (100, []), (110, [])])
def test_a_body_has_a_least_rate(bytes_per_s: int, status: list[int]) -> None:
    """At 90 of 100 bytes a second, 6 s are lost after 60; a byte that comes is no reason to wait for 6 s more."""
    harness, got = _dripping(bytes_per_s, 80, min_bytes_per_s=100)

    assert got == status
    assert harness.server.refused["body_slow"] == len(status)


def test_a_body_that_drips_has_no_more_time_than_one_that_has_stopped() -> None:
    harness = Harness(body_stall_s=6, min_bytes_per_s=100)
    wire = harness.wire()
    wire.send(HEAD)
    for _ in range(9):
        harness.pass_time(0.75)
        wire.send(b"x")

    assert statuses(wire) == [408]


def test_without_a_least_rate_a_dripping_body_is_waited_for() -> None:
    assert _dripping(1, 100, min_bytes_per_s=0)[1] == []


def test_what_came_fast_is_no_credit_for_what_comes_slowly() -> None:
    harness = Harness(body_stall_s=6, min_bytes_per_s=100)
    wire = harness.wire()
    wire.send(HEAD, b"x" * 50_000)
    harness.pass_time(6.75)

    assert statuses(wire) == [408]


def test_the_second_body_of_a_connection_has_all_its_time() -> None:
    harness = Harness(body_stall_s=6, min_bytes_per_s=100)
    wire = harness.wire()
    for _ in range(3):
        wire.send(HEAD)
        for _ in range(5):
            harness.pass_time(1)
            wire.send(b"x")
        wire.send(b"x" * 99_995)

    assert statuses(wire) == [200] * 3


@pytest.mark.parametrize(("bytes_per_s", "is_cut"), [(50, True), (150, False)])
def test_an_answer_is_read_at_a_least_rate(bytes_per_s: int, is_cut: bool) -> None:
    harness = Harness(write_stall_s=8, min_bytes_per_s=100, answer_s=12)
    harness.on_request = lambda request: request.reply(200, "OK", b"x" * 200_000)
    wire = harness.wire()
    wire.transport.takes_bytes = 0
    wire.send(get())
    for _ in range(60):
        harness.pass_time(1)
        wire.take(bytes_per_s)

    assert wire.transport.is_aborted == is_cut
    assert harness.server.refused["write_slow"] == is_cut


def test_canaries_that_show_the_secret_or_the_key_have_no_rate_and_a_name_alone_exempts_nothing() -> None:
    shown = CanaryPass("secret", "key").is_shown
    harness = Harness(
        requests_per_s_per_address=1, burst_per_address=1, requests_per_s_per_key=1, burst_per_key=1,
        key_holder=lambda request: "one", is_exempt=shown,
    )  # fmt: skip
    agent = b"User-Agent: penstock-canary/1\r\n"
    wire = harness.wire()
    wire.send(*[get(headers=agent + b"X-Penstock-Canary: secret\r\n")] * 3)
    wire.send(*[get(headers=agent + b"Authorization: Bearer key\r\n")] * 3)
    assert statuses(wire) == [200] * 6
    others = harness.wire(("192.0.2.9", 1))
    for headers in (b"", agent, b"X-Penstock-Canary: secret\r\n", agent + b"X-Penstock-Canary: guess\r\n"):
        others.send(get(headers=headers))

    assert statuses(others) == [200, 429, 429, 429]


def test_without_a_key_file_no_key_is_shown(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("it\n")
    harness = Harness()
    wire = harness.wire()
    wire.send(get(headers=b"User-Agent: penstock-canary/1\r\nAuthorization: Bearer it\r\n"))
    wire.send(get(headers=b"User-Agent: penstock-canary/1\r\n"))
    with_key, without = harness.seen

    assert pass_of("secret", tmp_path / "key").is_shown(with_key)
    for path in (None, tmp_path / "none"):
        assert not pass_of("secret", path).is_shown(with_key)
        assert not pass_of("secret", path).is_shown(without)
