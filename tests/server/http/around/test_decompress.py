"""Compressed bodies: undone piece by piece, within bounds, and never believed."""

from __future__ import annotations

import gzip
import json
import random
import sys
import zlib
from collections.abc import Callable
from typing import Any

import brotli
import pytest

from server.http.around import decoders
from server.http.around import decompress as encodings
from tests.server.http.fakes import Harness, Response, keep, post, responses, statuses

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return packer.compress(body) + packer.flush()


PACK: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {
    "gzip": (b"gzip", gzip.compress),
    "x-gzip": (b"X-GZIP", gzip.compress),
    "deflate": (b"deflate", zlib.compress),
    "deflate without its head": (b"deflate", raw_deflate),
    "br": (b"br", lambda body: brotli.compress(body, quality=4)),
    "zstd": (b"zstd", zstd.compress),
    "identity and gzip": (b"identity, gzip", gzip.compress),
}
LIMITS: dict[str, Any] = {"max_decompressed_bytes": 300_000, "max_body_bytes": 200_000}


def packed(name: str, body: bytes) -> bytes:
    header, pack = PACK[name]
    return sent(header, pack(body))


def sent(header: bytes, body: bytes) -> bytes:
    return post(body, b"Content-Encoding: %b\r\n" % header)


def answer(request: bytes, **limits: Any) -> tuple[Harness, Response]:
    harness = Harness(**{**LIMITS, **limits})
    wire = harness.wire()
    wire.send(request)
    while harness.loop.later:
        harness.loop.turn()
    (response,) = responses(wire.sent)
    return harness, response


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


@pytest.mark.parametrize("name", PACK)
@pytest.mark.parametrize(
    "body", [b"{}", b"[" + b'{"a":1},' * 20_000 + b"{}]", noise(150_000)], ids=["2", "160k", "noise"]
)
def test_a_handler_sees_what_was_compressed(name: str, body: bytes) -> None:
    harness, response = answer(packed(name, body), max_ratio=1_000_000)

    assert (response.status, harness.seen[0].body) == (200, body)
    assert harness.seen[0].compressed_bytes == len(PACK[name][1](body))
    assert harness.server.in_flight_bytes == 0


@pytest.mark.parametrize("name", PACK)
def test_what_was_cut_off_damaged_or_is_followed_by_something_is_400(name: str) -> None:
    header, pack = PACK[name]
    whole = pack(b'{"a":"' + noise(9_000).hex().encode() + b'"}')
    middle = len(whole) // 2
    for broken in (
        whole[:-1],
        whole[:middle],
        whole[:1],
        whole + b"x",
        whole + b"\0" * 9,
        whole + whole[:-1],
        b"\xff" * 40 + whole,
    ):
        harness, response = answer(sent(header, broken))

        assert (response.status, harness.seen) == (400, [])
        assert "Content-Encoding" in json.loads(response.body)["detail"]


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_bytes_that_are_changed_never_raise(name: str) -> None:
    header, pack = PACK[name]
    whole = bytearray(pack(b'{"a":"' + noise(300).hex().encode() + b'"}'))
    dice = random.Random(name)
    for _ in range(60):
        changed = bytearray(whole)
        for _ in range(dice.randrange(1, 4)):
            changed[dice.randrange(len(changed))] = dice.randrange(256)
        harness, response = answer(sent(header, bytes(changed)))

        assert response.status in (200, 400, 413)
        assert harness.server.handler_errors == 0


