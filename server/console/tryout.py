"""Validate or send an event that was written on the page.

Place: console.routes → HERE → the public address of this service, as any client.
Rules: the page itself may connect to the console's address alone, so this process sends for it. An event is only sent
when the page has asked for that and the console is in development.
Not here: the answer's meaning (the page).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import aiohttp

from server.paths import Paths

WITHIN_S: Final = 15.0
EVERY_HOST: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


async def post(
    addresses: Sequence[tuple[str, int]], body: str, *, is_sent: bool, test: str, is_hasty: bool
) -> dict[str, Any]:
    """Return ``{"status","phrase","body"}``; status 0 if the service cannot be reached."""
    if not addresses:
        return {"status": 0, "phrase": "No worker has said yet where the service listens.", "body": ""}
    host, port = addresses[0]
    host = EVERY_HOST.get(host, host)
    path = Paths.EVENTS if is_sent else Paths.VALIDATE
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}{path}{'?hasty=true' if is_sent and is_hasty else ''}"
    headers = {"Content-Type": "application/json", **({"X-Penstock-Test": test} if test else {})}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(WITHIN_S)) as client,
            client.post(url, data=body.encode(), headers=headers) as answer,
        ):
            return {"status": answer.status, "phrase": answer.reason or "", "body": await answer.text()}
    except (aiohttp.ClientError, TimeoutError) as error:
        return {"status": 0, "phrase": f"The service cannot be reached: {type(error).__name__}.", "body": ""}
