"""Every bound: at it, one below, one above. The corpus of tests/wire has those that a single request shows."""

from __future__ import annotations

import pytest

from server.http.limits import LINGER_BYTES, PIECE_BYTES, REQUEST_BYTES, SLICE_BYTES
from server.http.reader import RequestReader
from tests.server.http.fakes import Harness, get, post, responses, statuses

CHUNKED = b"POST /events HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(("size_bytes", "status"), [(2047, 200), (2048, 200), (2049, 413)])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_body_bytes(size_bytes: int, status: int, is_chunked: bool) -> None:
    harness = Harness(max_body_bytes=2048)
    wire = harness.wire()
    body = b"x" * size_bytes
    wire.send(CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (size_bytes, body) if is_chunked else post(body))

    assert statuses(wire) == [status]
    assert harness.server.refused["body"] == (status == 413)
    assert wire.is_closed() == (status == 413)


@pytest.mark.parametrize(("more", "status"), [(-1, 404), (0, 404), (1, 414)])
def test_url_bytes(more: int, status: int) -> None:
    harness = Harness(max_url_bytes=300)
    wire = harness.wire()
    wire.send(get(b"/" + b"u" * (299 + more)))

    assert statuses(wire) == [status]


@pytest.mark.parametrize(("more", "status"), [(-1, 200), (0, 200), (1, 431)])
def test_number_of_headers(more: int, status: int) -> None:
    harness = Harness(max_headers=10)
    wire = harness.wire()
    wire.send(get(headers=b"".join(b"X-%d: a\r\n" % at for at in range(9 + more))))

    assert statuses(wire) == [status]


@pytest.mark.parametrize(("more", "status"), [(-1, 200), (0, 200), (1, 431)])
def test_head_bytes_beyond_a_slice(more: int, status: int) -> None:
    """The target and the lines of the headers count; 60 kB of them arrive in several reads."""
    harness = Harness(max_head_bytes=60_000, max_header_bytes=60_000)
    wire = harness.wire()
    counted = len(b"/pageHost: a\r\nX-Pad: \r\n")
    wire.send(get(headers=b"X-Pad: " + b"p" * (60_000 - counted + more) + b"\r\n"))

    assert statuses(wire) == [status]


@pytest.mark.parametrize(("more", "status"), [(-1, 200), (0, 200), (1, 431)])
@pytest.mark.parametrize("size_bytes", [1024, 9000])
def test_bytes_of_one_header(more: int, status: int, size_bytes: int) -> None:
    """Name and value, whether it comes in one read or in several."""
    harness = Harness(max_header_bytes=size_bytes)
    wire = harness.wire()
    wire.send(get(headers=b"X-Long: " + b"p" * (size_bytes - len(b"x-long") + more) + b"\r\n"))

    assert statuses(wire) == [status]
    assert harness.server.refused["header"] == (status == 431)


@pytest.mark.parametrize("piece", [b"X-A: b\r\n", b"x", b" ", b"\t"])
def test_an_endless_head_is_cut_off(piece: bytes) -> None:
    """Also when it never becomes a header: the parser would keep it all."""
    harness = Harness(max_head_bytes=4096, max_headers=1_000_000)
    wire = harness.wire()
    wire.send(b"GET /page HTTP/1.1\r\nHost: a\r\nX-Pad:", *[piece * 1000] * 100)

    assert statuses(wire) == [431]
    assert wire.transport.is_half_closed


def test_one_endless_head_is_as_long_as_the_limit_however_slowly_it_comes() -> None:
    harness = Harness(max_head_bytes=4096)
    wire = harness.wire()
    wire.send(b"GET /page HTTP/1.1\r\nX-Pad: ", *[b"x"] * 50_000)

    assert statuses(wire) == [431]


@pytest.mark.parametrize("endless", [b"X-Late: a\r\n", b"x"])
def test_endless_trailers_are_cut_off(endless: bytes) -> None:
    harness = Harness(max_head_bytes=4096)
    wire = harness.wire()
    wire.send(CHUNKED + b"0\r\n", *[endless * 500] * 100)

    assert statuses(wire) == [400]


