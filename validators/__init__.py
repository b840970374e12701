"""JSON Schema validators by URI: versioned schemas in, one fast ``check(raw)`` out.

Place: a library of its own: it knows schemas and JSON texts, nothing of servers, streams or brokers.
Rule: what is exported here is the whole interface.

A schema is a file ``<base>/<title>/<version>.yaml`` (or ``.json``, or without an extension), in JSON Schema draft-07,
-06 or -04, with or without ``$ref``. Its URI is ``/<title>/<major.minor.patch>``.

>>> import pathlib, tempfile
>>> import validators
>>> directory = tempfile.TemporaryDirectory()
>>> title = pathlib.Path(directory.name, "schemas", "test/event")
>>> title.mkdir(parents=True)
>>> _ = title.joinpath("1.0.0.yaml").write_text('''
... title: test/event
... type: object
... required: [test]
... properties:
...   test: {type: string}
...   size: {type: integer, minimum: 0}
... ''')

Open the schemas once, ask for a validator by URI (compiled the first time), and check JSON text with it. The verdict is
None, or every problem, in the words and the order of AJV 6:

>>> schemas = validators.open_registry(f"{directory.name}/schemas")
>>> validator = schemas.validator("/test/event/1.0.0")
>>> validator.check(b'{"test": "a value", "size": 5.0}') is None
True
>>> problems = validator.check(b'{"test": 1, "size": -1}')
>>> [(problem.keyword, problem.dataPath, problem.message) for problem in problems]
[('type', '.test', 'should be string'), ('minimum', '.size', 'should be >= 0')]
>>> validators.errors_text(problems)
"'.test' should be string, '.size' should be >= 0"

``check`` never raises, for any bytes. How a schema will be used is known before the first event:

>>> validator.check(b"{") == validator.check(bytes(5)) != None
True
>>> validator.way.kind in ("one-pass", "residual", "reference")
True
>>> validator.title, validator.declares(("size",)), validator.declares(("colour",))
('test/event', True, False)

A schema that does not exist, is broken, is insecure (hostile events could make it slow) or would take more than a
second or 50 MB to compile raises a SchemaError each time it is asked for, with the kind and the reason:

>>> _ = title.joinpath("1.1.0.yaml").write_text("{properties: {test: {type: string, pattern: ^a}}}")
>>> for uri in ("/test/event/1.1.0", "/test/event/2.0.0", "/etc/passwd"):
...     try:
...         schemas.validator(uri)
...     except validators.SchemaError as error:
...         print(error.error_type, "-", error)
insecure_schema - /test/event/1.1.0: pattern at /properties/test needs maxLength next to it
unknown_schema - /test/event/2.0.0 is in none of the base URIs
bad_schema_uri - '/etc/passwd' is not /<title>/<major.minor.patch>

A registry is made for one thread; what it compiled may be used after a fork.

>>> directory.cleanup()

Not here: what the events mean.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from validators.errors import ErrorType, SchemaError
    from validators.judge.validator import Validator
    from validators.load.defaults import TooLargeError
    from validators.load.sharing import Sharing
    from validators.quick.event_reader import EventReader, Fill
    from validators.registry import Registry
    from validators.steps import TooDearError
    from validators.words.violation import Violation, errors_text, is_too_dear

__all__ = [
    "ErrorType",
    "EventReader",
    "Fill",
    "Registry",
    "SchemaError",
    "Sharing",
    "TooDearError",
    "TooLargeError",
    "Validator",
    "Violation",
    "errors_text",
    "is_too_dear",
    "open_registry",
]

# Loaded when first asked for (PEP 562): reading YAML alone must not load the compilers of schemas, 0.2 s of them.
_HOMES = {
    "ErrorType": "validators.errors",
    "Fill": "validators.quick.event_reader",
    "Violation": "validators.words.violation",
    "EventReader": "validators.quick.event_reader",
    "Registry": "validators.registry",
    "SchemaError": "validators.errors",
    "Sharing": "validators.load.sharing",
    "TooDearError": "validators.steps",
    "TooLargeError": "validators.load.defaults",
    "Validator": "validators.judge.validator",
    "errors_text": "validators.words.violation",
    "is_too_dear": "validators.words.violation",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return value


def open_registry(
    base_uris: str | os.PathLike[str] | Sequence[str],
    *,
    extension: str = ".yaml",
    allow_insecure: bool = False,
    allow_absolute_uris: bool = False,
    fetch: Callable[[str], bytes] | None = None,
) -> Registry:
    """Open the schemas below one base URI or several. Raises SchemaError for a base that cannot be one."""
    from validators.registry import Registry

    bases = [os.fspath(base_uris)] if isinstance(base_uris, str | os.PathLike) else base_uris
    return Registry(
        bases, extension=extension, allow_insecure=allow_insecure, allow_absolute_uris=allow_absolute_uris, fetch=fetch
    )
