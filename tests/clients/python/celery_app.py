"""A Celery application that submits an event for each task, over a broker of files. As a program it sends tasks."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from celery import Celery

from penstock_client import Intake
from tests.clients.python.programs import EVENT, LONG_S, STREAM, say

FOLDER = Path(os.environ["CELERY_FOLDER"])
app: Any = Celery("clients", broker="filesystem://")
app.conf.update(
    broker_transport_options={name: str(FOLDER / "queue") for name in ("data_folder_in", "data_folder_out")}
    | {"control_folder": str(FOLDER / "control")},
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
)
intake = Intake(os.environ["INTAKE_URL"], linger_s=LONG_S)
say("submitted", intake.submit(STREAM, EVENT).id)


@app.task(name="work")  # type: ignore[untyped-decorator]
def work() -> None:
    """Submit an event."""
    say("submitted", intake.submit(STREAM, EVENT).id)


if __name__ == "__main__":
    (FOLDER / "queue").mkdir()
    for _ in range(int(sys.argv[1])):
        work.delay()
