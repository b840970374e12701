"""Why a schema cannot be used: one exception, four kinds.

Place: raised by loader, bundle, insecure and reference; caught by whoever asked the registry for a schema.
Rule: ``error_type`` may be shown to a client, the message may not: it names files and is for logs and checks.
Not here: what is wrong with an event (invalid).
"""

from __future__ import annotations

from typing import Literal

ErrorType = Literal["bad_schema_uri", "unknown_schema", "insecure_schema", "schema_unavailable"]


class SchemaError(Exception):
    """``bad_schema_uri`` and ``unknown_schema`` are the asker's fault, the other two the schema's or its source's."""

    def __init__(self, error_type: ErrorType, message: str) -> None:
        super().__init__(message)
        self.error_type: ErrorType = error_type
