"""A short load on an intake of its own, in CI: every answer is the expected one.

Place: `python -m bench.load.check`, `make load-check`.
Rule: the embedded default settings, but for the port and the directory: SQLite, no broker. Nothing is said of speed.
Not here: who comes (locustfile).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from bench import servers
from bench.events import EXAMPLES, ROOT

SECONDS = 15
USERS = 40
SPARE_S = 60
SETTINGS = """\
service_name: penstock
workers: 2
intake: {{error_stream: penstock.error.validation}}
http: {{listen: ["127.0.0.1:{port}"]}}
admin: {{listen: "127.0.0.1:{admin}"}}
schemas: {{base_uris: ["{examples}/schemas"]}}
streams: {{sources: ["{examples}/streams.yaml"]}}
sink: {{kind: sqlite, sqlite: {{path: "{directory}/events"}}}}
spool: {{path: "{directory}/spool"}}
log: {{level: warning}}
"""
HERE = Path(__file__).parent


def command(port: int, report: Path) -> list[str]:
    """Locust's."""
    given = [str(Path(sys.executable).with_name("locust")), "-f", f"{HERE / 'locustfile.py'},{HERE / 'shapes.py'}"]
    given += ["--headless", "--only-summary", "--users", str(USERS), "--spawn-rate", str(USERS)]
    given += ["--run-time", f"{SECONDS}s", "--shape", "steady", "--stop-timeout", "10", "--max-p99-ms", "0"]
    return [*given, "--html", str(report), "--host", f"http://127.0.0.1:{port}"]


def main() -> int:
    """0 when all was as expected."""
    report = ROOT / "build" / "load" / "check.html"
    report.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        port, settings = servers.free_port(), Path(name) / "penstock.yaml"
        text = SETTINGS.format(port=port, admin=servers.free_port(), examples=EXAMPLES, directory=name)
        settings.write_text(text, encoding="utf-8")
        arguments = ["server", "serve", "-c", str(settings)]
        with servers.Child("intake", arguments, servers.ALL_CORES, Path(name)) as child:
            child.wait_for(port)
            done = subprocess.run(command(port, report), cwd=ROOT, check=False, timeout=SECONDS + SPARE_S)
            if child.process.poll() is not None:
                print(f"load: the intake ended: {(Path(name) / 'intake.log').read_text()[-2000:]}", file=sys.stderr)
                return 1
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
