"""Forks, ends and kills of processes lose nothing that the client has taken."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from penstock_client.testing import HANGS, FaultServer
from tests.harness.running import ROOT, Running

SOURCES = ROOT / "clients" / "python" / "src"
ENVIRON = {"PYTHONPATH": os.pathsep.join([str(SOURCES), *filter(None, [os.environ.get("PYTHONPATH")])])}
LONG_S = 120.0


def run(name: str, *arguments: str, within_s: float = LONG_S) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    command = [sys.executable, "-m", "tests.clients.python.programs", name, *arguments]
    environ = os.environ | ENVIRON
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=within_s)


def submitted(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The ids that a program said."""
    return sorted(line for line in done.stdout.splitlines() if " " not in line)


@pytest.mark.parametrize("name", ["leaves", "leaves_inline", "leaves_asyncio", "uses_two_loops", "submits_late"])
def test_the_end_of_the_interpreter_sends_what_is_left(name: str, faulty: FaultServer) -> None:
    done = run(name, faulty.url)

    assert (done.returncode, done.stderr) == (0, "")
    assert submitted(done)
    assert sorted(faulty.ids()) == submitted(done)


def test_what_is_submitted_when_all_is_over_is_dropped_without_a_traceback(faulty: FaultServer) -> None:
    done = run("submits_when_all_is_over", faulty.url)

    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert done.stdout.splitlines()[-1] == "outcome dropped closed"
    assert set(submitted(done)) <= set(faulty.ids())


def test_an_exception_ends_the_program_and_loses_nothing(faulty: FaultServer) -> None:
    done = run("raises", faulty.url)

    assert done.returncode == 3
    assert sorted(faulty.ids()) == submitted(done)


def test_sigterm_loses_nothing(faulty: FaultServer, tmp_path: Path) -> None:
    arguments = ["-m", "tests.clients.python.programs", "never_ends", faulty.url]
    with Running(arguments, tmp_path / "log", ENVIRON) as program:
        program.says("ready")
        program.signal(signal.SIGTERM)
        code = program.exit_code()
        ids = [line for line in program.log().splitlines() if line != "ready"]

    assert code == 143
    assert sorted(faulty.ids()) == sorted(ids)


def test_a_second_sigterm_does_not_cut_off_the_flush(faulty: FaultServer) -> None:
    done = run("is_told_to_end_while_it_flushes", faulty.url)

    assert (done.returncode, done.stderr) == (143, "")
    assert len(submitted(done)) == 10
    assert sorted(faulty.ids()) == submitted(done)


def test_an_intake_that_hangs_holds_up_the_end_for_the_exit_timeout_alone(faulty: FaultServer) -> None:
    """That is half a second. A program that waited for its requests would not end before the test gives up."""
    faulty.faults.extend([HANGS] * 10)
    done = run("hangs_at_exit", faulty.url)

    assert done.returncode == 0
    assert "closed" in done.stderr, "what was dropped is said"


@pytest.mark.parametrize("name", ["forks", "forks_unseen"])
def test_after_a_fork_each_process_sends_its_own_events_once(name: str, faulty: FaultServer) -> None:
    done = run(name, faulty.url)

    assert (done.returncode, done.stderr) == (0, "")
    assert len(submitted(done)) == 110
    assert sorted(faulty.ids()) == submitted(done)


def test_the_sending_thread_imports_nothing(faulty: FaultServer) -> None:
    """A fork during an import of another thread leaves the child half a module, and a lock that is never released."""
    done = run("imports_in_threads", faulty.url)

    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_send_what_they_submit(method: str, faulty: FaultServer) -> None:
    done = run(f"multiprocessing_{method}", faulty.url)

    assert (done.returncode, done.stderr) == (0, "")
    assert len(submitted(done)) >= 40
    assert sorted(faulty.ids()) == submitted(done)


def test_a_pool_that_is_joined_sends_what_its_children_submitted(faulty: FaultServer) -> None:
    done = run("multiprocessing_pool", faulty.url)

    assert (done.returncode, done.stderr) == (0, "")
    assert len(submitted(done)) == 20
    assert sorted(faulty.ids()) == submitted(done)


def test_a_flush_before_os_exit_loses_nothing(faulty: FaultServer) -> None:
    done = run("flushes_and_leaves", faulty.url)

    assert done.stdout.splitlines()[-1] == "10 0 0 0"
    assert sorted(faulty.ids()) == submitted(done)


def test_events_on_disk_survive_an_end_without_any_exit_handler(faulty: FaultServer, spool: str) -> None:
    stored = [submitted(run("stores", "http://127.0.0.1:9", spool, "40")) for _ in range(2)]
    for lock in Path(spool).glob("*.lock"):  # Events for any address.
        lock.write_bytes(b"")
    done = run("sends_stored", faulty.url, spool)

    assert (len(stored[0]), len(stored[1]), done.stdout.split()[0]) == (40, 40, "80")
    assert sorted(faulty.ids()) == sorted(stored[0] + stored[1])
    assert list(Path(spool).iterdir()) == []


@pytest.mark.slow(reason="200 processes are killed")
def test_killed_at_200_random_points_no_event_on_disk_is_lost_or_changed(faulty: FaultServer, spool: str) -> None:
    done = run("is_killed", faulty.url, spool, "200", "17")
    stored = submitted(done)
    run("sends_stored", faulty.url, spool)
    accepted = faulty.ids()

    assert done.returncode == 0, done.stderr
    assert stored
    assert set(stored) <= set(accepted)
    assert all(len(bodies) == 1 for bodies in faulty.bodies().values()), "a repetition has the same bytes"
    # An id that was not said was written to disk before the kill came between that and the word.
    assert len(set(accepted) - set(stored)) <= 200
    assert list(Path(spool).glob("*.sqlite")) == []


def test_a_fork_waits_for_what_other_threads_do_with_a_spool(faulty: FaultServer, spool: str) -> None:
    """SQLite has locks of its own: a child that inherited one that was held would never end."""
    done = run("forks_with_spool", faulty.url, spool)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["during False", "after True", "child sent"]
