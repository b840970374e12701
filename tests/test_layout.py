"""The source tree keeps its own rules, and each rule catches a tree that breaks it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import layout, quick, rooms
from tests.layout import Found, Module

ROOT = Path(__file__).parent.parent
PACKAGES = ("eventstreams", "processors", "server", "soak", "validators", "bench", "tests")

# Where everything may be caught, and why. Elsewhere an exception that nobody expects must end what it happened in.
BROAD_EXCEPTS: dict[str, str] = {
    "eventstreams/web/pages.py:StreamPages._list": "top of a task: all that wait for the list must be answered",
    "eventstreams/web/requests.py:StreamRequests._begin": "top of a request: answered 500, counted, logged",
    "eventstreams/web/requests.py:StreamRequests._send_latest": "top of a request: answered 500, counted, logged",
    "server/catalog/snapshot_follower.py:SnapshotFollower._slice": "top of a slice: the next snapshot begins again",
    "server/console/copying/tap.py:Tap.copy": "top of a copy: the request is answered, and lacks only its copy",
    "server/fetch/once.py:_be_child": "top of a process: logged with its stack, then it ends",
    "server/pages/documents.py:Documents._turn": "top of a slice: whoever waits for the document must be answered",
    "server/http/around/decompress.py:Decompression.go_on": "top of a request: answered 500, counted, logged",
    "server/http/protocol.py:Connection._serve": "top of a request: answered 500, counted, logged",
    "server/intake/background/checks.py:BackgroundChecks._judge": "top of a check: it is skipped, others go on",
    "server/intake/pipeline.py:Pipeline.at_once": "top of an event: its verdict is internal, its batch goes on",
    "server/intake/pipeline.py:Pipeline.slowly": "the same",
    "server/intake/private/withhold.py:_applied": "an event that cannot be applied must not be told of",
    "server/master/child.py:_live": "top of a worker's process: logged with its stack, then the process ends",
    "server/master/succession.py:Succession.reload": "a bug in reading new settings must not take the old workers down",
    "server/sink/kafka/producer.py:KafkaSink._serve": "callbacks are not the sink's: the next ones must be called",
    "server/timing/turns.py:Turns._let_go": "as Turns._turn",
    "server/timing/turns.py:Turns._turn": "a request fails, and those that wait behind it must have their turns",
    "server/intake/receive.py:Receiver._waits.go_on": "it goes on in a later turn, where nobody else would answer it",
    "server/timing/timers.py:Timer.start": "top of a timer: counted, logged with its stack, and the next time comes",
    "server/master/loop.py:Master._survive": "top of a step of the master: counted, logged, and the other steps come",
    "server/fetch/public_keys.py:keep_fresh": "top of a task: counted, logged, and the URL is asked again",
    "server/fetch/fetched_streams.py:Streams.keep_fresh": "the same",
    "server/sink/kafka/producer.py:KafkaSink._tick": "top of a timer that paces itself: acks go on coming",
    "server/sink/spool/replay.py:Replay._run": "top of a task: counted, logged, and the replay goes on",
    "server/sink/spool/writer.py:Writer._write": "top of a timer: counted, logged, and what waits is written later",
    "server/sink/spool/writer.py:_tell": "callbacks are not the spool's: the next ones must be called all the same",
    "tests/fuzz/spool_files.py:Case.run": "an exception is what a fuzz looks for",
    "server/sink/spool/writer.py:_try": "top of a thread's work: the loop waits for its answer",
    "server/sink/memory/sink.py:MemorySink._ack": "callbacks are not the sink's: the next ones must be called",
    "server/sink/sqlite/sink.py:SqliteSink._ack": "callbacks are not the sink's: the next ones must be called",
    "server/sink/sqlite/sink.py:SqliteSink._commit": "whatever fails, these acks must be answered",
}


def modules() -> list[Module]:
    return [Module(ROOT, path) for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


MODULES = modules()


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.path)
def test_a_module_keeps_the_rules(module: Module) -> None:
    found = [found for rule in layout.RULES for found in rule(module)]

    assert found == [], "\n" + "\n".join(f"{one.where}: {one.what}" for one in found)


@pytest.mark.parametrize("rule", rooms.RULES, ids=lambda rule: rule.__name__)
def test_the_rooms_keep_their_rules(rule: Callable[[list[Module]], Iterator[Found]]) -> None:
    found = list(rule(MODULES))

    assert found == [], "\n" + "\n".join(f"{one.where}: {one.what}" for one in found)


def loaded_by(program: str) -> set[str]:
    """The modules that a process holds after running this, and nothing else."""
    program += "\nimport sys; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


def test_a_second_program_can_be_written_without_loading_the_intake() -> None:
    """What reads settings, forks, logs and shares memory is for any program of the project."""
    files = [
        file for room in ("config/framework", "master", "shared") for file in (ROOT / "server" / room).glob("*.py")
    ]
    names = sorted(file.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".") for file in files)
    imports = ", ".join(name for name in names if not name.endswith("__init__"))
    loaded = loaded_by(f"import server.log, {imports}")
    rooms_of_the_intake = (
        "server.http",
        "server.intake",
        "server.sink",
        "server.catalog",
        "server.worker",
        "server.auth",
    )

    assert sorted(name for name in loaded if name.startswith(rooms_of_the_intake)) == []


@pytest.mark.parametrize("file", ["None", "Path('deploy/config/kafka.yaml')"])
def test_reading_settings_loads_no_schema_compiler_no_http_client_and_no_broker_client(file: str) -> None:
    """Of ``validators`` it loads the reader of YAML 1.2 alone."""
    loaded = loaded_by(f"from pathlib import Path; from server.config.load import load; load({file}, [], {{}})")

    assert {name for name in loaded if name.startswith("validators")} == {
        "validators",
        "validators.load",
        "validators.load.yaml12",
    }
    assert loaded & {"aiohttp", "confluent_kafka", "fastjsonschema", "uvloop"} == set()


def test_the_halves_of_the_quick_tests_share_nothing_and_leave_nothing_out() -> None:
    first, second = quick.halves(["kafka"])

    assert all((ROOT / folder).is_dir() for folder in quick.FIRST)
    assert first == [*quick.FIRST, "--ignore=tests/kafka"]
    assert {f"--ignore={folder}" for folder in quick.FIRST} | {"--ignore=tests/kafka"} == {
        one for one in second if one.startswith("--ignore")
    }


def test_everything_is_caught_only_where_the_list_gives_a_reason() -> None:
    found = {function: line for module in MODULES for function, line in layout.broad_excepts(module)}

    assert found.keys() - BROAD_EXCEPTS.keys() == set(), "catch what you expect, or add it to the list with a reason"
    assert BROAD_EXCEPTS.keys() - found.keys() == set(), "no longer there: take it off the list"


def test_the_hot_files_say_so() -> None:
    hot = {module.path.split("/")[1] for module in MODULES if layout.is_hot(module) and "/" in module.path}

    assert {"http", "intake", "sink"} <= hot


def test_the_master_loads_no_loop_and_no_broker_client() -> None:
    files = sorted((ROOT / "server" / "master").glob("*.py"))
    names = ", ".join(f"server.master.{file.stem}" for file in files if file.stem != "__init__")
    banned = ("asyncio", "uvloop", "confluent_kafka", "validators", "server.http", "server.intake", "server.sink")
    program = f"import sys, {names or 'server.master'}\nprint(*(set({banned!r}) & sys.modules.keys()))"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []


def test_workers_and_the_master_do_not_load_what_most_of_them_do_not_need() -> None:
    """The HTTP client takes 15 MB, which the fetcher and the admin process alone need, as that one does what writes
    metrics down; cryptography takes 8, where tokens are taken."""
    program = (
        "import sys, server.worker.process, server.boot.generation\n"
        "print(*({'aiohttp', 'prometheus_client', 'jwt', 'cryptography', 'opentelemetry'} & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert (result.returncode, result.stdout.split()) == (0, []), result.stderr


def tracked_files() -> Iterator[Path]:
    """What git has or would take; in an unpacked archive everything that is not hidden or built."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    if result.returncode == 0:
        yield from (ROOT / name for name in result.stdout.split("\0") if name)
    else:
        for package in (*PACKAGES, "deploy", "docs", "requirements"):
            yield from (ROOT / package).rglob("*")


