"""server.identity: UUIDv7 as text."""

from __future__ import annotations

import os
import time
from uuid import UUID

from server.identity import AT_ONCE, Identities, new_id


def test_an_identity_is_a_uuid_of_version_7_made_now() -> None:
    before_ms = time.time_ns() // 1_000_000

    made = UUID(new_id().decode())

    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert before_ms <= made.int >> 80 <= time.time_ns() // 1_000_000
    assert str(made).encode() != new_id()


def test_no_two_are_equal() -> None:
    identities = Identities()
    count = 3 * AT_ONCE + 1

    assert len({identities.new() for _ in range(count)}) == count


def test_a_child_does_not_give_out_what_its_parent_does() -> None:
    new_id()
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write_end, b"".join(new_id() for _ in range(AT_ONCE)))
        os._exit(0)
    os.waitpid(pid, 0)
    told = os.read(read_end, 36 * AT_ONCE)
    os.close(read_end)
    os.close(write_end)

    theirs = {told[at : at + 36] for at in range(0, len(told), 36)}

    assert len(theirs) == AT_ONCE
    assert theirs.isdisjoint({new_id() for _ in range(AT_ONCE)})
