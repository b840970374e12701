"""The version of the program; the package's metadata is built from this line.

Place: read by the build, ``penstock --version`` and ``/_info``.
Rule: semantic versioning; CHANGELOG.md says what changed.
Not here: versions of schemas or of the wire contract.
"""

from __future__ import annotations

VERSION = "0.1.0"

# The beginning of the User-Agent of canaries, by which the intake tells them from traffic.
CANARY_AGENT = "penstock-canary/"