def test_no_tracked_file_holds_paths_or_addresses_of_a_workplace() -> None:
    found: list[Found] = []
    for path in tracked_files():
        if path.is_file() and "__pycache__" not in path.parts:
            text = path.read_bytes().decode("utf-8", errors="replace")
            found += layout.check_text(path.relative_to(ROOT).as_posix(), text)

    assert found == []


DOC = '"""A module.\n\nPlace: here.\nRule: one.\nNot here: more.\n"""\n'

BREACHES = {
    "http imports intake": ("server/http/a.py", DOC + "from server.intake import pipeline\n", "imports"),
    "http imports sink by its package": ("server/http/a.py", DOC + "from server import sink\n", "imports"),
    "intake imports http inside a function": (
        "server/intake/a.py",
        DOC + "def f():\n import server.http.request\n",
        "imports",
    ),
    "sink imports intake": ("server/sink/a.py", DOC + "import server.intake.verdict\n", "imports"),
    "filter imports intake": ("server/filter/a.py", DOC + "import server.intake.verdict\n", "imports"),
    "the master imports asyncio": ("server/master/a.py", DOC + "import asyncio\n", "imports"),
    "the master imports a broker client": (
        "server/master/a.py",
        DOC + "from confluent_kafka import Producer\n",
        "imports",
    ),
    "the master imports the catalog": ("server/master/a.py", DOC + "from server.catalog import build\n", "imports"),
    "validators imports server": ("validators/a.py", DOC + "from server.errors import PenstockError\n", "imports"),
    "validators imported in a second place": (
        "server/worker/process.py",
        DOC + "import validators.registry\n",
        "imports",
    ),
    "the HTTP client imported in a second place": ("server/fetch/a.py", DOC + "import aiohttp\n", "imports"),
    "tokens verified in a second place": ("server/auth/a.py", DOC + "import jwt\n", "imports"),
    "spans made in a second place": ("server/worker/process.py", DOC + "import opentelemetry.sdk.trace\n", "imports"),
    "tracing imports http": ("server/tracing/a.py", DOC + "from server.http.request import Request\n", "imports"),
    "metrics imports the worker": ("server/metrics/a.py", DOC + "from server.worker import process\n", "imports"),
    "auth imports intake": ("server/auth/a.py", DOC + "from server.intake.verdict import Verdict\n", "imports"),
    "no docstring": ("server/a.py", "x = 1\n", "docstring"),
    "a docstring without its place": ("server/a.py", '"""A.\n\nRule: one.\nNot here: more.\n"""\n', "docstring"),
    "a package with code and no docstring": ("server/a/__init__.py", "x = 1\n", "docstring"),
    "401 lines": ("server/a.py", DOC + "x = 1\n" * 396, "length"),
    "except pass": ("server/a.py", DOC + "try:\n x = 1\nexcept ValueError:\n pass\n", "silence"),
    "except with dots": ("tests/a.py", '"""T."""\ntry:\n x = 1\nexcept ValueError:\n ...\n', "silence"),
    "a coroutine on the hot path": ("server/sink/a.py", DOC + "# hot path\nasync def f(): return 1\n", "hot path"),
    "a task": ("server/http/a.py", DOC + "# hot path\ndef f(loop, c): loop.create_task(c)\n", "hot path"),
    "a timer": ("server/http/a.py", DOC + "# hot path\ndef f(loop, c): loop.call_later(1, c)\n", "hot path"),
    "a lambda": ("server/http/a.py", DOC + "# hot path\ndef f(): return lambda: 1\n", "hot path"),
    "a partial": (
        "server/http/a.py",
        DOC + "# hot path\nimport functools\ndef f(): return functools.partial(f)\n",
        "hot path",
    ),
    "a closure": ("server/http/a.py", DOC + "# hot path\ndef f():\n def g(): return 1\n return g\n", "hot path"),
    "a log line": ("server/http/a.py", DOC + "# hot path\nclass A:\n def f(self): self._log.info('x')\n", "hot path"),
    "a cold mark without a reason": (
        "server/sink/a.py",
        DOC + "# hot path\nasync def f():  # cold\n return 1\n",
        "hot path",
    ),
    "utils.py": ("server/utils.py", DOC, "names"),
    "a Manager": ("server/a.py", DOC + "class StreamManager: x = 1\n", "names"),
    "a Base class": ("server/a.py", DOC + "class BaseSink: x = 1\n", "names"),
    "a name that says nothing": ("server/a.py", DOC + "data = 1\n", "names"),
    "an argument that says nothing": ("server/a.py", DOC + "def f(data): return 1\n", "names"),
}

