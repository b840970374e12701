"""Read released schemas over HTTP: from an archive, or from a running service.

Place: states.against → HERE → an archive (``.tar``, ``.tar.gz``, ``.tgz``, ``.tar.xz``; states.archive), or
``/v1/schemas`` of a service.
Rules: answers are bounded in size and time. If all of an archive is in one folder that is no part of a title, as in
those that hosts of git make, that folder is read; ``#folder`` behind the URL names one inside it. Members that would be
written elsewhere are refused. A version of a service is written as JSON.
Not here: which schemas a service has (pages.published).
"""

from __future__ import annotations

import io
import json
import re
import tarfile
import urllib.error
import urllib.request
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from server.errors import UsageError
from server.paths import Paths
from server.schemas_tool.states.archive import unpack

_PATIENCE_S: Final = 30
_MOST_BYTES: Final = 64 << 20  # Of one answer. All versions of Wikimedia's schemas take 4 MiB.
_MOST_UNPACKED: Final = 1 << 30
_ARCHIVE: Final = re.compile(r"\.(tar|tgz|tar\.[a-z0-9]{2,3})$")
_VERSION: Final = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")


def read(url: str, into: Path, titles: Collection[str]) -> Path:
    """Write what is at a URL below ``into``, and return the directory to compare with. Raises UsageError."""
    if _ARCHIVE.search(urlsplit(url).path):
        return _unpacked(url, into, {title.partition("/")[0] for title in titles})
    for title in sorted(titles):
        for version, schema in _versions(url, title):
            file = into / title / f"{version}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(schema)
    return into


def _unpacked(url: str, into: Path, first_names: Collection[str]) -> Path:
    url, _, folder = url.partition("#")
    try:
        with tarfile.open(fileobj=io.BytesIO(_asked(url))) as files:
            if sum(member.size for member in files) > _MOST_UNPACKED:
                raise UsageError(f"{url} unpacks to more than {_MOST_UNPACKED} bytes")
            unpack(files, into)
    except tarfile.TarError as error:
        raise UsageError(f"{url} is no archive that can be read: {error}") from None
    found = list(into.iterdir())
    top = found[0] if len(found) == 1 and found[0].is_dir() and found[0].name not in first_names else into
    if not top.joinpath(folder).resolve().is_relative_to(into.resolve()) or not top.joinpath(folder).is_dir():
        raise UsageError(f"{url} has no folder {folder!r}")
    return top / folder


def _versions(url: str, title: str) -> Iterator[tuple[str, bytes]]:
    """Yield the versions of a title that a service has; none if it does not know the title."""
    base = url.rstrip("/").removesuffix(Paths.SCHEMAS)
    listing = _asked(f"{base}{Paths.SCHEMAS}/{title}", missing=b"{}")
    try:
        paths = _listed(json.loads(listing))
    except ValueError:
        raise UsageError(f"{url} has no list of schemas at {Paths.SCHEMAS}/{title}") from None
    for path in paths:
        version = path.rpartition("/")[2]
        if _VERSION.fullmatch(version):
            yield version, _asked(urljoin(f"{base}/", path))


def _listed(listing: Any) -> list[str]:
    paths = listing.get("versions", []) if isinstance(listing, dict) else None
    if not isinstance(paths, list) or not all(isinstance(path, str) and path.startswith("/") for path in paths):
        raise ValueError("no list of versions")
    return paths


def _asked(url: str, missing: bytes | None = None) -> bytes:
    """Return an answer, or ``missing`` if there is nothing at the URL. Raises UsageError."""
    request = urllib.request.Request(url, headers={"Accept": "application/json, */*;q=0.5"})
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE_S) as answer:
            body: bytes = answer.read(_MOST_BYTES + 1)
    except urllib.error.HTTPError as error:
        if error.code == 404 and missing is not None:
            return missing
        raise UsageError(f"{url} answers {error.code}") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{url} cannot be read: {error}") from None
    if len(body) > _MOST_BYTES:
        raise UsageError(f"{url} has more than {_MOST_BYTES} bytes")
    return body
