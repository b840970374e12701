"""`python -m bench.attacks.attacker NAME PORT SCALE PATIENCE_S SITE SECONDS`: one attack in a process of its own.

Place: measured starts it, so that what the attacker needs is not taken for what the server needs.
Rule: the attack is run as a whole, once or until SECONDS have passed; one line of JSON says what came back.
Not here: the attacks (table).
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter

import uvloop

from bench.attacks.table import by_name
from bench.attacks.wire import Outcome, Target


async def attack(name: str, target: Target, seconds: float) -> dict[str, object]:
    """Its outcome, how often it was run, and how long that took."""
    began = time.monotonic()
    outcome: Outcome = Counter()
    runs = 0
    while not runs or time.monotonic() - began < seconds:
        outcome += await by_name(name).run(target)
        runs += 1
    return {"outcome": dict(outcome), "runs": runs, "seconds": time.monotonic() - began}


def main() -> None:
    """Print one line of JSON."""
    name, port, scale, patience_s, site, seconds = sys.argv[1:]
    target = Target(int(port), float(scale), float(patience_s), int(site))
    json.dump(uvloop.run(attack(name, target, float(seconds))), sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
