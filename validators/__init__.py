"""JSON Schema validators by URI: versioned schemas in, one fast ``check(raw)`` out.

Place: a library of its own: it knows schemas and JSON texts, nothing of servers, streams or brokers.
Rule: what is exported here is the whole interface.

>>> import pathlib, tempfile
>>> import validators
>>> directory = tempfile.TemporaryDirectory()
>>> title = pathlib.Path(directory.name, "test/event")
>>> title.mkdir(parents=True)
>>> _ = title.joinpath("1.0.0.yaml").write_text('''
... title: test/event
... type: object
... required: [test]
... properties: {test: {type: string}}
... ''')
>>> validator = validators.load(directory.name).validator("/test/event/1.0.0")
>>> validator.check(b'{"test": "a value"}') is None
True
>>> validators.errors_text(validator.check(b'{"test": 1}'))
"'.test' should be string"
>>> directory.cleanup()

Not here: what an event is for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from validators.errors import ErrorType, SchemaError
from validators.problem import Problem, errors_text
from validators.reader import Fill, Reader
from validators.registry import Registry
from validators.shape import Default
from validators.validator import Validator

__all__ = [
    "Default",
    "ErrorType",
    "Fill",
    "Problem",
    "Reader",
    "Registry",
    "SchemaError",
    "Validator",
    "errors_text",
    "load",
]


def load(
    base_uris: str | os.PathLike[str] | Sequence[str],
    *,
    extension: str = ".yaml",
    allow_insecure: bool = False,
    allow_absolute_uris: bool = False,
    fetch: Callable[[str], bytes] | None = None,
) -> Registry:
    """Open the schemas below one base URI or several. Raises SchemaError for a base that cannot be one."""
    bases = [os.fspath(base_uris)] if isinstance(base_uris, str | os.PathLike) else base_uris
    return Registry(
        bases, extension=extension, allow_insecure=allow_insecure, allow_absolute_uris=allow_absolute_uris, fetch=fetch
    )
