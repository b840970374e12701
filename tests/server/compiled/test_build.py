"""server.compiled.build: what it lacks is said in one line, and it is no fault."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from server.compiled import build, cache
from server.compiled.modules import MODULES

ROOT = Path(__file__).parents[3]


def test_without_a_compiler_it_says_so_in_one_line(tmp_path: Path) -> None:
    program = f"""if True:
        import sys
        from server.compiled import build, cache
        cache.find = lambda: cache.Found(None)
        sys.exit(build.main(["--into", {str(tmp_path / "built")!r}]))"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, env={**os.environ, "PATH": str(tmp_path)}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert done.returncode == build.EXIT_NO_COMPILER
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "no C compiler" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_the_headers_of_python_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/cc")
    monkeypatch.setattr(sysconfig, "get_path", lambda _: "/nowhere")

    assert "python3-dev" in build.lacking()


def test_without_mypyc_it_says_which_requirements_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cache, "find", lambda: cache.Found(None))
    monkeypatch.setattr(build, "lacking", lambda: "")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    assert build.main(["--into", str(tmp_path)]) == build.EXIT_NO_MYPYC
    assert "requirements/compile.txt" in capsys.readouterr().err


def test_only_the_newest_forms_are_kept(tmp_path: Path) -> None:
    for age in range(build.KEPT + 2):
        manifest = tmp_path / f"form{age}" / cache.MANIFEST
        manifest.parent.mkdir()
        manifest.touch()
        os.utime(manifest, (1_000_000 - age, 1_000_000 - age))
    build._forget_old(tmp_path)

    assert sorted(form.name for form in tmp_path.iterdir()) == [f"form{age}" for age in range(build.KEPT)]


def test_what_the_modules_import_is_in_the_manifest() -> None:
    used = build._used()

    assert {cache.path_of(module) for module in MODULES} <= used
    assert {"server/paths.py", "server/config/settings.py", "server/schemas/repository.py"} <= used
    assert "server/commands/serve.py" not in used


def test_what_is_there_already_is_copied_and_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tmp_path / "there" / "hash"
    there.mkdir(parents=True)
    (there / cache.MANIFEST).write_text("{}", encoding="utf-8")
    monkeypatch.setattr(cache, "find", lambda: cache.Found(there / "library.so"))
    monkeypatch.setattr(build, "lacking", lambda: pytest.fail("it began to build"))

    assert build.main(["--into", str(tmp_path / "place")]) == 0
    assert (tmp_path / "place" / "hash" / cache.MANIFEST).is_file()
