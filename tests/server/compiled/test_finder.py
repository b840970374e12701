"""server.compiled.finder: all listed modules run in one form, and the process knows in which and why."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from server.compiled import cache, finder
from server.compiled.finder import COMPILED, INTERPRETED, PURE, CompiledFinder, Mode
from server.compiled.modules import LIBRARY, MODULES, initialiser
from server.intake.books.counts import Counts

ROOT = Path(__file__).parents[3]
SAY = "from server.compiled import finder; import server.intake.receive as m; print(finder.mode().name, m.__file__)"


def run(**environment: str) -> str:
    """What a new process says of its form."""
    inherited = {name: value for name, value in os.environ.items() if name != PURE}
    done = subprocess.run(
        [sys.executable, "-c", SAY],
        cwd=ROOT, env={**inherited, **environment}, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def test_every_listed_module_exists_and_is_named_once() -> None:
    assert len({*MODULES}) == len({initialiser(module) for module in MODULES}) == len(MODULES)
    assert [module for module in MODULES if not (ROOT / cache.path_of(module)).is_file()] == []
    assert sorted(MODULES) == list(MODULES)


def test_every_listed_module_runs_in_the_form_that_is_said() -> None:
    ends = {(importlib.import_module(module).__file__ or "").endswith(".py") for module in MODULES}

    assert ends == {finder.mode().name == INTERPRETED}


def test_the_environment_can_force_the_sources() -> None:
    assert run(**{PURE: "1"}) == f"{INTERPRETED} {ROOT / 'server/intake/receive.py'}"
    assert run(**{PURE: "0"}) == run()


def test_what_has_run_as_source_stays_so() -> None:
    found = CompiledFinder((*MODULES, "json"))

    assert found.find_spec("json") is None
    assert found.mode() in (
        Mode(INTERPRETED, "json was imported before"),
        Mode(INTERPRETED, f"{PURE} is set"),
    )


def test_what_is_not_listed_is_left_to_others() -> None:
    assert CompiledFinder().find_spec("server.version") is None


def test_a_library_that_cannot_be_loaded_leaves_the_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / f"{LIBRARY}{cache.SUFFIX}"
    library.write_bytes(b"no library")
    monkeypatch.delenv(PURE, raising=False)
    monkeypatch.setattr(cache, "find", lambda: cache.Found(library))
    found = CompiledFinder(("server.that_is_not_imported",))

    assert found.find_spec("server.that_is_not_imported") is None
    assert found.mode().name == INTERPRETED
    assert "cannot be loaded" in found.mode().why


def test_a_traceback_names_file_and_line_in_both_forms() -> None:
    try:
        Counts().repeat(-1_000_000)
    except IndexError as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]

    assert Path(frame.filename).parts[-4:] == ("server", "intake", "books", "counts.py")
    assert frame.name == "repeat"
    assert "self.repeated[" in (frame.line or "")


def test_the_form_reads_well_in_the_log() -> None:
    assert str(Mode(COMPILED)) == "compiled"
    assert str(Mode(INTERPRETED, "for a reason")) == "interpreted (for a reason)"


FIRST = """\
import os, sys
from server.compiled.modules import MODULES
for module in MODULES:
    child = os.fork()
    if child == 0:
        __import__(module)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        print(module)
"""


def test_each_module_may_be_the_first_that_a_process_imports() -> None:
    """A class that names a type of a module that is not loaded yet ended the process."""
    done = subprocess.run(
        [sys.executable, "-c", FIRST], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )

    assert (done.stdout, done.returncode) == ("", 0), done.stderr
