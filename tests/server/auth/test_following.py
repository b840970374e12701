"""server.auth.key_follower: public keys that were fetched are taken up, now or when they can be read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import pytest

from server.auth import key_follower as module
from server.auth.key_follower import KeyFollower
from server.auth.public_keys import PublicKeysError


class Access:
    def __init__(self) -> None:
        self.used: list[bytes] = []

    def use_public_keys(self, text: bytes) -> None:
        self.used.append(text)


class Credentials:
    def __init__(self, path: Path) -> None:
        self.followed = path
        self.public_keys = b"old"


def followed(path: Path) -> tuple[KeyFollower, Access]:
    access = Access()
    return KeyFollower(cast(Any, Credentials(path)), cast(Any, access)), access


def test_a_file_that_could_not_be_opened_is_read_on_a_later_beat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The mark of the file was taken, and newer keys were never read: their tokens got 401 until the next rotation."""
    path = tmp_path / "keys"
    path.write_bytes(b"new")
    following, access = followed(path)
    monkeypatch.setattr("server.auth.public_keys.parse", lambda _text: [])

    def lacking(*_: object) -> None:
        raise OSError(24, os.strerror(24))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", lacking)
        for _ in range(3):
            following.look()
    assert access.used == []
    assert caplog.text.count("cannot be read: Too many open files") == 1

    following.look()
    assert access.used == [b"new"]


def test_a_file_that_holds_no_keys_is_not_read_again_before_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys"
    path.write_bytes(b"none")
    following, _ = followed(path)
    read: list[Path] = []

    def refuse(path: Path) -> bytes:
        read.append(path)
        raise PublicKeysError("is no JSON")

    monkeypatch.setattr(module, "read", refuse)
    for _ in range(3):
        following.look()

    assert read == [path]
