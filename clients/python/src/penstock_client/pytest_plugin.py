"""The fixture ``penstock_events``: what every client of the package submits in a test, and no request leaves it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from penstock_client.testing import Captured


@pytest.fixture
def penstock_events(monkeypatch: pytest.MonkeyPatch) -> Captured:
    """Capture the events of all clients, as they would be sent, when they are submitted."""
    from penstock_client.async_connection import AsyncConnections
    from penstock_client.connection import Connections
    from penstock_client.core import Core
    from penstock_client.jobs import Answer
    from penstock_client.outcomes import PENDING, Ticket
    from penstock_client.testing import Captured

    captured = Captured()
    offer = Core.offer

    def note(core: Core, ticket: Ticket) -> bool:
        if ticket.outcome is PENDING and ticket.body is not None:
            captured.events.append(json.loads(ticket.body))
        return offer(core, ticket)

    def accept(*_: Any) -> Answer:
        return Answer(201, {}, b"")

    async def accept_async(*_: Any) -> Answer:
        return Answer(201, {}, b"")

    monkeypatch.setattr(Core, "offer", note)
    monkeypatch.setattr(Connections, "run", accept)
    monkeypatch.setattr(AsyncConnections, "run", accept_async)
    return captured
