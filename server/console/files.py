"""The files of the page, and the headers under which browsers take them.

Place: console.routes → HERE → the folder ``page``.
Rules: the page is plain modules without a build step and without a dependency. Its policy allows scripts, styles and
connections of its own address alone, so a value that were taken for markup could still run nothing.
Not here: what the page does (page/*.js).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parent / "page"
TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def files() -> dict[str, tuple[bytes, str]]:
    """Return content and type of each file of the page, by its name."""
    return {
        path.name: (path.read_bytes(), TYPES[path.suffix]) for path in sorted(PAGE.iterdir()) if path.suffix in TYPES
    }
