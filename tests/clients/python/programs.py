"""Programs that use the client, run as processes of their own: ``python -m tests.clients.python.programs NAME URL …``.

Each prints what its test wants to know, one word a line.
"""

from __future__ import annotations

import atexit
import itertools
import multiprocessing
import os
import random
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

from penstock_client import Intake, exit_on_sigterm, process

EVENT = {"$schema": "/web/page_view/1.1.0", "page": "/"}
STREAM = "web.page_view"
LONG_S = 60.0


def say(*words: object) -> None:
    """Print a line that is not lost when the process is killed."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def submit(intake: Intake, count: int) -> None:
    """Submit so many events, and say their ids."""
    for _ in range(count):
        say(intake.submit(STREAM, EVENT).id)


def leaves(url: str) -> None:
    """Ends without a flush."""
    submit(Intake(url, linger_s=LONG_S), 100)


def leaves_inline(url: str) -> None:
    """Ends without a flush, and had no thread."""
    submit(Intake(url, driver="inline"), 100)


def leaves_asyncio(url: str) -> None:
    """Ends its loop and then itself, without a flush. The first events come before there is a loop."""
    import asyncio

    from penstock_client import AsyncIntake

    intake = AsyncIntake(url, linger_s=LONG_S)
    say(intake.submit(STREAM, EVENT).id)

    async def main() -> None:
        for _ in range(50):
            say(intake.submit(STREAM, EVENT).id)
        await asyncio.sleep(0)  # The task begins.

    asyncio.run(main())
    say(intake.submit(STREAM, EVENT).id)


def uses_two_loops(url: str) -> None:
    """Uses a client on one loop after the other."""
    import asyncio

    from penstock_client import AsyncIntake

    intake = AsyncIntake(url)

    async def main() -> None:
        ticket = intake.submit(STREAM, EVENT)
        say(ticket.id)
        assert (await intake.flush(LONG_S)).pending == 0
        assert (await ticket).is_sent

    for _ in range(2):
        asyncio.run(main())


def raises(url: str) -> None:
    """Ends by an exception."""
    submit(Intake(url, linger_s=LONG_S), 10)
    raise SystemExit(3)


def submits_late(url: str) -> None:
    """Submits while the interpreter ends, when a thread can no longer be started."""
    intake = Intake(url, linger_s=LONG_S)
    setattr(threading.Thread, "start", _refuse)  # noqa: B010 - as the interpreter does then
    atexit.register(submit, intake, 10)


def submits_when_all_is_over(url: str) -> None:
    """Submits after the flush at the end: from a thread that nothing stops, and from a finalizer."""
    intake = Intake(url, linger_s=LONG_S)
    submit(intake, 10)

    class Last:
        def __del__(self) -> None:
            outcome = intake.submit(STREAM, EVENT).outcome
            assert outcome[:2] == ("dropped", "closed")
            say("outcome", *outcome[:2])

    def run_on() -> None:
        while intake.submit(STREAM, EVENT).outcome.reason != "closed":
            time.sleep(0.001)

    threading.Thread(target=run_on, daemon=True).start()
    sys.modules["kept to the end"] = Last()  # type: ignore[assignment]


def _refuse(_: threading.Thread) -> None:
    raise RuntimeError("can't create new thread at interpreter shutdown")


def never_ends(url: str) -> None:
    """Waits for SIGTERM."""
    exit_on_sigterm()
    submit(Intake(url, linger_s=LONG_S), 10)
    say("ready")
    while True:
        signal.pause()


def is_told_to_end_while_it_flushes(url: str) -> None:
    """Gets SIGTERM again in the middle of the flush at its end."""
    exit_on_sigterm()
    intake = Intake(url, linger_s=LONG_S)
    flush = intake.close_at_exit

    def flush_and_be_told(deadline_s: float) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        flush(deadline_s)

    setattr(intake, "close_at_exit", flush_and_be_told)  # noqa: B010 - a method of one object
    submit(intake, 10)
    os.kill(os.getpid(), signal.SIGTERM)


def hangs_at_exit(url: str) -> None:
    """Ends while the intake answers nothing, and would be waited for until the test gives up."""
    submit(Intake(url, exit_timeout_s=0.5, timeout_s=3600), 10)


def forks(url: str) -> None:
    """Forks with events in the queue and its thread at work; both processes submit more."""
    # Python 3.12 warns of every fork of a process with threads, whatever they do.
    warnings.simplefilter("ignore", DeprecationWarning)
    intake = Intake(url, linger_s=LONG_S)
    submit(intake, 50)
    child = os.fork()
    submit(intake, 30)
    if child:
        assert os.waitpid(child, 0)[1] == 0
        say("queued", intake.health().queued_events)
    else:
        assert intake.health().queued_events == 30


def imports_in_threads(url: str) -> None:
    """Says what any thread but the first one imports, while events are sent, refused and tried again over all ways."""

    def hear(name: str, arguments: tuple[Any, ...]) -> None:
        if name == "import" and threading.current_thread() is not threading.main_thread():
            say(arguments[0])

    sys.addaudithook(hear)
    for address in (url, "http://localhost:9", "https://localhost:9", url.replace("http:", "https:")):
        intake = Intake(address, linger_s=0)
        intake.submit(STREAM, EVENT).on_done(lambda _: None)
        while intake.health().sent == 0 and intake.health().is_well:
            intake.flush(0.2)
        intake.close(0)


def forks_with_spool(url: str, directory: str) -> None:
    """Says whether another thread can use the client of a spool during a fork, and after it."""
    warnings.simplefilter("ignore", DeprecationWarning)
    intake = Intake(url, spool=directory, driver="inline")

    def say_whether_free(when: str) -> None:
        def look() -> None:
            is_free = intake._lock.acquire(blocking=False)
            say(when, is_free)
            if is_free:
                intake._lock.release()

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()

    process._before_fork()
    say_whether_free("during")
    process._after_fork_in_parent()
    say_whether_free("after")
    child = os.fork()
    if not child:
        ticket = intake.submit(STREAM, EVENT)
        intake.close(LONG_S)
        say("child", ticket.outcome.status)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    intake.close(LONG_S)


def forks_without_spool(url: str, directory: str) -> None:
    """Forks when the directory of the spool has become a file; the child submits one event."""
    warnings.simplefilter("ignore", DeprecationWarning)
    intake = Intake(url, spool=directory)
    os.rename(directory, directory + ".old")
    open(directory, "x").close()
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0
    else:
        ticket = intake.submit(STREAM, EVENT)
        assert not ticket.stored
        say(ticket.id)
        intake.close(LONG_S)
        os._exit(0)


def forks_unseen(url: str) -> None:
    """Forks as programs in C do, of which Python's hooks learn nothing: the child notices by its pid."""
    import ctypes

    intake = Intake(url, linger_s=LONG_S)
    submit(intake, 50)
    # A thread that waits for the interpreter at the time of such a fork leaves the child's interpreter a lock that is
    # never released, whatever the thread belongs to. One that waits for work, which lets go of its lock, does not.
    waits = False
    while not waits:
        with intake._lock:
            waits = intake._sleeps
    child = ctypes.PyDLL(None).fork()
    submit(intake, 30)
    if child:
        assert os.waitpid(child, 0)[1] == 0
    else:
        intake.close(LONG_S)
        os._exit(0)


