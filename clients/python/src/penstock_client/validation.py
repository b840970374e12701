"""Judge events by their schemas before they are sent, as the intake will.

It needs jsonschema-rs: `pip install 'penstock-client[validate]'`.

Schemas come from the intake (`/v1/schemas/…`), once each. An event whose schema cannot be fetched counts as valid: the
intake decides.
"""

from __future__ import annotations

import copy
import json
import re
import threading
import time
from collections.abc import Mapping
from typing import Any

from penstock_client.connection import Connections
from penstock_client.jobs import USER_AGENT, Answer, Job
from penstock_client.options import Options

UNKNOWN_S = 60.0  # How long a schema that could not be fetched is not asked for again.
MAX_SHOWN = 5
MAX_DEPTH = 64


class Judge:
    """One schema. Its verdicts are those of the intake: defaults are written first, and formats are asserted."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        import jsonschema_rs

        self._schema = schema
        is_uuid = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}").fullmatch
        formats = {"uuid": lambda text: is_uuid(text) is not None}
        self._judge = jsonschema_rs.Draft7Validator(dict(schema), formats=formats, validate_formats=True)

    def errors(self, event: Any) -> list[str]:
        """Return everything that is wrong with an event of JSON's types, which gets the defaults that it lacks."""
        self._fill(self._schema, event, 0)
        return [
            f"{''.join(f'/{step}' for step in error.instance_path) or 'the event'}: {error.message}"
            for error in self._judge.iter_errors(event)
        ]

    def _fill(self, schema: Any, value: Any, depth: int) -> None:
        if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
            return
        reference = schema.get("$ref")
        if isinstance(reference, str):
            self._fill(self._target(reference), value, depth + 1)
            return
        properties, items = schema.get("properties"), schema.get("items")
        if isinstance(value, dict) and isinstance(properties, Mapping):
            for name, inner in properties.items():
                if name not in value and isinstance(inner, Mapping) and "default" in inner:
                    value[name] = copy.deepcopy(inner["default"])
                if name in value:
                    self._fill(inner, value[name], depth + 1)
        elif isinstance(value, list) and isinstance(items, Mapping):
            for one in value:
                self._fill(items, one, depth + 1)

    def _target(self, reference: str) -> Any:
        found: Any = self._schema
        for step in reference.removeprefix("#").split("/")[1:]:
            found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
        return found


class Validator:
    """Call it with an event: it returns what is wrong, or None. The first event of a schema waits for its fetch, for
    ``timeout_s`` at most; give ``uris`` to fetch them at once, as programs with asyncio should."""

    def __init__(self, url: str, uris: tuple[str, ...] = (), *, timeout_s: float = 5.0) -> None:
        self._options = Options(url, timeout_s=timeout_s)
        self._lock = threading.Lock()
        self._validators: dict[str, Judge] = {}
        self._unknown: dict[str, float] = {}
        for uri in uris:
            self._find(uri)

    def __call__(self, event: Mapping[str, Any]) -> str | None:
        """Return what is wrong with the event, in words; None: nothing is, or its schema is not known."""
        found = self.errors(event)
        if not found:
            return None
        more = f" (and {len(found) - MAX_SHOWN} more)" if len(found) > MAX_SHOWN else ""
        return "; ".join(found[:MAX_SHOWN]) + more

    def errors(self, event: Mapping[str, Any]) -> list[str]:
        """Return everything that is wrong, each with the place in the event."""
        uri = event.get("$schema")
        validator = self._find(uri) if isinstance(uri, str) else None
        if validator is None:
            return []
        # As the intake sees it: it fills in the time of receipt where the event has none.
        meta = dict(event.get("meta") or {})
        meta.setdefault("dt", "2026-01-01T00:00:00Z")
        return validator.errors(json.loads(json.dumps({**event, "meta": meta}, default=str)))

    def _find(self, uri: str) -> Judge | None:
        found = self._validators.get(uri)
        if found is not None:
            return found
        with self._lock:
            if self._unknown.get(uri, 0.0) > time.monotonic():
                return None
            schema = self._fetch(uri)
            if schema is None:
                self._unknown[uri] = time.monotonic() + UNKNOWN_S
                return None
            found = self._validators[uri] = Judge(schema)
            return found

    def _fetch(self, uri: str) -> dict[str, Any] | None:
        connections = Connections(self._options)
        job = Job("streams", f"{self._options.url}/v1/schemas{uri}", {"User-Agent": USER_AGENT}, None, None)
        answer = connections.run(job, time.monotonic() + self._options.timeout_s)
        connections.close()
        schema = answer.json() if isinstance(answer, Answer) and answer.status == 200 else None
        return schema if isinstance(schema, dict) else None
