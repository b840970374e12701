"""A WSGI application that submits an event for each request, for tests with gunicorn. Settings come from variables."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from penstock_client import Intake
from tests.clients.python.programs import EVENT, LONG_S, STREAM, say

intake = Intake(os.environ["INTAKE_URL"], linger_s=LONG_S)
# Where it is imported before the fork, the parent's thread is at work with this one when the workers are made.
say("submitted", intake.submit(STREAM, EVENT).id)


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Submit an event, and answer with its id."""
    ticket = intake.submit(STREAM, EVENT)
    say("submitted", ticket.id)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [ticket.id.encode()]
