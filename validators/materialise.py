"""Make one self-contained document of a schema and of everything that it refers to.

Place: loader, bundle → HERE → the code that stores schemas which were fetched.
Rule: the result has no reference to another document, and judges as the original does.
Not here: whether the schema is secure, or can be compiled: the registry that reads the result finds out.
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
    """Return the schema as JSON without references to other documents. Raises SchemaError."""
    loader = Loader(base_uris, extension=extension, allow_absolute_uris=True, fetch=fetch)
    whole = bundle(loader.read(uri), uri, loader.read_reference, check_schema)
    for schema in (whole, *whole.get("definitions", {}).values()):
        _quote(schema)
    return json.dumps(whole, ensure_ascii=False).encode()


def _quote(schema: Any) -> None:
    """Write each reference of a bundle as a URI. A bundle names its definitions by the references that led to them,
    which may hold a ``#``."""
    if not isinstance(schema, dict):
        return
    if "$ref" in schema:  # The bundle made this map, so nothing else shares it.
        schema["$ref"] = "#" + quote(schema["$ref"][1:], safe="/~:@!$&'()*+,;=")
        return
    for keyword, _, child in dialect.children(schema):
        if keyword != "definitions":
            _quote(child)
