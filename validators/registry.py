"""Hand out one compiled validator for each schema URI, and remember it.

Place: the front door of this package: whoever has events asks here by ``$schema``.
Rules:
1. The same URI gives the same object until it is pushed out: the least recently used one goes first.
2. What failed is remembered too, for ``negative_s``, or every event of an unknown schema would cost file look-ups. Not
   so what the host lacked for a moment, such as a descriptor.
3. Nothing here is tied to a process: compile before a fork, use after it.
4. One thread asks. (A process is a worker here; there is no lock.)
5. Making a validator takes less than a second and 50 MB, whatever the schema: bounds says how, with the numbers.
Not here: where schemas lie (loader), how they are judged (validator).
"""

# hot path

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from validators.errors import ErrorType, SchemaError
from validators.judge.deferred import Deferred
from validators.judge.reference import check_schema, compile_schema
from validators.judge.validator import Validator
from validators.load import insecure
from validators.load.bundle import bundle
from validators.load.cost_limits import refuse_costly
from validators.load.disk_cache import DiskCache, key_of
from validators.load.loader import Fetch, Loader, ReadBudget
from validators.load.sharing import Sharing
from validators.regex.pattern import PatternError


class Registry:
    """Schemas below ``base_uris``: directories, ``file:`` or ``http(s):`` URIs, tried in order.

    ``http(s)`` needs ``fetch``: give the bytes at a URL; FileNotFoundError says that there is none, any other OSError
    that the source cannot tell. Raises SchemaError at once for a base that cannot be one.
    """

    def __init__(
        self,
        base_uris: Sequence[str],
        *,
        extension: str = ".yaml",
        allow_insecure: bool = False,
        allow_absolute_uris: bool = False,
        max_cached: int = 5_000,
        negative_s: float = 60.0,
        fetch: Fetch | None = None,
        clock: Callable[[], float] = time.monotonic,
        keep_in: Path | None = None,
        is_deferred: bool = False,
        before: Registry | None = None,
    ) -> None:
        """``keep_in``: a directory for what files come to (kept).

        ``is_deferred``: what judges the events that no type settles is compiled for the first of them (deferred).
        ``before``: one whose validators are taken where the same file comes to the same, until ``forget_before``.
        """
        self._loader = Loader(base_uris, extension=extension, allow_absolute_uris=allow_absolute_uris, fetch=fetch)
        self._allow_insecure = allow_insecure
        self._max_cached = max_cached
        self._negative_s = negative_s
        self._clock = clock
        self._kept = DiskCache(keep_in) if keep_in is not None else None
        self._keys: dict[str, str] = {}  # Of what was read for a URI.
        self._before = before._by_key() if before is not None else {}
        self._compile = Deferred if is_deferred else compile_schema
        self._sharing = Sharing()
        self._known: OrderedDict[str, Validator] = OrderedDict()
        self._failed: OrderedDict[str, tuple[float, ErrorType, str]] = OrderedDict()

    def validator(self, uri: str) -> Validator:
        """The validator of a schema. Raises SchemaError; its message is for logs, its ``error_type`` for anyone."""
        known = self._known.get(uri)
        if known is not None:
            self._known.move_to_end(uri)
            return known
        return self._load(uri)

    def has(self, uri: str) -> bool:
        """Whether the validator is there already."""
        return uri in self._known

    def uris_of(self, title: str) -> list[str]:
        """The URIs of a title's versions in base directories, oldest first."""
        return [f"/{title}/{version}" for version in self._loader.versions(title)]

    def document(self, uri: str) -> bytes:
        """A schema as its file says it, as JSON, whether it could be used or not: its numbers are those of the file, to
        the last digit. Raises SchemaError."""
        return msgspec.json.encode(self._loader.read(uri, number=_as_written))

    def listing(self, path: str) -> tuple[list[str], list[str]] | None:
        """Names of directories, and URIs of versions (oldest first), in one directory of all bases; None: there
        is none."""
        directories = self._loader.directories(path)
        return None if directories is None else (directories, self.uris_of(path[1:]))

    def _load(self, uri: str) -> Validator:
        failed = self._failed.pop(uri, None)
        if failed is not None and self._clock() < failed[0]:
            self._failed[uri] = failed
            raise SchemaError(failed[1], failed[2])
        try:
            made = self._make(uri)
        except SchemaError as error:
            # Cheaper to find out again than to remember; or nothing that was found out.
            if error.error_type != "bad_schema_uri" and not error.may_pass:
                self._failed[uri] = (self._clock() + self._negative_s, error.error_type, str(error))
                _shrink(self._failed, self._max_cached)
            raise
        self._known[uri] = made
        _shrink(self._known, self._max_cached)
        return made

    def forget_before(self) -> None:
        """Let go of an earlier registry: what is the same has been taken."""
        self._before = {}

    def _make(self, uri: str) -> Validator:  # cold: once for each schema
        text = self._loader.text(uri)
        marks = f"{self._allow_insecure} {self._compile.__name__}"
        key = key_of(text, uri, marks) if text is not None else None
        if key is None:
            return self._validator(uri, self._read(uri))
        made = self._before.get(key)
        if made is None:
            whole = self._kept.get(key) if self._kept is not None else None
            if whole is None:
                whole = self._read(uri)
                if self._kept is not None:
                    self._kept.put(key, whole)
            made = self._validator(uri, whole)
        if len(self._keys) < self._max_cached:
            self._keys[uri] = key
        return made

    def _by_key(self) -> dict[str, Validator]:
        return {self._keys[uri]: made for uri, made in self._known.items() if uri in self._keys}

    def _validator(self, uri: str, whole: dict[str, Any]) -> Validator:
        whole = self._sharing.of(whole)
        return Validator(uri, whole, self._compile(whole, uri))

    def _read(self, uri: str) -> dict[str, Any]:  # cold: once for each schema
        """The bundle of a schema that may be used."""
        allowance = ReadBudget()
        retrieve = partial(self._loader.read_reference, allowance=allowance)
        whole = bundle(self._loader.read(uri, allowance), uri, retrieve, check_schema)
        refuse_costly(whole, uri)
        if not self._allow_insecure:
            try:
                found = insecure.findings(whole)
            except PatternError as error:
                raise SchemaError("schema_unavailable", f"{uri}: a pattern {error}") from None
            if found:
                raise SchemaError("insecure_schema", f"{uri}: {'; '.join(map(str, found[:10]))}")
        return whole


def _as_written(number: str) -> msgspec.Raw:
    return msgspec.Raw(number.encode())


def _shrink(remembered: OrderedDict[str, Any], size: int) -> None:
    while len(remembered) > size:
        remembered.popitem(last=False)
