"""Make the versioned files of a title out of its ``current`` file, as jsonschema-tools makes them.

Place: ``penstock schemas materialize`` → HERE → files and links next to the ``current`` file.
Rules:
1. References are resolved in order of the base directories, in examples too. Keywords next to ``$ref`` go before those
   of its target.
2. Then ``allOf`` is merged, numbers get the bounds of safe integers, and a schema without examples gets one.
3. Keys are in jsonschema-tools' order; the bytes are those that js-yaml writes.
4. A file is replaced as a whole, and one that is up to date is not touched.
Source: jsonschema-tools, lib/jsonschema-tools.js.
Not here: what a change means (contain, check).
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from server.config.framework.yaml import YamlError, load_yaml
from server.errors import PenstockError
from server.schemas_tool.making.js_yaml import dump
from server.schemas_tool.making.merge import MergeError, merged
from server.schemas_tool.making.sample import SAFE_INTEGER, sample_of

_ORDER: Final = (
    *("title", "description", "$id", "$schema", "type", "additionalProperties"),
    *("required", "properties", "allOf", "examples"),
)
_PUNCTUATION: Final = {ord("_"): "\x01", ord("-"): "\x02"}
_MOST_REFERENCES: Final = 100  # One inside another. Real schemas stay below 6.


class MaterializeError(PenstockError):
    """A schema cannot be materialized. The message names its file."""


def ordered(keys: Iterable[str]) -> list[str]:
    """Sort the keys of a map: those that a schema begins with, then the others as ``localeCompare`` sorts them."""
    return sorted(keys, key=_rank)


def _rank(key: str) -> tuple[int, str, str]:
    """Order capital letters with small ones, small ones first, and punctuation before digits."""
    first = _ORDER.index(key) if key in _ORDER else len(_ORDER)
    return first, key.lower().translate(_PUNCTUATION), key.swapcase()


class Resolver:
    """Resolves references in base directories. It keeps what it has read."""

    def __init__(self, bases: Sequence[Path]) -> None:
        self._bases = bases
        self._documents: dict[str, Any] = {}

    def resolved(self, value: Any, root: Any, depth: int = 0) -> Any:
        """Return a copy without references; ``root`` is the document that ``#`` means. Raises MaterializeError."""
        if depth > _MOST_REFERENCES:
            raise MaterializeError("references lead in a circle, or more than 100 stand one inside another")
        if isinstance(value, list):
            return [self.resolved(item, root, depth) for item in value]
        if not isinstance(value, dict):
            return value
        if not isinstance(value.get("$ref"), str):
            return {key: self.resolved(item, root, depth) for key, item in value.items()}
        target, document = self._target(value["$ref"], root)
        target = self.resolved(target, document, depth + 1)
        beside = {key: self.resolved(item, root, depth) for key, item in value.items() if key != "$ref"}
        return {**target, **beside} if isinstance(target, dict) and beside else target

    def _target(self, ref: str, root: Any) -> tuple[Any, Any]:
        where, _, pointer = ref.removeprefix("./").partition("#")
        found = document = self._document(where) if where else root
        for step in pointer.split("/")[1:]:
            key = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and key.isdecimal() and int(key) < len(found):
                found = found[int(key)]
            elif isinstance(found, dict) and key in found:
                found = found[key]
            else:
                raise MaterializeError(f"the reference {ref!r} leads to nothing")
        return found, document

    def _document(self, uri: str) -> Any:
        if uri not in self._documents:
            self._documents[uri] = self._read(uri)
        return self._documents[uri]

    def _read(self, uri: str) -> Any:
        for base in self._bases:
            for suffix in (".yaml", ".yml", ".json", ""):
                path = base / f"{uri.lstrip('/')}{suffix}"
                if path.is_file() and path.resolve().is_relative_to(base.resolve()):
                    return read(path)
        raise MaterializeError(f"the reference {uri!r} is in none of the base directories")


