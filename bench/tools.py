"""Build the tools that benches need in addition to Python: the peers, and the generator of requests.

Place: `python -m bench tools`, `make bench-tools`; what is built already is left alone.
Rules: exact versions, below ``build/``, one job at a time, niced. What has no tool chain here is named and passed over.
Not here: what is built (peers.start, generator).
"""

from __future__ import annotations

import argparse
import sys

from bench import costs, generator
from bench.peers import start


def run(arguments: list[str]) -> int:
    """Build all. 1 when a build failed whose tool chain is here."""
    parser = argparse.ArgumentParser(prog="python -m bench tools", description=__doc__.partition("\n")[0])
    parser.parse_args(arguments)
    _, missing = costs.chosen(list(start.PEERS))
    why = generator.build()
    if why:
        print(f"SKIPPED oha: {why}", file=sys.stderr)
    is_failed = any(not start.missing(name) for name in missing) or (why and start.tool_path("cargo") is not None)
    return 1 if is_failed else 0
