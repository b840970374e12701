"""Say where a setting of a processor stands that cannot be used, which is found out after its file was read.

Place: the files that use a setting → HERE → the commands of the processors, which know the file.
Rule: the message is like those of settings whose form is wrong: file, line, key, reason.
Not here: the form of settings (server.config.framework).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from server.boot.generation import Generation, read
from server.config.framework import document as documents
from server.config.framework.finding import Finding
from server.errors import SettingsError


class WrongSettingError(SettingsError):
    """One setting cannot be used: its key, or the path of keys to it, and why."""

    def __init__(self, path: str | tuple[str, ...], reason: str) -> None:
        self.path = (path,) if isinstance(path, str) else path
        self.reason = reason
        super().__init__(path, reason)

    def __str__(self) -> str:
        """``key: reason``."""
        return f"{'.'.join(self.path)}: {self.reason}"


@contextmanager
def located(file: Path | None) -> Iterator[None]:
    """Add the file and the line to what is said of a setting of this file."""
    try:
        yield
    except WrongSettingError as wrong:
        if file is None:
            raise
        name, line = documents.read(file).origin(wrong.path)
        found = Finding(level="error", file=name, line=line, key=".".join(wrong.path), reason=wrong.reason)
        raise SettingsError(str(found)) from wrong


def read_intake(file: Path | None) -> Generation:
    """Read the settings of the intake that the setting ``intake`` names. Raises SettingsError."""
    if file is not None:
        try:
            file.open("rb").close()
        except OSError as error:
            raise WrongSettingError("intake", f"{file}: {error.strerror}") from error
    return read(file, [])
