"""Judge events by their schemas before they are sent, as the intake will.

It needs jsonschema-rs: `pip install 'penstock-client[validate]'`.

Schemas come from the intake (`/v1/schemas/…`), once each. An event whose schema cannot be fetched counts as valid: the
intake decides.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from typing import Any

from penstock_client.connection import Connections
from penstock_client.jobs import USER_AGENT, Answer, Job
from penstock_client.options import Options

UNKNOWN_S = 60.0  # How long a schema that could not be fetched is not asked for again.
MAX_SHOWN = 5


class Validator:
    """Call it with an event: it returns what is wrong, or None. The first event of a schema waits for its fetch, for
    ``timeout_s`` at most; give ``uris`` to fetch them at once, as programs with asyncio should."""

    def __init__(self, url: str, uris: tuple[str, ...] = (), *, timeout_s: float = 5.0) -> None:
        self._options = Options(url, timeout_s=timeout_s)
        self._lock = threading.Lock()
        self._validators: dict[str, Any] = {}
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
        seen = json.loads(json.dumps({**event, "meta": meta}, default=str))
        return [
            f"{''.join(f'/{step}' for step in error.instance_path) or 'the event'}: {error.message}"
            for error in validator.iter_errors(seen)
        ]

    def _find(self, uri: str) -> Any:
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
            import jsonschema_rs

            found = self._validators[uri] = jsonschema_rs.Draft7Validator(schema, validate_formats=True)
            return found

    def _fetch(self, uri: str) -> dict[str, Any] | None:
        connections = Connections(self._options)
        job = Job("streams", f"{self._options.url}/v1/schemas{uri}", {"User-Agent": USER_AGENT}, None, None)
        answer = connections.run(job, time.monotonic() + self._options.timeout_s)
        connections.close()
        schema = answer.json() if isinstance(answer, Answer) and answer.status == 200 else None
        return schema if isinstance(schema, dict) else None
