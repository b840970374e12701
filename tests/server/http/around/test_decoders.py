"""A compressed body may be made of several members or frames, as the standards of each coding have it."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from server.http.around import decoders
from server.http.around import decompress as encodings
from tests.server.http.around.test_decompress import PACK, answer, noise, sent


def zstd_skippable(size: int) -> bytes:
    return (0x184D2A53).to_bytes(4, "little") + size.to_bytes(4, "little") + b"s" * size


@pytest.mark.parametrize("size", [1, 20, 70_000])
@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_all_members_and_frames_of_a_body_are_undone(encoding: str, size: int) -> None:
    """RFC 1952 section 2.2; RFC 8878 section 3.1, with skippable frames (3.1.2)."""
    pack = PACK[encoding][1]
    parts = [noise(size), b"", noise(size + 1), b"x" * size]
    raws = [pack(part) for part in parts]
    if encoding == "zstd":
        raws.insert(1, zstd_skippable(0))
        raws.insert(0, zstd_skippable(40_000))
        raws.append(zstd_skippable(9))
    harness, response = answer(sent(encoding.encode(), b"".join(raws)), max_body_bytes=1_000_000)

    assert (response.status, harness.seen[0].body) == (200, b"".join(parts))


@pytest.mark.parametrize("encoding", ["deflate", "deflate without its head", "br"])
def test_deflate_and_br_are_one_stream(encoding: str) -> None:
    header, pack = PACK[encoding]
    assert answer(sent(header, pack(b"{}") * 2))[1].status == 400


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_members_of_nothing_are_one_step_each_and_bounded(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "MAX_STREAMS", 500)
    steps = 0
    step = encodings.Decompression._step

    def counted(self: Any, decoder: Any) -> Any:
        nonlocal steps
        steps += 1
        return step(self, decoder)

    monkeypatch.setattr(encodings.Decompression, "_step", counted)
    member = PACK[encoding][1](b"")
    assert answer(sent(encoding.encode(), member * 499 + PACK[encoding][1](b"{}")))[1].status == 200
    assert steps >= 500
    refused = answer(sent(encoding.encode(), member * 501))[1]
    assert refused.status == 413
    assert "compressed streams" in json.loads(refused.body)["detail"]


def test_members_count_against_the_same_bounds() -> None:
    member = gzip.compress(b"x" * 100_000)
    assert answer(sent(b"gzip", member * 3), max_ratio=1_000)[1].status == 200
    assert answer(sent(b"gzip", member * 3 + gzip.compress(b"x")), max_ratio=1_000)[1].status == 413
    assert answer(sent(b"gzip", member * 3), max_ratio=100)[1].status == 413