def test_an_endless_chunk_extension_is_cut_off() -> None:
    harness = Harness(max_head_bytes=4096)
    wire = harness.wire()
    wire.send(CHUNKED + b"5;", *[b"x" * 1000] * 100)

    assert statuses(wire) == [400]


def test_many_small_chunks_are_a_body_like_any_other() -> None:
    harness = Harness(max_head_bytes=1024)
    wire = harness.wire()
    wire.send(CHUNKED + b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n")

    assert statuses(wire) == [200]
    assert harness.seen[0].body == b"x" * 20_000


def test_a_full_worker_refuses_bodies_and_still_serves_pages() -> None:
    harness = Harness(max_in_flight_bytes=20_000)
    harness.hold()
    first, second = harness.wire(), harness.wire()
    first.send(post(b"x" * (20_000 - REQUEST_BYTES - 1)))
    second.send(post(b"y"))
    assert statuses(second) == []
    second.hang_up()
    harness.seen[1].reply(200, "OK")
    third = harness.wire()
    third.send(post(b"yy") + get())

    answers = responses(third.sent)
    assert [answer.status for answer in answers] == [503]
    assert answers[0].headers["Retry-After"] == "1"
    assert harness.seen[-1].path == b"/page"
    assert harness.server.refused["in_flight"] == 1


def test_a_full_worker_takes_bodies_again_once_it_has_answered() -> None:
    harness = Harness(max_in_flight_bytes=20_000)
    harness.hold()
    first = harness.wire()
    first.send(post(b"x" * 17_000))
    harness.seen[0].reply(200, "OK")
    first.send(post(b"x" * 17_000))
    harness.seen[1].reply(200, "OK")

    assert statuses(first) == [200, 200]
    assert harness.server.in_flight_bytes == 0


@pytest.mark.parametrize("does_hang_up", [False, True])
def test_answers_that_a_client_is_slow_to_take_fill_the_worker_as_bodies_do(does_hang_up: bool) -> None:
    harness = Harness(max_in_flight_bytes=100_000)
    harness.on_request = lambda request: request.reply(200, "OK", b"x" * 99_990)
    slow, other = harness.wire(), harness.wire()
    slow.transport.takes_bytes = 0
    slow.send(post())
    assert harness.server.in_flight_bytes == slow.transport.unsent_bytes > 99_990
    other.send(post())
    if does_hang_up:
        slow.hang_up()
    else:
        slow.take(90_000)
    other.send(post())

    assert statuses(other) == [503, 200]
    assert harness.server.in_flight_bytes == 0


def test_what_a_slow_client_has_taken_counts_no_longer() -> None:
    harness = Harness(write_stall_s=8)
    harness.on_request = lambda request: request.reply(200, "OK", b"x" * 500_000)
    slow = harness.wire()
    slow.transport.takes_bytes = 0
    slow.send(post())
    slow.take(200_000)
    harness.pass_time(9)

    assert harness.server.in_flight_bytes == slow.transport.unsent_bytes < 301_000


def test_bodies_on_their_way_count_as_far_as_they_have_come() -> None:
    """Not by their declared length: declaring costs nothing, and would fill the worker."""
    harness = Harness(max_in_flight_bytes=20_000, max_body_bytes=15_000)
    wires = [harness.wire() for _ in range(5)]
    for wire in wires:
        wire.send(post(b"x" * 15_000)[:100])
    assert harness.server.in_flight_bytes < 5 * (REQUEST_BYTES + PIECE_BYTES + 100)
    for wire in wires:
        wire.send(b"x" * 8000)

    assert [statuses(wire) for wire in wires] == [[], [503], [503], [503], [503]]


def test_connections() -> None:
    harness = Harness(max_connections=8)
    wires = [harness.wire() for _ in range(10)]
    wires[0].send(get())

    assert [statuses(wire) for wire in wires] == [[200]] + [[]] * 7 + [[503], []]
    assert wires[8].is_closed()
    assert wires[9].transport.is_aborted, "being told is bounded too"
    assert harness.server.refused["connections"] >= 1
    wires[8].hang_up()
    wires[1].hang_up()
    again = harness.wire()
    again.send(get())
    assert statuses(again) == [200]


def test_after_a_refusal_so_much_is_read_and_no_more() -> None:
    """The client may be in the middle of its body: closing at once would reset the answer away."""
    harness = Harness(max_body_bytes=2048)
    wire = harness.wire()
    wire.send(b"POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n")
    assert statuses(wire) == [413]
    wire.send(*[b"x" * 65_536] * (LINGER_BYTES // 65_536))
    assert not wire.is_lost()
    wire.send(b"x")

    assert wire.transport.is_aborted


def test_a_client_that_ends_after_a_refusal_is_let_go() -> None:
    harness = Harness()
    wire = harness.wire()
    wire.send(b"NONSENSE\r\n\r\n", b"more")
    wire.send_eof()

    assert wire.is_lost() and not wire.transport.is_aborted


@pytest.mark.parametrize("cut", [1, 3, 7, 1_000])
def test_a_chunk_that_announces_too_much_is_refused_at_once(cut: int) -> None:
    harness = Harness(max_body_bytes=1_000)
    wire = harness.wire()
    sent = CHUNKED + b"5\r\nab\ncd\r\n3e4;note=x\r\n12"  # 5 + 996: one too many. The rest never comes.
    wire.send(*[sent[at : at + cut] for at in range(0, len(sent), cut)])

    assert statuses(wire) == [413]


@pytest.mark.parametrize("cut", [1, 3, 7, 1_000])
def test_a_chunk_that_just_fits_and_trailers_that_look_like_sizes_are_taken(cut: int) -> None:
    harness = Harness(max_body_bytes=1_000)
    wire = harness.wire()
    body = b"\nfff\r\nffff\r\n".ljust(995, b"x")
    sent = CHUNKED + b"5\r\nab\ncd\r\n0003E3;note=x\r\n" + body + b"\r\n0\r\nffff: 1\r\nffff:\r\n\r\n"
    wire.send(*[sent[at : at + cut] for at in range(0, len(sent), cut)])

    assert statuses(wire) == [200]
    assert harness.seen[0].body == b"ab\ncd" + body


def test_a_body_whose_upgrade_is_ignored_may_not_announce_too_much_either() -> None:
    harness = Harness(max_body_bytes=1_000)
    wire = harness.wire()
    upgrade = (
        b"POST /events HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    wire.send(upgrade + b"fff\r\n")

    assert statuses(wire) == [413]


@pytest.mark.parametrize("cut", [1, 64, 65_536])
def test_tiny_pieces_are_joined_as_they_come(cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces, not bytes, are what joining costs: 4 million would hold the loop for 80 ms."""
    held: list[int] = []
    came = RequestReader.on_body

    def on_body(reader: RequestReader, piece: bytes) -> None:
        came(reader, piece)
        held.append(len(reader._pieces))

    monkeypatch.setattr(RequestReader, "on_body", on_body)
    harness = Harness()
    wire = harness.wire()
    sent = CHUNKED + b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n"
    wire.send(*[sent[at : at + cut] for at in range(0, len(sent), cut)])

    assert statuses(wire) == [200]
    assert harness.seen[0].body == b"x" * 20_000
    assert max(held) < 256 + SLICE_BYTES // 6 + 20_000 // 256


@pytest.mark.parametrize("zeros", [0, 30, 5_000])
def test_zeros_before_a_length_change_nothing(zeros: int) -> None:
    """RFC 9110 section 8.6: any number of digits. int() takes 4,300 (Python: "string conversion length limitation")."""
    harness = Harness()
    wire = harness.wire()
    wire.send(b"POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"0" * zeros + b"2\r\n\r\nhi")

    assert statuses(wire) == [200]
    assert harness.seen[0].body == b"hi"
