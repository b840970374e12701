"""The page at ``/`` for people with a browser: what this is, streams, schemas, and a form to try it.

Place: pages.service → HERE; home.html and home.js are its parts.
Rules: the page is made once per worker and is the same for all readers. Its one script is allowed by its hash, shows
texts of the service as text alone, and asks this service alone. Addresses of operators are shown only where clients are
trusted.
Not here: what the script asks for (pages.published, intake.receive), pages without a script (pages.html).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html import escape
from pathlib import Path
from typing import Final

from server.paths import Paths

_HERE: Final = Path(__file__).parent
_PATHS: Final = {
    "events": Paths.EVENTS,
    "validate": Paths.VALIDATE,
    "receipts": Paths.RECEIPTS.removesuffix("*"),
    "schemas": Paths.SCHEMAS,
    "streams": Paths.STREAM_CONFIGS,
}


def home(name: str, version: str, operations: str) -> tuple[bytes, bytes]:
    """Return the page and its header lines. ``operations`` is the address of the admin pages; empty: not shown."""
    script = (_HERE / "home.js").read_text(encoding="utf-8").replace("{paths}", json.dumps(_PATHS))
    status = ""
    if operations:
        address = escape(operations)
        status = f'<p>For operators: <a href="{address}/">{address}/</a> has status, metrics and more.</p>\n'
    parts = {
        "name": escape(name),
        "version": escape(version),
        "streams": Paths.STREAM_CONFIGS,
        "schemas": Paths.SCHEMAS,
        "operations": status,
        "script": script,
    }
    text = (_HERE / "home.html").read_text(encoding="utf-8")
    text = re.sub(
        r"\{(\w+)\}", lambda found: parts.get(found[1], found[0]), text
    )  # At once: a name may look like a part.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return text.encode(), f"Cache-Control: no-cache\r\nContent-Security-Policy: {policy}\r\nVary: Accept\r\n".encode()
