"""Replace a small file as a whole.

Place: canary.state, plausibility.sampling.files → HERE.
Rules: a reader sees the file of before or the new one, never a part. The content may be lost with the power: these
files are written again within minutes. A full disk leaves nothing behind; a writer that is killed leaves its part,
until the next holder of the directory's lock calls ``sweep``.
Not here: files that must outlive the power (fetch.store).
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def replace_file(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a file and put it in its place in one step. After a fault nothing is left behind. Raises OSError."""
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        with open(fd, "wb") as file:
            file.write(content)
        partial.replace(path)
    except OSError:
        with suppress(OSError):
            partial.unlink()
        raise


def sweep(path: Path) -> None:
    """Remove the parts of writers of a file that were killed. No process may be writing it. Raises OSError."""
    for partial in path.parent.glob(f"{path.name}.*"):
        if partial.suffix[1:].isdecimal() and partial.is_file():
            partial.unlink(missing_ok=True)