def read(path: Path) -> Any:
    """Return what is in a file of YAML or JSON. Raises MaterializeError."""
    try:
        return load_yaml(path.read_text(encoding="utf-8"), str(path))[0]
    except YamlError as error:
        raise MaterializeError(f"{path}:{error.line}: {error.reason}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise MaterializeError(f"{path}: cannot be read: {error}") from None


def materialized(current: dict[str, Any], resolver: Resolver) -> dict[str, Any]:
    """Return the versioned schema of a ``current`` one. Raises MaterializeError, MergeError."""
    schema: dict[str, Any] = merged(resolver.resolved(current, current), is_root=True)
    _bound(schema)
    if "examples" not in schema:
        event = sample_of(schema)
        if isinstance(event, dict) and "$schema" in event and "$id" in schema:
            event["$schema"] = schema["$id"]
        schema["examples"] = [event]
    return schema


def _bound(schema: Any) -> None:
    if not isinstance(schema, dict):
        return
    if schema.get("type") in ("integer", "number"):
        schema["maximum"] = min(schema.get("maximum", SAFE_INTEGER), SAFE_INTEGER)
        schema["minimum"] = max(schema.get("minimum", -SAFE_INTEGER), -SAFE_INTEGER)
    for key, value in schema.items():
        if key in ("properties", "patternProperties", "definitions") and isinstance(value, dict):
            for inner in value.values():
                _bound(inner)
        elif key in ("anyOf", "oneOf", "items") and isinstance(value, list):
            for inner in value:
                _bound(inner)
        elif key in ("items", "additionalProperties", "additionalItems", "contains", "not", "if", "then", "else"):
            _bound(value)


def version_of(current: Any, path: Path) -> str:
    """Return the version that ``$id`` names. Raises MaterializeError."""
    name = current.get("$id") if isinstance(current, dict) else None
    match = re.search(r"[0-9]+\.[0-9]+\.[0-9]+\Z", name) if isinstance(name, str) else None
    if match is None:
        raise MaterializeError(f"{path}: $id does not end with a version such as 1.0.0")
    return match[0]


def files_of(path: Path, resolver: Resolver, kinds: Sequence[str]) -> Iterator[tuple[Path, str]]:
    """Yield the files that belong to a ``current`` file, each with its text. Raises MaterializeError."""
    current = read(path)
    version = version_of(current, path)
    try:
        schema = materialized(current, resolver)
    except (MaterializeError, MergeError) as error:
        raise MaterializeError(f"{path}: {error}") from None
    for kind in kinds:
        text = dump(schema, ordered) if kind == "yaml" else json.dumps(_in_order(schema), indent=2, ensure_ascii=False)
        yield path.parent / f"{version}.{kind}", text


def _in_order(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _in_order(value[key]) for key in ordered(value)}
    return [_in_order(item) for item in value] if isinstance(value, list) else value


def links_of(path: Path, version: str, kinds: Sequence[str]) -> Iterator[tuple[Path, str]]:
    """Yield the links that belong to a version, with their targets; ``latest`` stays at a newer version."""
    folder = path.parent
    yield folder / version, f"{version}.{kinds[0]}"
    newest = max(map(numbers, _versions_in(folder)), default=())
    if numbers(version) >= newest:
        yield folder / "latest", f"{version}.{kinds[0]}"
        for kind in kinds:
            yield folder / f"latest.{kind}", f"{version}.{kind}"


def _versions_in(folder: Path) -> list[str]:
    return [file.stem for file in folder.iterdir() if re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+\.(yaml|json)", file.name)]


def numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, which order versions."""
    return tuple(map(int, version.split(".")))


def put(path: Path, text: str) -> None:
    """Replace a file as a whole, so that no reader sees half of it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def put_link(path: Path, target: str) -> None:
    """Make a link, or point it elsewhere, as a whole."""
    beside = path.with_name(f".{path.name}.link")
    beside.unlink(missing_ok=True)
    beside.symlink_to(target)
    beside.replace(path)
