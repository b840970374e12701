"""`python -m bench NAME`: run a bench by its name.

Place: the Makefile calls it; README.md beside it is the method.
Rule: a bench is bounded in time, loads 127.0.0.1 alone, and stops what it started.
Not here: what is measured (the module of that name; micro for single steps).
"""

from __future__ import annotations

import sys

from bench import catalog, compiling, duplicates, patterns, quick, refusals, reloads, validators
from bench.micro import http, worker

BENCHES = {
    "quick": quick.run,
    "validators": validators.run,
    "http": http.run,
    "worker": worker.run,
    "compiling": compiling.run,
    "refusals": refusals.run,
    "patterns": patterns.run,
    "duplicates": duplicates.run,
    "reloads": reloads.run,
    "catalog": catalog.run,
}


def main() -> int:
    """Run one bench with the arguments that follow its name."""
    if len(sys.argv) < 2 or sys.argv[1] not in BENCHES:
        print(f"usage: python -m bench {{{','.join(BENCHES)}}} [OPTION]…", file=sys.stderr)
        return 2
    return BENCHES[sys.argv[1]](sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
