"""Send requests at a steady rate by the generator oha, whose times count from when a request was due.

Place: latency, scaling → HERE → oha, a process of its own on the core of the load.
Rules: an open loop. A closed one leaves out what a slow server keeps from being sent (coordinated omission); with
``--latency-correction`` a request that could only be sent late counts from the instant at which it was due.
oha is built from its pinned version by `make bench-tools`; where it cannot be had its benches say so.
Not here: rates, servers, what is made of the times.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from bench import servers
from bench.events import ROOT
from bench.peers import start
from bench.works import Work

VERSION = "1.16.0"
BODIES = 200


class Times(NamedTuple):
    """What came back. ``accepted`` are requests answered 2xx; ``per_s`` is the rate that was reached."""

    accepted: int
    refused: int
    per_s: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


def missing() -> str:
    """Why there is no generator; "" when there is one."""
    return "" if start.tool_path("oha") else "no oha: make bench-tools builds it, with cargo"


def build() -> str:
    """Build it, which takes minutes. "" or what went wrong. It does not compile without a library for TLS: the system's
    own is the smallest (Debian: libssl-dev, pkg-config)."""
    if not missing():
        return ""
    if start.tool_path("cargo") is None:
        return "no cargo to build oha with"
    command = ["nice", "cargo", "install", "oha", "--version", f"={VERSION}", "--locked", "--no-default-features"]
    command += ["--features", "native-tls", "-j1", "--quiet", "--root", str(ROOT / "build" / "oha")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=3600)
    return done.stderr[-2000:] if done.returncode else ""


def started(
    port: int, work: Work, seconds: float, per_s: float, connections: int, bodies: Path, directory: Path
) -> servers.Child:
    """Running. ``bodies`` has one a line, chosen at random; ``per_s`` 0: as fast as it goes, a closed loop."""
    length = f"{seconds * 1000:.0f}ms"
    given = ["--no-tui", "--output-format", "json", "-z", length, "-c", str(connections), "-m", "POST"]
    given += [part for name, value in work.headers() for part in ("-H", f"{name}: {value}")]
    given += ["-Z", str(bodies), "--disable-compression", "-w"]
    if per_s:
        given += ["-q", f"{per_s:.0f}", "--latency-correction"]
    given.append(f"http://127.0.0.1:{port}{work.target}")
    return servers.Child("oha", given, servers.LOAD_CORES, directory, program=start.tool_path("oha") or "oha")


def answer(child: servers.Child, seconds: float) -> Times:
    """What it says when it is done. Raises RuntimeError in its words."""
    out, _ = child.process.communicate(timeout=seconds + 60)
    try:
        return times(json.loads(out))
    except (ValueError, KeyError, TypeError) as error:
        raise RuntimeError(f"oha said nothing that could be read ({error}): {out[-500:]!r}") from None


def run(port: int, work: Work, seconds: float, per_s: float, connections: int, directory: Path) -> Times:
    """One load of the work's own requests."""
    bodies = directory / "bodies.ndjson"
    bodies.write_bytes(b"\n".join(work.body(number) for number in range(BODIES)) + b"\n")
    with started(port, work, seconds, per_s, connections, bodies, directory) as child:
        return answer(child, seconds)


def times(said: dict[str, Any]) -> Times:
    """From the generator's own report."""
    statuses: dict[str, int] = said["statusCodeDistribution"]
    accepted = sum(count for status, count in statuses.items() if status.startswith("2"))
    failed = sum(count for name, count in said["errorDistribution"].items() if "deadline" not in name)
    percentiles = said["latencyPercentiles"]

    def ms(seconds: float | None) -> float:
        return round((seconds or 0.0) * 1000, 3)

    return Times(
        accepted,
        sum(statuses.values()) - accepted + failed,
        round(said["summary"]["requestsPerSec"], 1),
        ms(percentiles["p50"]),
        ms(percentiles["p99"]),
        ms(percentiles["p99.9"]),
        ms(said["summary"]["slowest"]),
    )