ROOM_BREACHES = {
    "a ring of rooms": ({"server/a/x.py": "import server.b.y\n", "server/b/y.py": "import server.a.x\n"}, "rings"),
    "a ring by way of a ground-floor file": (
        {"server/log.py": "import server.a.x\n", "server/a/x.py": "import server.log\n"},
        "ways",
    ),
    "config imports the sink": ({"server/config/x.py": "import server.sink.base\n"}, "ways"),
    "boot imports a command": ({"server/boot/x.py": "from server.commands import check\n"}, "ways"),
    "the server imports the consumer side": ({"server/worker/x.py": "import eventstreams.flow.hub\n"}, "ways"),
    "the server imports soak": ({"server/worker/x.py": "import soak.books\n"}, "ways"),
    "a bench imports a test": ({"bench/x.py": "from tests.process import churn\n"}, "harness"),
    "the harness imports a bench": ({"tests/harness/x.py": "from bench import quick\n"}, "harness"),
    "21 files in a room": ({f"server/a/x{number}.py": "" for number in range(21)}, "fullness"),
}

KEPT = {
    "a type-only import": (
        "server/http/a.py",
        DOC + "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n from server.intake.event import Event\n",
    ),
    "an empty package": ("server/http/__init__.py", ""),
    "rules in the plural": ("server/a.py", DOC.replace("Rule: one.", "Rules, kept by all:\n1. one.")),
    "a cold function with its reason": (
        "server/sink/a.py",
        DOC + "# hot path\nasync def f():  # cold: at start-up\n log.info('x')\n",
    ),
    "a declaration in a Protocol": (
        "server/sink/a.py",
        DOC + '# hot path\nclass Sink(Protocol):\n async def open(self) -> None:\n  """Open."""\n',
    ),
    "a value named error": ("server/intake/a.py", DOC + "# hot path\ndef f(verdict): return verdict.error('x')\n"),
    "a test with one sentence": ("tests/test_a.py", '"""It is so."""\nx = 1\n'),
}


