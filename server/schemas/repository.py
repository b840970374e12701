"""Give ``server`` access to the package ``validators``: schemas by URI, questions about them, ECMA-262 regexes.

Place: boot.examine reads ahead through it; intake.router → HERE → validators.
Rules: no other module of ``server`` imports ``validators``, except its YAML reader (config.framework.yaml) and
schemas.judges. A missing schema is a value here and not an exception, because ``find`` is on an event's way.
Not here: reading, compiling and caching schemas (validators.registry), words for clients (intake.router).
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from server.config.framework.yaml import YamlError, load_yaml
from server.config.urls import is_url, urls_of
from server.errors import SettingsError
from server.schemas.remote import Remote
from validators import (
    EventReader,
    Fill,
    Registry,
    SchemaError,
    Sharing,
    TooDearError,
    TooLargeError,
    Validator,
    Violation,
    errors_text,
    is_too_dear,
)
from validators.expectations import Expectations
from validators.load import required
from validators.materialise import materialise
from validators.privacy import ACTIONS, KEEP, PrivacyPlan, plan_of
from validators.regex import pattern
from validators.regex.pattern import Matcher
from validators.withheld import odd_expectations, spoken_of

if TYPE_CHECKING:
    from server.config.catalog_settings import SchemaSettings as SchemaSettings

__all__ = [
    "ACTIONS",
    "KEEP",
    "EventReader",
    "Expectations",
    "Fill",
    "Matcher",
    "PrivacyPlan",
    "SchemaLost",
    "SchemaRepository",
    "Sharing",
    "TooDearError",
    "TooLargeError",
    "Unfetched",
    "Unusable",
    "Validator",
    "Violation",
    "compile_regex",
    "errors_text",
    "fetched_directory",
    "fingerprint",
    "is_slow_regex",
    "is_too_dear",
    "materialised",
    "odd_expectations",
    "open_schemas",
    "plan_of",
    "spoken_of",
]

MAX_TOLD = 1_000  # Reasons that are logged; only schemas that exist have one, and clients cannot make any.
_FAULTS = ("schema_unavailable", "broken_schema", "insecure_schema")
_logger = logging.getLogger("schemas")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def compile_regex(text: str) -> Matcher:
    """Read a regular expression as ECMA-262 does. Raises ValueError with the fault."""
    return pattern.compiled(text)


def is_slow_regex(text: str) -> bool:
    """Whether searching some texts for it would take too long. Raises ValueError if it is not a regex."""
    return pattern.danger(text) is not None


class Unfetched(Struct, frozen=True):
    """A schema that no directory has and that may be at a URL: ``uri`` is the one to ask the fetcher for."""

    uri: str


class Unusable(Struct, frozen=True):
    """A schema that exists and cannot be used: which, and why in the registry's words (for operators, not clients)."""

    uri: str
    error_type: str
    reason: str


