"""Ask whether an intake answers at a URL, before a load is started: `python -m bench.load.there URL`.

Place: `make load`, before Locust.
Rule: one request, three seconds at most; exit code 2 with words on what to start.
Not here: the load (locustfile).
"""

from __future__ import annotations

import http.client
import sys
import urllib.error
import urllib.request

from server.paths import Paths

WAIT_S = 3.0


def reason(url: str) -> str | None:
    """Return why no load can be sent to ``url``; None if an intake answers there."""
    try:
        with urllib.request.urlopen(url.rstrip("/") + Paths.READINESS, timeout=WAIT_S):
            return None
    except urllib.error.HTTPError as error:
        with error:
            return f"{url} answers {error.code} to {Paths.READINESS}: it is no intake, or one that is not ready"
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"no intake answers at {url} ({error}). Start one with `make run`, or name it: make load URL=http://…"


def main(arguments: list[str]) -> int:
    """Print the reason, if there is one."""
    found = reason(arguments[0])
    if found is None:
        return 0
    print(f"load: {found}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
