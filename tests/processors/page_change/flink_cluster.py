"""A Flink cluster on this machine: a job manager and task managers, each in a process of its own.

Rules: only processes that were started here are signalled, by pid. A task manager has one slot, as in production.
Not here: the topics (processors.page_change.oracle.kafka), what is asserted (test_flink).
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import yaml

from tests.harness.broker import free_ports
from tests.harness.running import ROOT, eventually

WAIT_S: Final = 1_200.0  # Every wait is for a condition, and ends when it is met; Java starts on a busy machine.
LOOK_EVERY_S: Final = 0.3  # A look costs some CPU, which the cluster needs.

Found = TypeVar("Found")


class FlinkCluster:
    """``python`` has penstock[flink]; ``jars`` are those of the connector."""

    def __init__(self, directory: Path, python: str, jars: list[str]) -> None:
        self._python = python
        found = subprocess.run(
            [python, "-c", "import pyflink, os; print(os.path.dirname(pyflink.__file__))"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        self._home = Path(found.stdout.strip())
        self._directory = directory
        self._rest, rpc = free_ports(2)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._numbers = itertools.count(1)
        for name in ("conf", "log", "tmp"):
            (directory / name).mkdir()
        for path in (self._home / "conf").glob("log4j*"):
            shutil.copy(path, directory / "conf")
        conf = {
            "jobmanager.rpc.address": "127.0.0.1",
            "jobmanager.rpc.port": rpc,
            "jobmanager.bind-host": "127.0.0.1",
            "jobmanager.memory.process.size": "1000m",
            "rest.address": "127.0.0.1",
            "rest.port": self._rest,
            "rest.bind-address": "127.0.0.1",
            "io.tmp.dirs": str(directory / "tmp"),
            "taskmanager.host": "127.0.0.1",
            "taskmanager.bind-host": "127.0.0.1",
            "taskmanager.numberOfTaskSlots": 1,
            "taskmanager.memory.process.size": "1400m",
            "taskmanager.memory.managed.size": "128m",
            "heartbeat.interval": "2 s",
            # A killed process is found by its closed port, after two heartbeats; a slow one must not be taken for dead.
            "heartbeat.timeout": "300 s",
            "pekko.ask.timeout": "300 s",
            "pekko.startup-timeout": "300 s",
            "client.timeout": "600 s",
            "python.executable": python,
            "python.client.executable": python,
            # Flink's own, which open the modules of Java, and a start in half the time.
            # What pekko.startup-timeout does not reach is left at 10 s, which is too short for a busy machine.
            "env.java.opts.all": f"{self._opened()} -XX:+UseSerialGC -XX:TieredStopAtLevel=1"
            " -Dpekko.remote.classic.startup-timeout=300s",
            "env.java.opts.client": "-Xmx512m",
        }
        (directory / "conf" / "config.yaml").write_text("".join(f"{name}: {value}\n" for name, value in conf.items()))
        # Java loads the library of Python once: by the class loader of a job, a second start in the same task manager
        # would fail.
        classpath = ":".join([*jars, *map(str, (self._home / "opt").glob("flink-python-*.jar"))])
        self._environ = os.environ | {
            "FLINK_CONF_DIR": str(directory / "conf"),
            "FLINK_LOG_DIR": str(directory / "log"),
            "FLINK_PID_DIR": str(directory / "tmp"),
            "FLINK_HOME": str(self._home),
            "HADOOP_CLASSPATH": classpath,  # What Flink's scripts add to the class path of each process.
            "PATH": f"{Path(python).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        }

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self.kill)
            self.start()
            stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def until(self, look: Callable[[], Found]) -> Found:
        """Look until something is found, and return that. Fails if a process that is not killed here has ended."""

        def found() -> Found | None:
            assert all(process.poll() is None for process in self._processes.values()), self.log()
            with suppress(OSError):  # A busy job manager takes its time.
                if result := look():
                    return result
            time.sleep(LOOK_EVERY_S)
            return None

        result = eventually(found, WAIT_S, self.log)
        assert result is not None
        return result

    def start(self) -> None:
        """Start a job manager and two task managers, one by one. Returns when they know each other."""
        self._start("job-manager", "jobmanager.sh")
        self.until(lambda: self._ask("/overview"))
        self.start_manager()
        self.until(self._slots)
        self.start_manager()
        self.until(lambda: self._slots() == 2)

    def kill(self) -> None:
        """Kill all processes, by SIGKILL. Jobs are gone with them; their checkpoints stay."""
        for process in self._processes.values():
            process.kill()
            process.wait()
        self._processes.clear()

    def start_manager(self) -> None:
        """Start a task manager."""
        name = f"task-manager-{next(self._numbers)}"
        self._start(name, "taskmanager.sh", "-D", f"taskmanager.resource-id={name}")

    def kill_manager_of(self, job: str) -> None:
        """Kill the task manager that runs the job, by SIGKILL."""
        where = {
            task["taskmanager-id"]
            for vertex in self._ask(f"/jobs/{job}")["vertices"]
            for task in self._ask(f"/jobs/{job}/vertices/{vertex['id']}")["subtasks"]
        }
        for name in where:
            manager = self._processes.pop(name)
            manager.kill()
            manager.wait()

    def submit(self, config: Path, savepoint: str | None = None) -> str:
        """Submit the job as deploy/flink does. Returns its ID when it runs."""
        command = [str(self._home / "bin" / "flink"), "run", "--detached"]
        if savepoint is not None:
            command += ["--fromSavepoint", savepoint]
        # No -pyfs: it would pack the whole checkout and send it. The modules are where PYTHONPATH says, as in an image.
        command += ["-pyclientexec", self._python, "-pyexec", self._python]
        command += ["-pym", "processors.page_change.flink.submit"]
        environ = self._environ | {"PAGE_CHANGE_CONFIG": str(config)}
        known = {job["id"] for job in self._ask("/jobs")["jobs"]}
        done = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=WAIT_S)
        assert done.returncode == 0, done.stdout + done.stderr
        (job,) = {job["id"] for job in self._ask("/jobs")["jobs"]} - known
        self.until_running(job)
        return str(job)

    def until_running(self, job: str, restarts: int = 0) -> None:
        """Wait until every task of the job runs, after so many restarts at least."""

        def is_running() -> bool:
            found = self._ask(f"/jobs/{job}")
            assert found["state"] not in ("FAILED", "CANCELED", "FINISHED"), self.log()
            states = {task["status"] for task in found["vertices"]}
            return states == {"RUNNING"} and self.restarts(job) >= restarts

        self.until(is_running)

    def restarts(self, job: str) -> int:
        """The number of times that the job began again."""
        found = self._ask(f"/jobs/{job}/metrics?get=numRestarts")
        return int(found[0]["value"]) if found else 0

    def checkpoints(self, job: str) -> int:
        """The number of checkpoints that were completed."""
        return int(self._ask(f"/jobs/{job}/checkpoints")["counts"]["completed"])

    def until_next_checkpoint(self, job: str) -> None:
        """Wait until one more checkpoint is completed."""
        completed = self.checkpoints(job)
        self.until(lambda: self.checkpoints(job) > completed)

    def cancel(self, job: str) -> None:
        """End the job. Its slots are free when this returns."""
        self._ask(f"/jobs/{job}", method="PATCH")
        self.until(lambda: self._ask(f"/jobs/{job}")["state"] == "CANCELED")

    def stop(self, job: str) -> str:
        """Stop the job with a savepoint. Returns its path."""
        asked = self._ask(
            f"/jobs/{job}/stop", {"drain": False, "targetDirectory": (self._directory / "savepoints").as_uri()}
        )

        def found() -> str:
            status = self._ask(f"/jobs/{job}/savepoints/{asked['request-id']}")
            operation = status["operation"] or {}  # None while it is under way.
            assert "failure-cause" not in operation, operation
            return str(operation.get("location", ""))

        return self.until(found)

    def log(self) -> str:
        """The ends of all logs."""
        return "\n".join(
            f"== {path.name}\n{path.read_text(errors='replace')[-3000:]}"
            for path in sorted((self._directory / "log").glob("*"))
            if path.is_file()
        )

    def _opened(self) -> str:
        """The options that Flink's own settings give to Java."""
        found: str = yaml.safe_load((self._home / "conf" / "config.yaml").read_text())["env"]["java"]["opts"]["all"]
        return found

    def _start(self, name: str, script: str, *options: str) -> None:
        """Start a script, which becomes Java."""
        command = [str(self._home / "bin" / script), "start-foreground", *options]
        with (self._directory / "log" / f"{name}.out").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command, env=self._environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _ask(self, path: str, body: dict[str, Any] | None = None, method: str | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self._rest}{path}", data, method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)

    def _slots(self) -> int:
        return int(self._ask("/overview")["slots-total"])
