"""Unpack an archive of schemas.

Place: states.git, states.remote → HERE → tarfile.
Rules: no name of a member and no link makes anything be written outside of the directory. The filters of tarfile do the
same, but only since Python 3.11.4, and Debian 12 has 3.11.2.
Not here: where an archive comes from, and how large it may be (states.remote).
"""

from __future__ import annotations

import os
import tarfile
from pathlib import Path


def unpack(archive: tarfile.TarFile, into: Path) -> None:
    """Write the directories, files and links of an archive. Raises tarfile.TarError if something of it would be
    written elsewhere, or is nothing of these."""
    root = into.resolve()
    for member in archive:
        try:
            _write(archive, member, root)
        except (OSError, ValueError, KeyError) as error:
            raise tarfile.ExtractError(f"{member.name!r} cannot be written: {error}") from None


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, root: Path) -> None:
    place = root / member.name.lstrip("/")
    _check_is_below(root, place, member)
    if member.isdir():
        place.mkdir(parents=True, exist_ok=True)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    if member.issym():
        _check_is_below(root, place.parent / member.linkname, member)
        place.unlink(missing_ok=True)
        place.symlink_to(member.linkname)
    elif (content := archive.extractfile(member)) is not None:
        place.write_bytes(content.read())
    else:
        raise tarfile.ExtractError(f"{member.name!r} is neither a file nor a directory nor a link")


def _check_is_below(root: Path, place: Path, member: tarfile.TarInfo) -> None:
    if not Path(os.path.realpath(place)).is_relative_to(root):  # Links in a circle are an error of resolve().
        raise tarfile.ExtractError(f"{member.name!r} leads out of the archive")
