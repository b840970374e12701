"""The service with few descriptors: ``python -m tests.process.few_descriptors``, as after ``ulimit -n 256``."""

from __future__ import annotations

import resource
import sys

from server.__main__ import main

FEW = 256

if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, FEW))
    sys.exit(main())