class SchemaRepository:
    """The schemas of one configuration. Compiled ones are cached, so that a fork shares those read before it."""

    __slots__ = ("_failed_s", "_registry", "_told", "remote")

    def __init__(self, registry: Registry, remote: Remote | None = None, failed_s: float = 60.0) -> None:
        self._registry = registry
        self._failed_s = failed_s
        self._told: set[tuple[str, str]] = set()
        self.remote = remote

    def find(self, uri: str) -> Validator | Unfetched | tuple[str, str]:
        """Return the schema's validator; or the ``error_type`` and the reason for the log; or that it has to be
        fetched. A file that is there and is no usable schema is a ``broken_schema``: only its owner can mend it."""
        if self.remote is not None:
            return self._find_remote(uri, self.remote)
        try:
            return self._registry.validator(uri)
        except SchemaError as error:
            return _kind(error), str(error)

    def find_telling(self, uri: str) -> Validator | Unfetched | tuple[str, str]:
        """The same for events: the log says of each schema once, per reason, why it cannot be used."""
        found = self.find(uri)
        if isinstance(found, tuple) and found[0] in _FAULTS and found not in self._told and len(self._told) < MAX_TOLD:
            self._told.add(found)
            _logger.error("events of the schema %s are refused: %s", uri, found[1])
        return found

    def find_here(self, uri: str) -> Validator | tuple[str, str]:
        """The same for callers that cannot wait for a fetch: such a schema is ``schema_unavailable`` for now."""
        found = self.find(uri)
        if isinstance(found, Unfetched):
            return "schema_unavailable", f"{found.uri}: has not been fetched yet"
        return found

    def _find_remote(self, uri: str, remote: Remote) -> Validator | Unfetched | tuple[str, str]:
        uri = remote.relative(uri)
        failure = remote.failure(uri)
        if failure is not None:
            return failure
        try:
            return self._registry.validator(uri)
        except SchemaError as error:
            if is_url(uri) and error.error_type == "schema_unavailable":
                return "unknown_schema", f"{uri}: is below none of the URLs in schemas.base_uris"
            if error.error_type == "unknown_schema":
                return Unfetched(uri)
            if error.error_type != "bad_schema_uri" and not error.may_pass:
                remote.note_failure(uri, _kind(error), str(error), self._failed_s)
            return _kind(error), str(error)

    @property
    def is_private(self) -> bool:
        """Whether any schema that was read so far has ``x-privacy``."""
        return self._registry.is_private

    def plan_in_use(self, title: str) -> PrivacyPlan | None:
        """Return what the newest version of a title withholds, if that version has been read."""
        versions = self.versions(title)
        found = self.latest(title) if versions and self._registry.has(versions[-1]) else None
        return found.privacy if found is not None else None

    def for_check(self) -> SchemaRepository:
        """Return a view for catalog.check_streams: titles that may be at a URL count as known, with every field."""
        return self if self.remote is None else _PerhapsAtUrls(self._registry, self.remote)

    def versions(self, title: str) -> list[str]:
        """Return the URIs of a title's versions in directories, oldest first; none when no repository has it."""
        return self._registry.uris_of(title)

    def latest(self, title: str) -> Validator | None:
        """Return the newest version of a title in directories; None if there is none that can be used."""
        versions = self.versions(title)
        found = self.find_here(versions[-1]) if versions else None
        return found if isinstance(found, Validator) else None

    def listing(self, path: str) -> tuple[list[str], list[str]] | None:
        """Return directories, and versions (oldest first), at one path of the repositories; None: none has the path."""
        return self._registry.listing(path)

    def document(self, uri: str) -> bytes | tuple[str, str]:
        """Return a schema for readers, as JSON, with the content of its file in a directory but without references to
        other documents.

        Returns a tuple as ``find`` does when there is none. A schema that only a remote repository has is found as for
        an event.
        """
        title, _, version = uri[1:].rpartition("/")
        try:
            if uri[:1] == "/" and uri in self.versions(title) and version:
                text = self._registry.document(uri)
                if b'"$ref"' not in text:
                    return text
        except SchemaError as error:
            return _kind(error), str(error)
        found = self.find_here(uri)  # Only events cause a fetch, readers do not.
        return found if isinstance(found, tuple) else msgspec.json.encode(found.schema)

    def titles(self) -> list[str]:
        """Return the titles of all schemas in directories."""
        found, paths = [], [""]
        while paths:
            path = paths.pop()
            directories, versions = self.listing(path) or ([], [])
            if versions:
                found.append(path[1:])
            paths += [f"{path}/{name}" for name in directories]
        return sorted(found)

    def declares(self, title: str, path: tuple[str, ...]) -> bool:
        """Whether any version of the title declares the property; the latest is asked first. True where that is
        unknown, because a version cannot be used: then this is what has to be told."""
        for uri in reversed(self.versions(title)):
            found = self.find_here(uri)
            if isinstance(found, tuple) or found.declares(path):
                return True
        return False

    def ways(self, titles: Sequence[str]) -> list[tuple[str, str, str]]:
        """Return URI, kind of way and reason for every version of the titles that was compiled."""
        known = [uri for title in titles for uri in self.versions(title) if self._registry.has(uri)]
        found = [(uri, self.find_here(uri)) for uri in known]
        return [(uri, each.way.kind, each.way.reason) for uri, each in found if not isinstance(each, tuple)]

    def has_expectations(self, validator: Validator) -> bool:
        """Whether events of a schema are to be judged by expectations."""
        return self._registry.has_expectations(validator)

    def expectations(self, validator: Validator) -> Expectations:
        """Return the expectations of a schema, compiled the first time."""
        return self._registry.expectations(validator)

    def place(self, uri: str, pointer: str) -> tuple[str, int]:
        """Return file and line of a place in a schema, or of the reference that leads there; without a file its URI
        and 0."""
        file = self._registry.file_of(uri)
        if file is None:
            return uri, 0
        try:
            _, lines = load_yaml(file.read_text(encoding="utf-8"), file.name)
        except (OSError, ValueError, YamlError):
            return str(file), 0
        return str(file), _line(lines, pointer)

    def requires(self, title: str, path: tuple[str, ...]) -> bool:
        """Whether every valid event of the title's latest version has the property. True where that is unknown."""
        versions = self.versions(title)
        found = self.find_here(versions[-1]) if versions else ("unknown_schema", "")
        return isinstance(found, tuple) or required.requires(found.schema, path)

    def forget_before(self) -> None:
        """Release the schemas of an earlier reading, once the unchanged ones have been taken over."""
        self._registry.forget_before()

    def read_ahead(self, titles: Sequence[str], until: float = math.inf) -> tuple[list[Unusable], int]:
        """Compile the versions of the titles until the instant ``until`` of ``time.monotonic``.

        Returns those that cannot be used, and how many are left for their first event.
        """
        unusable, left = [], 0
        for title in titles:
            for uri in self.versions(title):
                if time.monotonic() >= until:
                    left += not self._registry.has(uri)
                    continue
                found = self.find_here(uri)
                if isinstance(found, tuple):
                    unusable.append(Unusable(uri, *found))
        return unusable, left