def module_of(tmp_path: Path, path: str, text: str) -> Module:
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return Module(tmp_path, file)


@pytest.mark.parametrize("case", BREACHES)
def test_a_breach_is_caught(case: str, tmp_path: Path) -> None:
    path, text, rule = BREACHES[case]
    module = module_of(tmp_path, path, text)

    assert {found.rule for check in layout.RULES for found in check(module)} == {rule}


@pytest.mark.parametrize("case", ROOM_BREACHES)
def test_a_breach_of_a_room_is_caught(case: str, tmp_path: Path) -> None:
    files, rule = ROOM_BREACHES[case]
    found = [module_of(tmp_path, path, DOC + text) for path, text in files.items()]

    assert rule in {breach.rule for check in rooms.RULES for breach in check(found)}


def test_a_room_may_use_the_ground_floor_the_folders_inside_it_and_what_is_below(tmp_path: Path) -> None:
    files = {
        "server/log.py": "",
        "server/a/x.py": "import server.log, server.a.inner.y, server.b.z\n",
        "server/a/inner/y.py": "import server.a.x\n",
        "server/b/z.py": "import server.log\n",
        "server/commands/c.py": "import server.a.x, soak.books\n",
        "soak/books.py": "import server.b.z\n",
    }
    found = [module_of(tmp_path, path, DOC + text) for path, text in files.items()]

    assert [breach for check in rooms.RULES for breach in check(found)] == []


@pytest.mark.parametrize("case", KEPT)
def test_what_is_allowed_is_not_caught(case: str, tmp_path: Path) -> None:
    module = module_of(tmp_path, *KEPT[case])

    assert [found for check in layout.RULES for found in check(module)] == []


@pytest.mark.parametrize(
    "handler",
    ["except Exception:\n   x = 2", "except:\n   x = 2", "except (OSError, BaseException) as error:\n   raise A"],
)
def test_a_broad_except_is_found_with_its_function(handler: str, tmp_path: Path) -> None:
    module = module_of(tmp_path, "server/a.py", DOC + f"class A:\n def f(self):\n  try:\n   x = 1\n  {handler}\n")

    assert [name for name, _ in layout.broad_excepts(module)] == ["server/a.py:A.f"]


def test_a_broad_except_that_raises_again_is_not_one(tmp_path: Path) -> None:
    module = module_of(
        tmp_path, "server/a.py", DOC + "def f():\n try:\n  x = 1\n except Exception:\n  x = 2\n  raise\n"
    )

    assert list(layout.broad_excepts(module)) == []


@pytest.mark.parametrize(
    "text",
    [
        "see /" + "work/main",
        "--index-" + "url https://example.org/simple",
        "--find-" + "links=wheels",
        "https://" + "pypi" + ".org/simple",
    ],
)
def test_text_of_a_workplace_is_found(text: str) -> None:
    assert [found.rule for found in layout.check_text("a.txt", f"first\n{text}\n")] == ["text"]
