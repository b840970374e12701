"""The service with little room for lines of the log that nobody takes. ``python -m tests.process.impatient``

Else a test would have to make it say a quarter of a megabyte.
"""

from __future__ import annotations

import sys
from unittest.mock import patch

from server.__main__ import main

if __name__ == "__main__":
    with patch("server.host.stdio.MAX_BYTES", 4000):
        sys.exit(main())
