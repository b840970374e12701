"""In gunicorn's workers and Celery's prefork pool, every event is sent, once, without any code for it."""

from __future__ import annotations

import http.client
import importlib.util
import os
import re
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from penstock_client.testing import FaultServer
from tests.clients.python.test_processes import ENVIRON, LONG_S
from tests.harness.running import ROOT, Running


def needs(name: str) -> pytest.MarkDecorator:
    """Skip where a package of requirements/dev.txt is not installed."""
    return pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"{name} is not installed: make setup")


def submitted(log: str) -> list[str]:
    """The ids that a program said, in the order of their text."""
    return sorted(re.findall(r"submitted ([0-9a-f-]{36})", log))


@needs("gunicorn")
@pytest.mark.slow(reason="starts gunicorn")
@pytest.mark.parametrize("options", [["--preload"], [], ["--preload", "--worker-class", "gthread", "--threads", "4"]])
def test_gunicorn(options: list[str], faulty: FaultServer, tmp_path: Path) -> None:
    arguments = ["-m", "gunicorn", "-w", "2", "-b", "127.0.0.1:0", *options, "tests.clients.python.wsgi_app:app"]
    with Running(arguments, tmp_path / "log", ENVIRON | {"INTAKE_URL": faulty.url}) as server:
        (port,) = server.says(r"Listening at: http://127\.0\.0\.1:(\d+)")
        for _ in range(40):
            with closing(http.client.HTTPConnection("127.0.0.1", int(port), timeout=LONG_S)) as connection:
                connection.request("GET", "/")
                assert connection.getresponse().status == 200
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0, server.log()
        ids = submitted(server.log())

    assert len(ids) == 40 + (1 if "--preload" in options else 2)
    assert sorted(faulty.ids()) == ids


@needs("celery")
@pytest.mark.slow(reason="starts Celery")
@pytest.mark.parametrize("options", [[], ["--max-tasks-per-child", "3"]])
def test_celery(options: list[str], faulty: FaultServer, tmp_path: Path) -> None:
    environ = ENVIRON | {"INTAKE_URL": faulty.url, "CELERY_FOLDER": str(tmp_path)}
    command = [sys.executable, "-m", "tests.clients.python.celery_app", "20"]
    sent = subprocess.run(command, cwd=ROOT, env=os.environ | environ, capture_output=True, text=True, timeout=LONG_S)
    assert sent.returncode == 0, sent.stderr
    arguments = ["-m", "celery", "-A", "tests.clients.python.celery_app", "worker", "--pool", "prefork", "-c", "2"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "info"]
    with Running([*arguments, *quiet, *options], tmp_path / "log", environ) as worker:
        worker.until(lambda: len(re.findall(r"succeeded in", worker.log())) == 20)
        worker.signal(signal.SIGTERM)
        assert worker.exit_code() == 0, worker.log()
        ids = sorted(submitted(worker.log()) + submitted(sent.stdout))

    assert len(ids) == 22, "20 tasks, and one event of each program that imported the module"
    assert sorted(faulty.ids()) == ids
