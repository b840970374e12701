"""`python -m bench NAME`: run a bench by its name.

Place: the Makefile calls it; README.md in this folder is the method.
Rule: a bench is bounded in time, loads 127.0.0.1 alone, and stops what it started.
Not here: what is measured (the module of that name; micro for single steps).
"""

from __future__ import annotations

import importlib
import sys

import server  # noqa: F401 (compiled modules are found from here on, before the first of them is imported)

# What the bench is called, and the module that has it. Only that one is imported: some need what others do without.
BENCHES = {
    **{name: f"bench.{name}" for name in (
        "quick", "costs", "latency", "scaling", "budget", "profile", "compare", "marks", "render", "tools",
        "validators", "compiling", "dear", "refusals", "patterns", "duplicates", "reloads", "catalog",
        "shutdown", "outage", "recovery", "durability", "sizing",
    )},
    "alarms": "bench.alarms",
    "page-change": "bench.page_change",
    "lake": "bench.lake",
    "console": "bench.console",
    "switched": "bench.switched",
    "attacks": "bench.attacks.measured",
    "eventstreams": "bench.streaming.measured",
    "scale": "bench.scale.report",
    "http": "bench.micro.http",
    "auth": "bench.micro.auth",
    "worker": "bench.micro.worker",
    "binding": "bench.micro.binding",
}  # fmt: skip


def main() -> int:
    """Run one bench with the arguments that follow its name."""
    if len(sys.argv) < 2 or sys.argv[1] not in BENCHES:
        print(f"usage: python -m bench {{{','.join(BENCHES)}}} [OPTION]…", file=sys.stderr)
        return 2
    code: int = importlib.import_module(BENCHES[sys.argv[1]]).run(sys.argv[2:])
    return code


if __name__ == "__main__":
    sys.exit(main())
