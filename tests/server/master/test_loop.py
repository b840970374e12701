"""The master with toy workers: real forks, real signals, no HTTP."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.harness.running import is_alive
from tests.server.master.toy import Toy

READY = r"ready: generation (\d+)"


def test_a_service_starts_its_workers_and_drains_them_on_term(tmp_path: Path) -> None:
    """READY is said once, every worker leaves with exit code 0, and so does the master."""
    with Toy.serving(tmp_path, "slow_to_drain") as toy:
        toy.says(READY)
        workers = toy.workers()
        toy.signal(signal.SIGTERM)
        code = toy.exit_code()

        assert code == 0
        assert len(workers) == 2
        assert len(re.findall(r"has left: exit code 0", toy.log())) == 2
        assert not (tmp_path / "socket").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_int_and_quit_do_not_wait_for_the_drain(tmp_path: Path, number: signal.Signals) -> None:
    """Workers that would drain for ten minutes are gone long before."""
    with Toy.serving(tmp_path, "never_drained", drain_s=600.0) as toy:
        toy.says(READY)
        toy.signal(number)

        assert toy.exit_code() == 0


def test_a_worker_that_drains_for_too_long_is_aborted(tmp_path: Path) -> None:
    """The master ends soon after drain_s, whatever a worker does."""
    with Toy.serving(tmp_path, "never_drained", drain_s=0.1) as toy:
        toy.says(READY)
        toy.signal(signal.SIGTERM)

        assert toy.exit_code() == 1
        assert "has not drained in time" in toy.log()


def test_a_killed_worker_is_replaced_at_once(tmp_path: Path) -> None:
    """The death is logged with the name of its signal, and the socket is served all the time."""
    with Toy.serving(tmp_path, workers=1) as toy:
        toy.says(READY)
        (victim,) = toy.workers()
        os.kill(victim, signal.SIGKILL)
        answer = toy.ask(f"{tmp_path}/socket")

        assert answer.split()[0] != str(victim)
        assert f"worker {victim} (slot 0, generation 1) died: SIGKILL" in toy.log()


def test_a_worker_that_is_told_to_drain_by_somebody_else_is_replaced_while_it_drains(tmp_path: Path) -> None:
    """The replacement does not wait for the end of the drain."""
    with Toy.serving(tmp_path, "never_drained", workers=1, drain_s=600.0) as toy:
        toy.says(READY)
        (old,) = toy.workers()
        os.kill(old, signal.SIGTERM)
        toy.says("drains without an order of the master")

        new = toy.until(lambda: toy.workers() - {old})
        assert is_alive(old)
        assert toy.ask(f"{tmp_path}/socket").split()[0] == str(*new)


def test_a_worker_that_does_not_last_is_replaced_ever_more_slowly(tmp_path: Path) -> None:
    """Leaving with exit code 0 right away is no way around the back-off."""
    begun = time.monotonic()
    with Toy.serving(tmp_path, "short_lived", workers=1) as toy:
        toy.says("has left", times=6)

        assert time.monotonic() - begun > 0 + 0.1 + 0.2 + 0.4 + 0.8  # Never less, however slow the machine is.


def test_a_stuck_worker_dumps_its_stack_and_is_replaced(tmp_path: Path) -> None:
    """ABRT comes late_s after the last beat; the dump names the function that hangs."""
    with Toy.serving(tmp_path, "stuck", workers=1, process={"late_s": 0.3}) as toy:
        toy.says("died: SIGABRT")

        assert re.search(r"has given no beat for \d+\.\d s: aborting it", toy.log())
        toy.says("this_loop_is_stuck")  # One that was late on its way there was aborted too; the next is not.


@pytest.mark.parametrize("is_stopped", [False, True])
def test_a_stuck_worker_that_does_not_heed_abrt_is_killed(tmp_path: Path, is_stopped: bool) -> None:
    """Because it ignores the signal, or because it is stopped."""
    behaviour, late_s = ("serve", 2.0) if is_stopped else ("deaf", 0.5)  # One that serves must not be late before.
    with Toy.serving(tmp_path, behaviour, workers=1, process={"late_s": late_s, "abort_s": 0.3}) as toy:
        toy.says(READY)
        (victim,) = toy.until(toy.workers)
        if is_stopped:
            os.kill(victim, signal.SIGSTOP)

        toy.says(f"worker {victim} .* died: SIGKILL")
        toy.until(lambda: toy.workers() - {victim})


def test_a_crash_loop_ends_the_master_with_the_reason(tmp_path: Path) -> None:
    """deaths_in_window quick deaths within window_s: exit code 5."""
    with Toy.serving(tmp_path, "crashing", process={"deaths_in_window": 4, "window_s": 30.0}) as toy:
        assert toy.exit_code() == 5
        assert "stopping: 4 workers died within 30 s (SIGSEGV)" in toy.log()


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("unbootable", r"a worker cannot boot \(exit code 5\)"),
        ("half_bootable", r"a worker cannot boot \(exit code 5\)"),
        ("never_ready", r"a worker cannot boot \(SIGABRT\)"),
        ("buggy", r"a worker died 3 times before it was ready \(exit code 1\)"),
    ],
)
def test_a_boot_failure_ends_the_master(tmp_path: Path, behaviour: str, reason: str) -> None:
    """No respawn loop: the others drain, the exit code is 5, the reason is in the log."""
    with Toy.serving(tmp_path, behaviour, process={"boot_s": 0.3} if behaviour == "never_ready" else {}) as toy:
        assert toy.exit_code() == 5
        assert re.search(f"stopping: {reason}", toy.log())
        assert not toy.workers()


def test_a_replacement_that_cannot_boot_does_not_end_a_service_that_serves(tmp_path: Path) -> None:
    """It is tried again, ever more slowly, while its sibling answers."""
    with Toy.serving(tmp_path, "bootable_once") as toy:
        toy.says(READY)
        os.kill(toy.until(lambda: of_slot(toy, tmp_path, "1")), signal.SIGKILL)
        toy.says("worker of slot 1: the disk is full", times=4)

        assert toy.ask(f"{tmp_path}/socket").split()[1:] == ["0", "1"]
        toy.signal(signal.SIGTERM)
        assert toy.exit_code() == 0


def of_slot(toy: Toy, directory: Path, wanted: str) -> int:
    """The worker of this slot, if it is the one that answers."""
    pid, slot, _ = toy.ask(f"{directory}/socket").split()
    return int(pid) if slot == wanted else 0


def test_hup_replaces_every_worker_and_the_new_ones_are_ready_first(tmp_path: Path) -> None:
    """Somebody answers at every moment; the generation changes."""
    with Toy.serving(tmp_path, "slow_to_drain") as toy:
        toy.says(READY)
        old = toy.workers()
        Toy.write(tmp_path, "serve", workers=3)
        toy.signal(signal.SIGHUP)
        toy.says("ready: generation 2, 3 workers")
        toy.says("has left: exit code 0", times=2)

        assert not old & toy.workers()
        assert len(toy.workers()) == 3
        assert toy.ask(f"{tmp_path}/socket").endswith(" 2")


@pytest.mark.parametrize("trouble", ["unreadable", "wrong", "unbindable", "buggy", "never_ready"])
def test_a_reload_that_fails_changes_nothing(tmp_path: Path, trouble: str) -> None:
    """Bad settings, a taken address, new workers that cannot boot: the old ones stay, and one line says why."""
    with Toy.serving(tmp_path) as toy:
        toy.says(READY)
        old = toy.workers()
        if trouble == "unreadable":
            (tmp_path / "toy.json").write_text("{")
        elif trouble == "wrong":
            Toy.write(tmp_path, workers=0)
        elif trouble == "unbindable":
            Toy.write(tmp_path, http={"listen": [f"unix:{tmp_path}/socket", "unix:/nowhere/socket"]})
        else:
            Toy.write(tmp_path, trouble, process={"boot_s": 0.3} if trouble == "never_ready" else {})
        toy.signal(signal.SIGHUP)
        refusals = toy.says("reload refused, the old settings stay in force: .*")

        toy.until(lambda: toy.workers() == old)  # What there was of the new ones is gone.
        assert len(refusals) == 1
        made = trouble not in ("unreadable", "wrong")
        assert (tmp_path / "closed").exists() == made, "a generation that was made for nothing is closed"
        assert toy.ask(f"{tmp_path}/socket").endswith(" 1")
        toy.signal(signal.SIGTERM)
        assert toy.exit_code() == 0


def test_a_reload_opens_new_addresses_and_closes_old_ones(tmp_path: Path) -> None:
    """What is no longer in the settings is gone, its file too; what is in both is the same socket."""
    first, second, third = (f"unix:{tmp_path}/{name}" for name in ("first", "second", "third"))
    with Toy.serving(tmp_path, http={"listen": [first, second]}) as toy:
        toy.says(READY)
        kept = (tmp_path / "second").stat().st_ino
        Toy.write(tmp_path, http={"listen": [second, third]})
        toy.signal(signal.SIGHUP)
        toy.says("ready: generation 2")

        assert (tmp_path / "second").stat().st_ino == kept
        assert toy.ask(f"{tmp_path}/third").endswith(" 2")
        assert not (tmp_path / "first").exists()


def test_ttin_and_ttou_change_the_number_of_workers_by_one(tmp_path: Path) -> None:
    """Never above process.max_workers, never below one."""
    with Toy.serving(tmp_path, process={"max_workers": 3}) as toy:
        toy.says(READY)
        for number, said, count in (
            (signal.SIGTTIN, "one worker added: 3", 3),
            (signal.SIGTTIN, "no worker added: process.max_workers is 3", 3),
            (signal.SIGTTOU, "one worker removed: 2", 2),
            (signal.SIGTTOU, "one worker removed: 1", 1),
            (signal.SIGTTOU, "no worker removed: one must remain", 1),
        ):
            toy.signal(number)
            toy.says(said)
            toy.until(lambda count=count: len(toy.workers()) == count)  # type: ignore[misc]


def test_workers_leave_when_the_master_is_killed(tmp_path: Path) -> None:
    """They see it on the next beat."""
    with Toy.serving(tmp_path) as toy:
        toy.says(READY)
        workers = toy.workers()
        toy.signal(signal.SIGKILL)

        toy.until(lambda: not any(map(is_alive, workers)))


def test_what_waits_in_the_queue_is_answered_before_the_service_ends(tmp_path: Path) -> None:
    """A worker is stopped while a client connects; on TERM it takes the queue before it leaves."""
    with Toy.serving(tmp_path, workers=1) as toy:
        toy.says(READY)
        (worker,) = toy.workers()
        os.kill(worker, signal.SIGSTOP)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60.0)
            client.connect(f"{tmp_path}/socket")
            toy.signal(signal.SIGTERM)
            toy.says("stopping")
            os.kill(worker, signal.SIGCONT)
            answer = client.recv(100).decode()

        assert answer == f"{worker} 0 1"
        assert toy.exit_code() == 0


def test_a_worker_that_does_not_drain_is_an_exit_code(tmp_path: Path) -> None:
    """What it held may be lost: that is no clean end."""
    with Toy.serving(tmp_path, workers=2) as toy:
        toy.says(READY)
        victim = min(toy.workers())
        os.kill(victim, signal.SIGSTOP)
        toy.signal(signal.SIGTERM)
        toy.says("stopping")
        os.kill(victim, signal.SIGKILL)

        assert toy.exit_code() == 1
        assert f"worker {victim}" in toy.log()
        assert "did not drain: SIGKILL" in toy.log()


def test_what_waits_at_an_address_that_a_reload_drops_is_answered(tmp_path: Path) -> None:
    """By the worker that leaves with it; the queue of an address that stays is left to the new workers."""
    first, second = f"unix:{tmp_path}/first", f"unix:{tmp_path}/second"
    with Toy.serving(tmp_path, workers=1, http={"listen": [first, second]}) as toy:
        toy.says(READY)
        (old,) = toy.workers()
        os.kill(old, signal.SIGSTOP)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60.0)
            client.connect(f"{tmp_path}/first")
            Toy.write(tmp_path, workers=1, http={"listen": [second]})
            toy.signal(signal.SIGHUP)
            toy.says("ready: generation 2")
            os.kill(old, signal.SIGCONT)

            assert client.recv(100).decode() == f"{old} 0 1"
        toy.until(lambda: toy.ask(f"{tmp_path}/second").endswith(" 2"))


def test_a_master_that_was_frozen_itself_blames_nobody(tmp_path: Path) -> None:
    """After a freeze of the whole service every beat is old, and no worker is stuck."""
    with Toy.serving(tmp_path, process={"late_s": 1.4}) as toy:
        toy.says(READY)
        before = toy.workers()
        for pid in (toy.pid, *before):
            os.kill(pid, signal.SIGSTOP)
        time.sleep(1.6)  # The freeze itself: longer than late_s and than the master may oversleep.
        for pid in (toy.pid, *before):
            os.kill(pid, signal.SIGCONT)
        toy.signal(signal.SIGTTIN)
        toy.says("one worker added")

        assert before <= toy.workers()
        assert "has given no beat" not in toy.log()


def companion_of(toy: Toy) -> int:
    """The pid of the companion that runs now."""
    return int(toy.until(lambda: re.findall(r"companion (\d+) runs", toy.log()))[-1])


def test_a_companion_is_replaced_and_the_workers_do_not_notice(tmp_path: Path) -> None:
    """A child with a name, without sockets; a killed one has a successor, and so has one that is stuck."""
    with Toy.serving(tmp_path, companion="a_companion", process={"late_s": 2.0, "abort_s": 0.3}) as toy:
        toy.says(READY)
        first = companion_of(toy)
        workers = toy.workers() - {first}
        os.kill(first, signal.SIGKILL)
        toy.says(rf"toy {first} \(generation 1\) died: SIGKILL")
        toy.says(r"companion \d+ runs with 0 sockets", times=2)
        second = companion_of(toy)
        os.kill(second, signal.SIGSTOP)
        toy.says(rf"toy {second} .*died: SIGKILL")
        toy.says(r"companion \d+ runs with 0 sockets", times=3)

        assert toy.workers() - {companion_of(toy)} == workers
        toy.signal(signal.SIGTERM)
        assert toy.exit_code() == 0
        assert re.search(r"toy \d+ .*has left: exit code 0", toy.log())


@pytest.mark.parametrize("behaviour", ["unbootable", "buggy", "crashing"])
def test_a_companion_that_keeps_dying_ends_nothing(tmp_path: Path, behaviour: str) -> None:
    """It backs off for ever; the service serves all the same."""
    with Toy.serving(tmp_path, companion=behaviour, process={"deaths_in_window": 3, "backoff_max_s": 0.1}) as toy:
        toy.says(READY)
        toy.says(r"toy \d+ \(generation 1\) died", times=6)

        assert toy.ask(f"{tmp_path}/socket")
        assert toy.process.poll() is None


def test_a_reload_brings_a_companion_of_its_own_and_closes_what_the_old_one_used(tmp_path: Path) -> None:
    with Toy.serving(tmp_path, companion="a_companion") as toy:
        toy.says(READY)
        first = companion_of(toy)
        toy.signal(signal.SIGHUP)
        toy.says(READY, times=2)
        toy.says(rf"toy {first} \(generation 1\) has left: exit code 0")
        toy.says(r"companion \d+ runs", times=2)

        assert companion_of(toy) != first
        assert (tmp_path / "closed").read_text() == "x"
        Toy.write(tmp_path, "unbootable", companion="a_companion")
        toy.signal(signal.SIGHUP)
        toy.says("reload refused")
        assert (tmp_path / "closed").read_text() == "xx"


def test_what_running_workers_can_be_given_replaces_none_of_them(tmp_path: Path) -> None:
    with Toy.serving(tmp_path) as toy:
        toy.says(READY)
        workers = toy.workers()
        Toy.write(tmp_path, "adopted")
        toy.signal(signal.SIGHUP)
        toy.says("only streams have changed")

        assert toy.workers() == workers
        assert (tmp_path / "closed").read_text() == "x"
        Toy.write(tmp_path)
        toy.signal(signal.SIGHUP)
        toy.says(READY, times=2)


def test_a_bug_in_a_step_of_the_master_does_not_end_the_service(tmp_path: Path) -> None:
    with Toy.serving(tmp_path, "serve_with_a_bug") as toy:
        toy.says(r"Master._settle failed and will run again")
        os.kill(min(toy.workers()), signal.SIGKILL)
        toy.says(r"died: SIGKILL")
        toy.until(lambda: len(toy.workers()) == 2)
        toy.signal(signal.SIGTERM)

        assert toy.exit_code() == 0
