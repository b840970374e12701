"""Keys of hashes are read from a file, and again when it changes; a file that is wrong changes nothing."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from server.errors import SettingsError
from server.privacy.keys import HashKeys, read

SECRET = "s" * 32
OTHER = "t" * 32


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(f"# of this year\n\n2026-11 {SECRET}\n2026-10\t{OTHER}\n")
    return path


def replace(path: Path, text: str) -> None:
    """As editors and configuration management do."""
    path.with_name("new").write_text(text)
    os.replace(path.with_name("new"), path)


def test_the_first_key_of_a_file_is_in_force(file: Path) -> None:
    keys = HashKeys(file, read(file))

    assert [key.name for key in read(file)] == ["2026-11", "2026-10"]
    assert keys.current is not None
    assert (keys.current.name, keys.current.secret) == ("2026-11", SECRET.encode())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has no key"),
        ("# none\n", "has no key"),
        ("2026-11\n", ":1: is not a name and a secret"),
        (f"a:b {SECRET}\n", ":1: is not a name and a secret"),
        (f"a {SECRET} more\n", ":1: is not a name and a secret"),
        (f"a {SECRET}\nb short\n", ":2: the secret has fewer than 32 characters"),
        (f"a {SECRET}\na {OTHER}\n", ":2: the name a is there twice"),
        ("a" * 70_000, "has more than 65536 bytes"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_its_line_and_without_its_secrets(
    file: Path, text: str, reason: str
) -> None:
    file.write_text(text)

    with pytest.raises(SettingsError) as caught:
        read(file)

    assert reason in str(caught.value)
    assert SECRET not in str(caught.value)


def test_no_secret_is_in_the_representation_of_a_key(file: Path) -> None:
    assert SECRET not in repr(read(file))


def test_a_new_file_is_used_without_a_restart(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    keys = HashKeys(file, read(file))
    keys.look()
    replace(file, f"2026-12 {OTHER}\n2026-11 {SECRET}\n")

    with caplog.at_level("INFO"):
        keys.look()

    assert keys.current is not None
    assert keys.current.name == "2026-12"
    assert "values are hashed with the key 2026-12 from now on" in caplog.text


def test_a_file_that_is_wrong_or_gone_changes_nothing_and_is_told_once(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keys = HashKeys(file, read(file))
    keys.look()
    replace(file, "broken\n")
    keys.look()
    keys.look()
    told = caplog.text.count("the previous ones stay in force")
    file.unlink()
    keys.look()
    keys.look()

    assert told == 1
    assert caplog.text.count("the previous ones stay in force") == 2
    assert keys.current is not None
    assert keys.current.name == "2026-11"


def test_a_file_that_cannot_be_opened_now_is_read_again_though_it_has_not_changed(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No descriptor is left for a moment: the file that was put there then must not be passed over for ever."""
    keys = HashKeys(file, read(file))
    keys.look()
    replace(file, f"2026-12 {OTHER}\n")

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", fail)
        keys.look()
        keys.look()
    keys.look()

    assert caplog.text.count("the previous ones stay in force") == 1
    assert keys.current is not None
    assert keys.current.name == "2026-12"


def test_without_a_file_there_is_no_key() -> None:
    keys = HashKeys()
    keys.look()

    assert keys.current is None
