"""Make one self-contained document of a schema and of everything that it refers to, for somebody else to read.

Place: loader, bundle → HERE → whoever keeps schemas that were fetched.
Rule: what comes out has no reference to another document, and reads the same as what went in.
Not here: whether the schema is secure, or can be compiled: the registry that reads it finds out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from validators.judge.reference import check_schema
from validators.load import dialect
from validators.load.bundle import bundle
from validators.load.loader import Fetch, Loader


def materialise(uri: str, base_uris: Sequence[str], fetch: Fetch, *, extension: str = ".yaml") -> bytes:
    """The schema as JSON without references to the outside. Raises SchemaError."""
    loader = Loader(base_uris, extension=extension, allow_absolute_uris=True, fetch=fetch)
    whole = bundle(loader.read(uri), uri, loader.read_reference, check_schema)
    for schema in (whole, *whole.get("definitions", {}).values()):
        _quote(schema)
    return json.dumps(whole, ensure_ascii=False).encode()


def _quote(schema: Any) -> None:
    """Write each reference of a bundle as a URI. A bundle names definitions by what referred to them, ``#`` and all."""
    if not isinstance(schema, dict):
        return
    if "$ref" in schema:  # Made by the bundle, so nobody else has this map.
        schema["$ref"] = "#" + quote(schema["$ref"][1:], safe="/~:@!$&'()*+,;=")
        return
    for keyword, _, child in dialect.children(schema):
        if keyword != "definitions":
            _quote(child)