@pytest.mark.parametrize("name", PACK)
def test_a_bomb_is_refused_before_it_goes_off(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0
    step = encodings.Decompression._step

    def counted(self: Any, decoder: Any) -> Any:
        nonlocal made
        refusal = step(self, decoder)
        made = max(made, self._made_bytes)
        return refusal

    monkeypatch.setattr(encodings.Decompression, "_step", counted)
    harness, response = answer(packed(name, b"\0" * 5_000_000))

    assert response.status == 413
    assert made <= 300_000 + 200_000
    assert harness.server.refused["body"] == 1
    assert (harness.seen, harness.server.in_flight_bytes) == ([], 0)


def test_the_bound_on_what_comes_out_is_exact() -> None:
    for size, status in ((300_000, 200), (300_001, 413)):
        assert answer(packed("gzip", noise(1000) * (size // 1000) + b"x" * (size % 1000)))[1].status == status


def test_the_bound_on_growth_is_exact_and_spares_what_is_small() -> None:
    small = b"\0" * 65_536
    assert answer(packed("gzip", small), max_ratio=2)[1].status == 200
    assert answer(packed("gzip", small + b"\0"), max_ratio=2)[1].status == 413
    body = b"\0" * 200_000
    grows = len(body) // len(gzip.compress(body))
    assert answer(packed("gzip", body), max_ratio=grows + 1)[1].status == 200
    refused = answer(packed("gzip", body), max_ratio=grows)[1]
    assert refused.status == 413
    assert "times its size" in json.loads(refused.body)["detail"]


def test_a_window_of_zstd_larger_than_8_mib_is_refused_and_named() -> None:
    """RFC 8878 section 3.1.1.1.2 lets a decoder refuse it, RFC 9659 section 3 sets the limit for HTTP."""
    for window, status in ((23, 200), (24, 400)):
        packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: window})
        body = packer.compress(b"{}" * 1000) + packer.flush()
        response = answer(sent(b"zstd", body))[1]
        assert response.status == status
        assert (b"window of more than 8 MiB" in response.body) == (status == 400)


@pytest.mark.parametrize("header", [b"gzip, gzip", b"br, zstd", b"compress", b"GZIP;q=1", b"identity, x"])
def test_several_encodings_and_unknown_ones_are_415(header: bytes) -> None:
    harness, response = answer(sent(header, b"{}"))

    assert (response.status, harness.seen) == (415, [])
    assert response.headers["Accept-Encoding"] == "identity, gzip, deflate, br, zstd"


def test_an_empty_body_is_empty_in_every_encoding() -> None:
    assert answer(sent(b"zstd", b""))[0].seen[0].body == b""


def decoders_made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list of the encodings that decoders are made for from now on."""
    made: list[str] = []
    original = decoders.decoder_of

    def noted(encoding: str, start: bytes) -> decoders.Decoder:
        made.append(encoding)
        return original(encoding, start)

    monkeypatch.setattr(decoders, "decoder_of", noted)
    return made


@pytest.mark.parametrize("name", ["br", "zstd"])
def test_a_few_wide_windows_last_longer_than_a_turn_and_the_others_begin_again(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decoder of these may hold megabytes, however small its body is. While they wait, their bytes count."""
    made = decoders_made(monkeypatch)
    harness = Harness(**LIMITS, max_ratio=1_000_000)
    monkeypatch.setattr(encodings.Decompression, "_step", slow(harness, encodings.Decompression._step))
    harness.loop.is_held = True
    wires = [harness.wire((f"192.0.2.{number}", 1)) for number in range(encodings.MAX_WIDE + 2)]
    body = b'{"a":1}' * 30_000
    for wire in wires:
        wire.send(packed(name, body))
    widest = 0
    while harness.loop.soon:
        harness.loop.soon.popleft()()
        widest = max(widest, harness.server.decompressor.wide)

    assert widest == encodings.MAX_WIDE
    assert len(made) > len(wires), "some had to begin again"
    assert [request.body for request in harness.seen] == [body] * len(wires)
    assert [statuses(wire) for wire in wires] == [[200]] * len(wires)
    assert (harness.server.decompressor.wide, harness.server.in_flight_bytes) == (0, 0)


def test_a_client_has_one_turn_however_many_bodies_it_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    harness = Harness(**LIMITS, max_ratio=1_000_000)
    monkeypatch.setattr(encodings.Decompression, "_step", slow(harness, encodings.Decompression._step))
    harness.loop.is_held = True
    body = b'{"a":1}' * 30_000
    greedy = [harness.wire((f"2001:db8::{number:x}", 1)) for number in range(1, 21)]
    for wire in greedy:
        wire.send(packed("gzip", body))
    polite = harness.wire(("2001:db8:1::1", 1))
    polite.send(packed("gzip", body))
    while not harness.seen or harness.seen[-1].peer != "2001:db8:1::1":
        harness.loop.soon.popleft()()

    assert len(harness.seen) <= 3, "one /64 is one client, and has had as many turns as the other"
    harness.loop.turns()
    assert [statuses(wire) for wire in [*greedy, polite]] == [[200]] * 21


def test_one_client_holds_no_more_than_is_left_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    harness = Harness(**LIMITS, max_ratio=1_000_000, max_in_flight_bytes=800_000)
    monkeypatch.setattr(encodings.Decompression, "_step", slow(harness, encodings.Decompression._step))
    harness.hold()
    greedy = [harness.wire() for _ in range(20)]
    for wire in greedy:
        wire.send(packed("gzip", b'{"a":1}' * 30_000))
    polite = harness.wire(("192.0.2.2", 1))
    polite.send(packed("gzip", b'{"a":1}' * 30_000))

    assert [statuses(wire) for wire in greedy] == [[]] * 1 + [[503]] * 19
    assert statuses(polite) == []
    for request in harness.seen:
        request.reply(200, "OK")
    assert (statuses(polite), harness.server.in_flight_bytes, harness.server._held_by) == ([200], 0, {})


def slow(harness: Harness, step: Any) -> Any:
    """Each step takes as long as a slice may."""

    def stepped(self: Any, decoder: Any) -> Any:
        harness.loop.now_s += encodings.SLICE_S
        return step(self, decoder)

    return stepped


def test_what_comes_out_counts_as_bytes_in_flight() -> None:
    body = noise(1_000) * 250
    _, response = answer(packed("gzip", body), max_in_flight_bytes=200_000, max_body_bytes=100_000)

    assert response.status == 503
    assert response.headers["Retry-After"] == "1"


def test_a_client_that_hangs_up_meanwhile_costs_nothing_that_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    harness = Harness(**LIMITS, max_ratio=1_000_000)
    harness.loop.is_held = True
    monkeypatch.setattr(encodings.Decompression, "_step", slow(harness, encodings.Decompression._step))
    wire = harness.wire()
    wire.send(packed("gzip", b'{"a":1}' * 30_000))
    steps = harness.loop.now_s
    wire.hang_up()
    harness.loop.turns()

    assert harness.loop.now_s == steps, "not a step more is made for it"
    assert (harness.seen, harness.server.in_flight_bytes) == ([], 0)


def test_whoever_waits_behind_a_client_that_has_gone_has_the_next_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    harness = Harness(**LIMITS, max_ratio=1_000_000)
    monkeypatch.setattr(encodings.Decompression, "_step", slow(harness, encodings.Decompression._step))
    harness.loop.is_held = True
    wires = [harness.wire() for _ in range(4)]
    for wire in wires:
        wire.send(packed("gzip", b'{"a":1}' * 30_000))
    for wire in wires[:3]:
        wire.hang_up()
    harness.loop.turns()

    assert [statuses(wire) for wire in wires] == [[], [], [], [200]]
    assert harness.server.in_flight_bytes == 0


@pytest.mark.parametrize("by", ["address", "key"])
@pytest.mark.parametrize("body", [gzip.compress(b"{}"), b"damaged", gzip.compress(b"\0" * 5_000_000)[:-9]])
def test_who_asks_too_often_has_nothing_undone(by: str, body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    made = decoders_made(monkeypatch)
    rates: dict[str, Any] = {f"requests_per_s_per_{by}": 1.0, f"burst_per_{by}": 2}
    harness = Harness(**LIMITS, **rates, key_holder=lambda _: "somebody")
    wire = harness.wire()
    wire.send(*[sent(b"gzip", body)] * 5)
    while harness.loop.later:
        harness.loop.turn()

    first, second, *others = statuses(wire)
    assert first == second != 429
    assert others == [429] * 3
    assert made == ["gzip"] * 2
    assert (harness.server.refused[f"{by}_rate"], harness.server.in_flight_bytes) == (3, 0)


def test_a_compressed_body_counts_against_both_rates() -> None:
    rates: dict[str, Any] = {
        "requests_per_s_per_address": 1.0,
        "burst_per_address": 3,
        "requests_per_s_per_key": 1.0,
        "burst_per_key": 2,
    }
    harness = Harness(**LIMITS, **rates, key_holder=lambda _: "somebody")
    wire = harness.wire()
    wire.send(*[packed("br", b"{}")] * 4)

    assert statuses(wire) == [200, 200, 429, 429]
    assert (harness.server.refused["key_rate"], harness.server.refused["address_rate"]) == (1, 1)


def test_a_handler_that_fails_is_answered_for() -> None:
    harness = Harness(**LIMITS)

    def fail(_: Any) -> None:
        raise RuntimeError("a bug")

    harness.on_request = fail
    wire = harness.wire()
    wire.send(packed("br", b"{}"))

    assert (statuses(wire), harness.server.handler_errors) == ([500], 1)


def test_a_handler_may_answer_later() -> None:
    harness = Harness(**LIMITS)
    harness.on_request = keep
    wire = harness.wire()
    wire.send(packed("br", b"{}"))
    assert wire.sent == b""
    harness.seen[0].reply(202, "later")

    assert (statuses(wire), harness.server.in_flight_bytes) == ([202], 0)


def test_a_decoder_that_surprises_us_stops_no_body_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def surprise(_step: object, _undoing: object) -> None:
        raise MemoryError

    harness = Harness(**LIMITS)
    wire = harness.wire()
    with monkeypatch.context() as patched:
        patched.setattr(encodings.Decompression, "_step", surprise)
        wire.send(packed("gzip", b"{}"))
    wire.send(packed("gzip", b"{}"))

    assert statuses(wire) == [500, 200]
    assert (harness.server.handler_errors, harness.server.in_flight_bytes) == (1, 0)


def test_a_decoder_that_cannot_be_made_stops_no_body_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    harness = Harness(**LIMITS)
    wire = harness.wire()
    with monkeypatch.context() as patched:
        patched.setattr("server.http.around.decoders.decoder_of", fail)
        wire.send(packed("gzip", b"{}"))
    wire.send(packed("gzip", b"{}"))

    assert statuses(wire) == [500, 200]
    assert harness.server.in_flight_bytes == 0