_shared: Intake | None = None


def _work(url: str, count: int) -> None:
    global _shared  # noqa: PLW0603 - as programs keep a client: one for the process
    _shared = _shared or Intake(url, linger_s=LONG_S)
    submit(_shared, count)


def _children(url: str, method: str) -> None:
    context: Any = multiprocessing.get_context(method)
    children = [context.Process(target=_work, args=(url, 20)) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert child.exitcode == 0


def multiprocessing_fork(url: str) -> None:
    """Children of multiprocessing by fork, with a client of the parent's that is in use."""
    _work(url, 10)
    _children(url, "fork")


def multiprocessing_spawn(url: str) -> None:
    """By spawn."""
    _children(url, "spawn")


def multiprocessing_forkserver(url: str) -> None:
    """By a server of forks."""
    _children(url, "forkserver")


def _work_in_pool(url: str) -> str:
    global _shared  # noqa: PLW0603 - as programs keep a client: one for the process
    _shared = _shared or Intake(url, linger_s=LONG_S)
    return _shared.submit(STREAM, EVENT).id


def multiprocessing_pool(url: str) -> None:
    """A pool that is closed and joined: the end of its block alone would end its children by SIGTERM."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for identity in pool.map(_work_in_pool, [url] * 20):
            say(identity)
        pool.close()
        pool.join()


def stores(url: str, directory: str, count: str) -> None:
    """Leaves events on disk and ends by os._exit, as RQ's work horse does."""
    submit(Intake(url, linger_s=LONG_S, spool=directory), int(count))
    os._exit(0)


def flushes_and_leaves(url: str) -> None:
    """Flushes and ends by os._exit, as a job of RQ should."""
    intake = Intake(url, linger_s=LONG_S)
    submit(intake, 10)
    say(*intake.flush(LONG_S))
    os._exit(0)


def sends_stored(url: str, directory: str) -> None:
    """Sends what is on disk."""
    say(*Intake(url, spool=directory).close(3 * LONG_S))


def is_killed(url: str, directory: str, times: str, seed: str) -> None:
    """Forks children that submit and send, and kills each at a random point: half of them while they begin, the others
    some events later. A line is an id that was on disk. No two events have the same ``page``."""
    chance = random.Random(int(seed))
    intake = Intake(url, spool=directory, linger_s=0.001, max_batch_events=7, retry_base_s=0.001)
    for number in range(int(times)):
        reads, writes = os.pipe()
        child = os.fork()
        if not child:
            for page in itertools.count():
                ticket = intake.submit(STREAM, EVENT | {"page": f"/{number}/{page}"})
                assert ticket.stored
                say(ticket.id)
                os.write(writes, b".")
        os.close(writes)
        left = chance.choice((0, chance.randrange(1, 200)))
        while left > 0:
            left -= len(os.read(reads, left)) or left
        time.sleep(chance.random() * 0.1)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reads)
    os._exit(0)


PROGRAMS: dict[str, Callable[..., None]] = {
    name: found for name, found in list(globals().items()) if callable(found) and not name.startswith("_")
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*sys.argv[2:])
