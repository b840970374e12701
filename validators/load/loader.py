"""Find the text of a schema by its URI and parse it, within bounds.

Place: base URIs in order → HERE → bundle. This is a cold path: the registry caches the result.
Rules:
1. A URI that a client may name has the grammar ``/<title>/<major.minor.patch>`` and nothing else.
2. Nothing outside a base directory is ever read, even where dots or symbolic links lead there.
3. Size, number of values and depth are bounded: of a document, and of all documents that one schema leads to
   (``ReadBudget``). Numbers are finite, keys are text.
4. ``http(s)`` is only ever read through the ``fetch`` that was passed in.
Not here: what ``$ref`` means (bundle), what is cached (registry).
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from validators.errors import SchemaError, may_pass
from validators.load import yaml12

MAX_BYTES = 262_144  # The largest of 510 real schemas is 29,544 bytes.
MAX_VALUES = 20_000  # Each takes some 10 µs in YAML.
MAX_DEPTH = yaml12.MAX_DEPTH
MAX_URI_LENGTH = 512

# Returns the bytes at a URL. Raises FileNotFoundError when the source is sure that there are none, and another OSError
# when it cannot tell.
Fetch = Callable[[str], bytes]

Number = Callable[[str], Any]

_SEGMENTS = r"(?:/(?!\.+(?:/|\Z))[A-Za-z0-9_.-]+)+"  # No segment consists of dots alone.
_URI = re.compile(rf"{_SEGMENTS}/[0-9]+\.[0-9]+\.[0-9]+")
_PATH = re.compile(_SEGMENTS)
_ORIGIN = re.compile(r"(https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?|file://(?:localhost)?)(?=/)")
_VERSION_FILE = re.compile(r"([0-9]+)\.([0-9]+)\.([0-9]+)(\.[A-Za-z0-9]+)?")


class ReadBudget:
    """The bytes and values that may still be read for one schema."""

    def __init__(self) -> None:
        self._bytes = MAX_BYTES
        self.values = MAX_VALUES

    def take(self, size: int, name: str) -> None:
        """Count a document. Raises SchemaError."""
        self._bytes -= size
        if self._bytes < 0:
            raise SchemaError("schema_unavailable", f"{name}: is larger than {MAX_BYTES:,} bytes{_IN_ALL}")

    def take_value(self, name: str) -> None:
        """Count one value of a document. Raises SchemaError."""
        self.values -= 1
        if self.values < 0:
            raise SchemaError("schema_unavailable", f"{name}: holds more than {MAX_VALUES:,} values{_IN_ALL}")


_IN_ALL = ", together with the documents before it"


class Loader:
    """Reads schemas below ``base_uris``: directories, ``file:`` or ``http(s):`` URIs. Raises SchemaError."""

    def __init__(
        self,
        base_uris: Sequence[str],
        *,
        extension: str = ".yaml",
        allow_absolute_uris: bool = False,
        fetch: Fetch | None = None,
    ) -> None:
        self._bases = [_base(each, fetch) for each in base_uris]
        self._extension = extension
        self._allow_absolute_uris = allow_absolute_uris
        self._fetch = fetch

    def read(self, uri: str, allowance: ReadBudget | None = None, number: Number | None = None) -> Any:
        """Read the schema that an event names, and parse it."""
        origin, path = self._split(uri)
        if len(uri) > MAX_URI_LENGTH or _URI.fullmatch(path) is None:
            raise SchemaError("bad_schema_uri", f"{uri!r} is not /<title>/<major.minor.patch>")
        return self._read(origin, path, allowance or ReadBudget(), number)

    def text(self, uri: str) -> bytes | None:
        """Return the bytes that ``read`` would read if they lie in a directory that comes before any other kind of
        base. Raises SchemaError when there are none and no other base is left to look in."""
        if len(uri) > MAX_URI_LENGTH or _URI.fullmatch(uri) is None:
            return None
        for base in self._bases:
            if not isinstance(base, Path):
                return None
            if _is_nowhere(base, uri):
                continue
            for candidate in self._candidates(uri):
                text = _read_file(base, candidate)
                if text is not None:
                    return text
        raise _unknown(uri)

    def file_of(self, uri: str) -> Path | None:
        """Return the file that ``text`` reads; None where there is none."""
        if len(uri) > MAX_URI_LENGTH or _URI.fullmatch(uri) is None:
            return None
        directories = (base for base in self._bases if isinstance(base, Path))
        files = (base / below[1:] for base in directories for below in self._candidates(uri))
        return next((file for file in files if file.is_file()), None)

    def read_reference(self, uri: str, allowance: ReadBudget | None = None) -> Any:
        """Read the document that a ``$ref`` names, which may be any file below a base URI."""
        origin, path = self._split(uri)
        if len(uri) > MAX_URI_LENGTH or _PATH.fullmatch(path) is None:
            raise SchemaError("bad_schema_uri", f"{uri!r} does not name a schema")
        return self._read(origin, path, allowance or ReadBudget())

    def versions(self, title: str) -> list[str]:
        """Return the versions of a title in base directories, oldest first. (A web server cannot be listed.)"""
        path = f"/{title}"
        if _PATH.fullmatch(path) is None:
            return []
        versions: set[tuple[int, ...]] = set()
        for base in self._bases:
            if isinstance(base, Path) and (directory := _inside(base, path)) is not None and directory.is_dir():
                for name in os.listdir(directory):
                    found = _VERSION_FILE.fullmatch(name)
                    if found and found[4] in (None, self._extension, ".json"):
                        versions.add(tuple(int(number) for number in found.groups()[:3]))
        return [".".join(map(str, version)) for version in sorted(versions)]

    def directories(self, path: str) -> list[str] | None:
        """Return the names of the directories at one path of all base directories; None when no base has the path."""
        if path and (_PATH.fullmatch(path) is None or "/." in path):  # Hidden directories are not listed.
            return None
        found: set[str] = set()
        is_there = False
        for base in self._bases:
            directory = (_inside(base, path) if path else base) if isinstance(base, Path) else None
            if directory is not None and directory.is_dir():
                is_there = True
                below = (entry for entry in os.scandir(directory) if entry.is_dir())
                found |= {entry.name for entry in below if _PATH.fullmatch(f"/{entry.name}") and entry.name[0] != "."}
        return sorted(found) if is_there else None

    def _candidates(self, path: str) -> tuple[str, str, str]:
        return path + self._extension, path, f"{path}.json"

    def _split(self, uri: str) -> tuple[str | None, str]:
        """Take a URI apart into origin (None: below the base URIs) and path."""
        found = _ORIGIN.match(uri)
        if found is None:
            return None, uri
        if not self._allow_absolute_uris:
            raise SchemaError("bad_schema_uri", f"{uri!r} is absolute, and allow_absolute_uris is off")
        return found[0], uri[found.end() :]

    def _read(self, origin: str | None, path: str, allowance: ReadBudget, number: Number | None = None) -> Any:
        candidates = self._candidates(path)
        for base, prefix in self._places(origin, path):
            if isinstance(base, Path) and _is_nowhere(base, path.removeprefix(prefix)):
                continue
            for candidate in candidates:
                below = candidate.removeprefix(prefix)
                text = _read_file(base, below) if isinstance(base, Path) else self._read_url(base + below)
                if text is not None:
                    return parse(text, candidate, allowance, number)
        raise _unknown((origin or "") + path)

    def _places(self, origin: str | None, path: str) -> list[tuple[Path | str, str]]:
        """Return the places to look in, in order, each with the part of the path that leads there."""
        if origin is None:
            return [(base, "") for base in self._bases]
        if origin.startswith("http"):
            return [(origin, "")]
        # An absolute file: URI may only lead below a base directory.
        return [(base, str(base)) for base in self._bases if isinstance(base, Path) and path.startswith(f"{base}/")]

    def _read_url(self, url: str) -> bytes | None:
        if self._fetch is None:
            raise SchemaError("schema_unavailable", f"{url}: nothing here fetches over HTTP")
        try:
            text = self._fetch(url)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SchemaError("schema_unavailable", f"{url}: {error}") from error
        return _bounded(text, url)


def parse(text: bytes, name: str, allowance: ReadBudget | None = None, number: Number | None = None) -> Any:
    """Read JSON or YAML 1.2, whichever ``text`` is. ``number``: what to make of a number of JSON's. Raises SchemaError,
    for a number such as 010 too: js-yaml, which EventGate reads schemas with, takes it for 8."""
    allowance = allowance or ReadBudget()
    allowance.take(len(text), name)
    try:
        if name.endswith(".json"):
            value = _parse_json(text, number)
        else:
            value = _parse_either(text, name, allowance.values, number)
    except yaml12.YamlError as error:
        raise SchemaError("schema_unavailable", str(error)) from None
    except RecursionError:
        raise SchemaError("schema_unavailable", f"{name}: is nested too deeply") from None
    except ValueError as error:
        raise SchemaError("schema_unavailable", f"{name}: is not JSON: {error}") from None
    _check_tree(value, name, 0, allowance)
    return value


def _parse_either(text: bytes, name: str, max_values: int, number: Number | None) -> Any:
    if text.lstrip()[:1] == b"{":  # A JSON decoder takes tabs and escapes that a YAML decoder does not.
        with contextlib.suppress(ValueError):
            return _parse_json(text, number)
    return yaml12.load(text, name, max_values, number, is_strict=True)


def _parse_json(text: bytes, number: Number | None) -> Any:
    return json.loads(
        text.decode("utf-8-sig"),
        object_pairs_hook=_unique,
        parse_constant=_refuse_constant,
        parse_int=number,
        parse_float=number,
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the key {name!r} occurs twice")
        found[name] = value
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number of JSON")


def _check_tree(value: Any, name: str, depth: int, allowance: ReadBudget) -> None:
    """Refuse values that JSON cannot express, in either syntax, and too many or too deeply nested ones."""
    allowance.take_value(name)
    if depth > MAX_DEPTH:
        raise SchemaError("schema_unavailable", f"{name}: is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        for key, each in value.items():
            _check_text(key, name)
            _check_tree(each, name, depth + 1, allowance)
    elif isinstance(value, list):
        for each in value:
            _check_tree(each, name, depth + 1, allowance)
    elif isinstance(value, float) and not math.isfinite(value):
        raise SchemaError("schema_unavailable", f"{name}: holds a number that is not finite")
    elif isinstance(value, str):
        _check_text(value, name)


def _check_text(text: str, name: str) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise SchemaError("schema_unavailable", f"{name}: holds half of a surrogate pair") from None


def _base(uri: str, fetch: Fetch | None) -> Path | str:
    if uri.startswith(("http://", "https://")):
        if fetch is None:
            raise SchemaError("schema_unavailable", f"base URI {uri}: nothing here fetches over HTTP")
        return uri.rstrip("/")
    if uri.startswith("file:"):
        parts = urlsplit(uri)
        if parts.netloc not in ("", "localhost"):
            raise SchemaError("schema_unavailable", f"base URI {uri}: names another host")
        uri = unquote(parts.path)
    root = Path(uri).resolve()
    if not root.is_dir():
        raise SchemaError("schema_unavailable", f"base URI {uri}: there is no directory {root}")
    return root


def _unknown(uri: str) -> SchemaError:
    return SchemaError("unknown_schema", f"{uri} is in none of the base URIs")


def _is_nowhere(root: Path, path: str) -> bool:
    """Whether not even the directory of a path exists. Strangers may name a million schemas that do not exist: this
    takes 1.5 µs for each, instead of as much for each name that its file may have."""
    return not os.access(f"{root}{path.rpartition('/')[0]}", os.F_OK)


def _inside(root: Path, path: str) -> Path | None:
    """Follow every symbolic link. None: there is no such file, or it lies outside ``root``."""
    if not os.access(f"{root}{path}", os.F_OK):  # This saves the 50 µs of resolving every step of the path.
        return None
    try:
        found = (root / path[1:]).resolve(strict=True)
    except OSError as error:
        if may_pass(error):
            raise _unread(path, error) from error
        return None
    except RuntimeError:  # There is a loop of symbolic links.
        return None
    return found if found.is_relative_to(root) else None


def _read_file(root: Path, path: str) -> bytes | None:
    found = _inside(root, path)
    if found is None:
        return None
    try:
        if not found.is_file():
            return None
        with found.open("rb") as file:
            return _bounded(file.read(MAX_BYTES + 1), path)
    except OSError as error:
        raise _unread(str(found), error) from error


def _unread(path: str, error: OSError) -> SchemaError:
    return SchemaError("schema_unavailable", f"{path}: {error}", may_pass=may_pass(error))


def _bounded(text: bytes, name: str) -> bytes:
    if len(text) > MAX_BYTES:
        raise SchemaError("schema_unavailable", f"{name}: is larger than {MAX_BYTES:,} bytes")
    return text
