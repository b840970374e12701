"""Why a schema cannot be used: one exception, four kinds.

Place: raised by loader, bundle, insecure and reference; caught by the code that asked the registry for a schema.
Rule: ``error_type`` may be shown to a client, the message may not: it names files and is for logs and checks.
Not here: what is wrong with an event (invalid).
"""

from __future__ import annotations

import errno
from typing import Literal

ErrorType = Literal["bad_schema_uri", "unknown_schema", "insecure_schema", "schema_unavailable"]


# Errors that say only that the host lacks something for a moment: descriptors, memory, a disk or file server that
# answers.
_PASSING = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EIO, errno.EAGAIN, errno.ESTALE, errno.ETIMEDOUT}
)


class SchemaError(Exception):
    """Raised for a schema that cannot be used. ``bad_schema_uri`` and ``unknown_schema`` are the asker's fault, the
    other two are the fault of the schema or of its source. ``may_pass`` means that the error says nothing of the
    schema, and that the next attempt may succeed."""

    def __init__(self, error_type: ErrorType, message: str, *, may_pass: bool = False) -> None:
        super().__init__(message)
        self.error_type: ErrorType = error_type
        self.may_pass = may_pass


def may_pass(error: OSError) -> bool:
    """Whether the same file may be readable in a moment."""
    return error.errno in _PASSING
