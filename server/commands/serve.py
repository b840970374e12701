"""``penstock serve``: run the service.

Place: __main__ → HERE → master.loop → worker.
Rule: nothing is opened before the settings have been read and found good.
Not here: the life of processes (master), one worker's parts (worker).
"""

from __future__ import annotations

import importlib
from pathlib import Path

from server import log
from server.commands import generation
from server.master.loop import Master

WELCOME = """\
Penstock is starting on http://{address} with its example schemas and streams; events go into {path}.
Post a first event:

  curl -i http://{address}/v1/events -H 'content-type: application/json' \\
    -d '{{"$schema":"/web/page_view/1.1.0","meta":{{"stream":"web.page_view"}},"page":"/home"}}'

and see it arrive, in another terminal:

  {penstock} events --follow
"""


def run(config_path: Path | None, overrides: list[str]) -> int:
    """Serve until a signal ends it. Returns the exit code."""
    first = generation.read(config_path, overrides)
    log.set_up(first.config.log.level, first.config.log.style)
    # Loaded before the fork, so that its code is shared by all workers and none of them spends 0.1 s on it.
    importlib.import_module("server.worker")
    if config_path is None:
        _welcome(first)
    readings = iter([first])
    return Master(lambda: next(readings, None) or generation.read(config_path, overrides)).run()


def _welcome(first: generation.Generation) -> None:
    """Say what to do next; for the embedded default alone."""
    config = first.config
    path = first.data_dir / config.sink.sqlite.path
    venv = Path(".venv/bin/penstock")
    penstock = str(venv) if venv.exists() else "penstock"
    print(WELCOME.format(address=config.http.listen[0], path=path, penstock=penstock), flush=True)