def _line(lines: Mapping[tuple[str | int, ...], int], pointer: str) -> int:
    """Return the line of the longest part of a JSON pointer that is there."""
    path: tuple[str | int, ...] = ()
    for token in pointer.removeprefix("#").split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        step = next((one for one in (key, int(key) if key.isdecimal() else key) if (*path, one) in lines), None)
        if step is None:
            break
        path = (*path, step)
    return lines.get(path, 0)


def _kind(error: SchemaError) -> str:
    """Return the ``error_type``, with a schema that another attempt may read apart from one that is broken."""
    is_broken = error.error_type == "schema_unavailable" and not error.may_pass
    return "broken_schema" if is_broken else error.error_type


class _PerhapsAtUrls(SchemaRepository):
    """The view for checks of declarations: a title that no directory has may be at a URL, which cannot be listed."""

    __slots__ = ()

    def versions(self, title: str) -> list[str]:
        return super().versions(title) or [f"/{title}"]

    def declares(self, title: str, path: tuple[str, ...]) -> bool:
        return not super().versions(title) or super().declares(title, path)


def open_schemas(
    settings: SchemaSettings,
    base_dir: Path,
    cache_dir: Path = Path("var/cache"),
    *,
    is_deferred: bool = False,
    before: SchemaRepository | None = None,
) -> SchemaRepository:
    """Open the repository of these settings.

    A base URI that is not a URL is a directory, relative to ``base_dir``. Schemas at URLs are files below ``cache_dir``
    once they have been fetched (fetch.fetched_schemas). ``is_deferred``, for serving, compiles the reference of a
    schema only when an event needs it. ``before`` is the repository of an earlier reading, whose validators are reused
    for unchanged files, until ``forget_before``. Raises SettingsError for a base that cannot be used.
    """
    urls = urls_of(settings.base_uris)
    base_uris = [text if _URL.match(text) else str(base_dir / text) for text in settings.base_uris if not is_url(text)]
    remote = None
    if urls:
        remote = Remote(urls if settings.allow_absolute_uris else [], fetched_directory(cache_dir, urls))
        base_uris.append(str(remote.directory))
    try:
        if remote is not None:
            remote.directory.mkdir(parents=True, exist_ok=True)
        registry = Registry(
            base_uris,
            extension=settings.file_extension,
            allow_insecure=settings.allow_insecure,
            allow_absolute_uris=settings.allow_absolute_uris,
            max_cached=settings.max_cached,
            negative_s=60.0 if remote is None else 0.0,  # A schema that was fetched from a URL must be found at once.
            keep_in=base_dir / settings.prepared_path if settings.prepared_path else None,
            is_deferred=is_deferred,
            before=before._registry if before is not None else None,
        )
    except SchemaError as error:
        raise SettingsError(str(error)) from None
    except OSError as error:
        raise SettingsError(f"{error.filename}: cannot be made for fetched schemas: {error.strerror}") from None
    return SchemaRepository(registry, remote, settings.unknown_s)


def fingerprint(settings: SchemaSettings, base_dir: Path) -> str:
    """Return a digest of the base directories' state, by names, sizes and times of all files and links."""
    found = hashlib.sha256()
    for text in settings.base_uris:
        for directory, names, files in os.walk(base_dir / text.removeprefix("file://")):
            names.sort()
            links = [name for name in names if os.path.islink(os.path.join(directory, name))]
            for name in (*sorted(files), *links):
                path = os.path.join(directory, name)
                with contextlib.suppress(FileNotFoundError):  # The target of a link may not exist.
                    state = os.lstat(path) if name in links else os.stat(path)
                    found.update(f"{path}\n{state.st_size} {state.st_mtime_ns} {state.st_ino}\n".encode())
    return found.hexdigest()


def fetched_directory(cache_dir: Path, urls: Sequence[str]) -> Path:
    """Return the directory for schemas that are fetched from these URLs; each list of URLs has its own."""
    return cache_dir / "schemas" / hashlib.sha256("\n".join(urls).encode()).hexdigest()[:16]


def materialised(uri: str, settings: SchemaSettings, base_dir: Path, fetch: Callable[[str], bytes]) -> bytes:
    """Return a schema and all schemas that it refers to as one JSON text. ``fetch`` is as in ``validators.Registry``.
    Raises SchemaLost."""
    in_order = sorted(settings.base_uris, key=is_url)  # Directories come first, as for an event's schema.
    base_uris = [text if _URL.match(text) else str(base_dir / text) for text in in_order]
    try:
        return materialise(uri, base_uris, fetch, extension=settings.file_extension)
    except SchemaError as error:
        raise SchemaLost(error.error_type, str(error)) from None


class SchemaLost(Exception):  # noqa: N818  # It is no error but the answer that the schema does not exist.
    """There is no schema at a URI. ``error_type`` is for clients, ``str()`` for the log."""

    def __init__(self, error_type: str, reason: str) -> None:
        super().__init__(reason)
        self.error_type = error_type
