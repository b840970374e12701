"""Free memory goes back to the kernel."""

from __future__ import annotations

from server.host import memory

PIECE, PIECES = 100_000, 400  # Too small for a mapping of its own (mallopt(3), M_MMAP_THRESHOLD).


def test_what_was_freed_below_what_is_used_goes_back() -> None:
    kept: list[bytes] = []
    freed: list[bytes] = []
    for number in range(PIECES):
        (kept if number % 20 == 19 else freed).append(bytes(PIECE))
    for at, piece in enumerate(freed):
        freed[at] = piece + b"x"  # Written to, so that it is resident.
    full = memory.resident_bytes()
    freed.clear()
    memory.give_back()

    assert memory.resident_bytes() < full - PIECE * PIECES // 2
    assert len(kept) == PIECES // 20
