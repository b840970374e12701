"""Hand out one compiled validator for each schema URI, and cache it.

Place: this is the entry of the package: code that has events asks here by ``$schema``.
Rules:
1. The same URI gives the same object until the cache drops it; the least recently used one goes first.
2. Failures are cached too, for ``negative_s``, or every event of an unknown schema would cost file look-ups. A failure
   is not cached when the host only lacked something for a moment, such as a descriptor.
3. Nothing here is tied to a process: validators may be compiled before a fork and used after it.
4. Only one thread may ask: there is no lock.
5. Making a validator takes less than a second and 50 MB for any schema: cost_limits says how, with the numbers.
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
from validators.expectations import NONE, Expectations, compile_all, is_there
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

    ``http(s)`` needs ``fetch``, which returns the bytes at a URL; its FileNotFoundError says that there are none, any
    other OSError that the source cannot tell. Raises SchemaError at once for a base that cannot be one.
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
        """``keep_in`` is the directory of the disk cache (disk_cache).

        ``is_deferred`` compiles the reference only for the first event that needs it (deferred). ``before`` is an
        earlier registry whose validators are reused for files that have not changed, until ``forget_before``.
        """
        self._loader = Loader(base_uris, extension=extension, allow_absolute_uris=allow_absolute_uris, fetch=fetch)
        self._allow_insecure = allow_insecure
        self._max_cached = max_cached
        self._negative_s = negative_s
        self._clock = clock
        self._disk_cache = DiskCache(keep_in) if keep_in is not None else None
        self._keys: dict[str, str] = {}  # URI → the key of the file that was read for it.
        self._before = before._by_key() if before is not None else {}
        self._compile = Deferred if is_deferred else compile_schema
        self._sharing = Sharing()
        self._cache: OrderedDict[str, Validator] = OrderedDict()
        self.is_private = False  # Whether any schema that was compiled so far has ``x-privacy``.
        self._failure_cache: OrderedDict[str, tuple[float, ErrorType, str]] = OrderedDict()

    def validator(self, uri: str) -> Validator:
        """Return the validator of a schema. Raises SchemaError; its message is for logs only, its ``error_type`` may be
        shown to clients."""
        cached = self._cache.get(uri)
        if cached is not None:
            self._cache.move_to_end(uri)
            return cached
        return self._load(uri)

    def has(self, uri: str) -> bool:
        """Whether the validator is in the cache."""
        return uri in self._cache

    def uris_of(self, title: str) -> list[str]:
        """Return the URIs of a title's versions in base directories, oldest first."""
        return [f"/{title}/{version}" for version in self._loader.versions(title)]

    def document(self, uri: str) -> bytes:
        """Return the content of a schema's file as JSON, even of a schema that cannot be used. Its numbers are those of
        the file, to the last digit. Raises SchemaError."""
        return msgspec.json.encode(self._loader.read(uri, number=_as_written))

    def listing(self, path: str) -> tuple[list[str], list[str]] | None:
        """Return the names of directories and the URIs of versions (oldest first) at one path of all bases. None: no
        base has such a directory."""
        directories = self._loader.directories(path)
        return None if directories is None else (directories, self.uris_of(path[1:]))

    def _load(self, uri: str) -> Validator:
        failed = self._failure_cache.pop(uri, None)
        if failed is not None and self._clock() < failed[0]:
            self._failure_cache[uri] = failed
            raise SchemaError(failed[1], failed[2])
        try:
            made = self._make(uri)
        except SchemaError as error:
            # A bad URI is cheaper to find again than to cache, and an error that may pass tells nothing of the schema.
            if error.error_type != "bad_schema_uri" and not error.may_pass:
                self._failure_cache[uri] = (self._clock() + self._negative_s, error.error_type, str(error))
                _shrink(self._failure_cache, self._max_cached)
            raise
        self._cache[uri] = made
        self.is_private |= made.privacy is not None
        _shrink(self._cache, self._max_cached)
        return made

    def has_expectations(self, validator: Validator) -> bool:
        """Whether a schema has expectations, as far as is known before they are compiled."""
        if validator.expectations is None and not is_there(validator.schema):
            validator.expectations = NONE
        return validator.expectations is None or bool(validator.expectations.usable)

    def expectations(self, validator: Validator) -> Expectations:  # cold: once for each schema
        """Return the expectations of a schema. They are compiled the first time, which takes seconds at most."""
        if validator.expectations is None:
            validator.expectations = compile_all(validator.schema, _plain, allow_insecure=self._allow_insecure)
        return validator.expectations

    def file_of(self, uri: str) -> Path | None:
        """Return the file of a schema in a directory; None for any other schema."""
        return self._loader.file_of(uri)

    def forget_before(self) -> None:
        """Release the earlier registry, once its validators that are still valid have been taken over."""
        self._before = {}

    def _make(self, uri: str) -> Validator:  # cold: once for each schema
        text = self._loader.text(uri)
        marks = f"{self._allow_insecure} {self._compile.__name__}"
        key = key_of(text, uri, marks) if text is not None else None
        if key is None:
            return self._validator(uri, self._read(uri))
        made = self._before.get(key)
        if made is None:
            whole = self._disk_cache.get(key) if self._disk_cache is not None else None
            if whole is None:
                whole = self._read(uri)
                if self._disk_cache is not None:
                    self._disk_cache.put(key, whole)
            made = self._validator(uri, whole)
        if len(self._keys) < self._max_cached:
            self._keys[uri] = key
        return made

    def _by_key(self) -> dict[str, Validator]:
        return {self._keys[uri]: made for uri, made in self._cache.items() if uri in self._keys}

    def _validator(self, uri: str, whole: dict[str, Any]) -> Validator:
        whole = self._sharing.of(whole)
        return Validator(uri, whole, self._compile(whole, uri))

    def _read(self, uri: str) -> dict[str, Any]:  # cold: once for each schema
        """Read and bundle a schema, and refuse it if it is costly or insecure."""
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


def _plain(name: str, schema: dict[str, Any]) -> Validator:
    return Validator(name, schema, compile_schema(schema, name))


def _as_written(number: str) -> msgspec.Raw:
    return msgspec.Raw(number.encode())


def _shrink(cache: OrderedDict[str, Any], size: int) -> None:
    while len(cache) > size:
        cache.popitem(last=False)
