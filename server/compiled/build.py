"""``python -m server.compiled.build``: compile the listed modules with mypyc into the cache.

Place: make compile, deploy/wheel → HERE → server.compiled.cache.
Rules: it needs the packages of requirements/compile.txt, a C compiler and the headers of Python. If something is
lacking it says so in one line, and the exit code is 3 or, for mypyc alone, 4. A form that is there already is not made
again. Two builds at once do no harm: each works in a directory of its own, which takes its name when it is whole.
Not here: which modules they are (server.compiled.modules).
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from server.compiled import cache, finder
from server.compiled.modules import C_SOURCES, LIBRARY, MODULES, initialiser

PACKAGES: Final = ("server", "validators")  # Where types and constants of the listed modules come from.
# A function that is not declared would be taken for one that returns an int.
FLAGS: Final = ("-O2", "-g0", "-w", "-fvisibility=hidden", "-Werror=implicit-function-declaration")
KEPT: Final = 4  # Who goes from branch to branch compiles each once.
EXIT_NO_COMPILER: Final = 3
EXIT_NO_MYPYC: Final = 4


def lacking() -> str:
    """Return what of the system is needed for compiling and is not there; "" if all is."""
    compiler = _words("CC")[0]
    if shutil.which(compiler) is None:
        return f"no C compiler ({compiler})"
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        return "no headers of Python (Python.h; on Debian: apt install python3-dev)"
    return ""


def build(place: Path) -> Path:
    """Compile the listed modules into a directory of ``place``, and return it."""
    target = place / cache.key()
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place, prefix=".") as scratch:
        made = Path(scratch, "made")
        made.mkdir()
        used = sorted(_used() - {cache.path_of(module) for module in MODULES})
        manifest = {path: cache.digest((cache.ROOT / path).read_bytes()) for path in used}
        _compile(_translate(Path(scratch)), made / f"{LIBRARY}{cache.SUFFIX}")
        (made / cache.MANIFEST).write_text(json.dumps(manifest, indent=0), encoding="utf-8")
        if target.exists():  # It was made of other types and constants.
            target.rename(Path(scratch, "old"))
        made.rename(target)
    _forget_old(place)
    return target


def _forget_old(place: Path) -> None:
    """Remove all but the newest KEPT forms. A process that has loaded one goes on with it."""
    forms = sorted(place.glob(f"*/{cache.MANIFEST}"), key=lambda manifest: manifest.stat().st_mtime_ns, reverse=True)
    for manifest in forms[KEPT:]:
        shutil.rmtree(manifest.parent, ignore_errors=True)


def _translate(scratch: Path) -> list[Path]:
    """Write the modules as C."""
    from mypyc.build import mypyc_build
    from mypyc.common import RUNTIME_C_FILES
    from mypyc.options import CompilerOptions

    options = CompilerOptions(
        multi_file=True,
        target_dir=str(scratch),
        include_runtime_files=False,
        group_name=LIBRARY.removesuffix("__mypyc"),
    )
    # Types are checked by `make type`; here neither other modules nor packages without types are a reason to stop.
    arguments = ["--follow-imports=silent", "--ignore-missing-imports", *map(cache.path_of, MODULES)]
    _, files, more = mypyc_build(arguments, options)
    runtime = [*RUNTIME_C_FILES, *(source.path for source in more)]
    parts = {
        "runtime.c": "".join(f"#include <{name}>\n" for name in runtime),
        "shims.c": "#include <Python.h>\n" + "".join(map(_shim, MODULES)),
    }
    for name, text in parts.items():
        (scratch / name).write_text(text, encoding="utf-8")
    ours = [cache.ROOT / path for path in C_SOURCES if path.endswith(".c")]
    return [*(Path(name) for names, _ in files for name in names), *(scratch / name for name in parts), *ours]


def _shim(module: str) -> str:
    inner = "CPyInit_" + module.replace(".", "___")
    outer = f"PyMODINIT_FUNC PyInit_{initialiser(module)}(void)"
    return f"extern PyObject *{inner}(void);\n{outer} {{ return {inner}(); }}\n"


def _compile(sources: Sequence[Path], library: Path) -> None:
    """Compile and link C files, as many at once as there are processors."""
    import mypyc

    includes = {sysconfig.get_path("include"), sysconfig.get_path("platinclude")}
    scratch = sources[0].parent
    includes |= {str(scratch), str(Path(mypyc.__file__).with_name("lib-rt"))}
    flags = [*_words("CFLAGS"), *_words("CCSHARED"), *FLAGS, *(f"-I{directory}" for directory in sorted(includes))]

    def one(source: Path) -> str:
        result = str(scratch / f"{source.stem}.o")  # Not beside our own C, which is among the sources.
        _run([*_words("CC"), *flags, "-c", str(source), "-o", result])
        return result

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        results = list(pool.map(one, sorted(sources, key=lambda source: -source.stat().st_size)))
    _run([*_words("LDSHARED"), *results, "-o", str(library)])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"penstock: {shlex.join(command)} failed:\n{done.stderr}")


def _words(name: str) -> list[str]:
    """Return what Python was compiled with; the environment may name another compiler, as for setuptools."""
    return shlex.split(os.environ.get(name) or sysconfig.get_config_var(name) or "") or ["cc"]


def _used() -> set[str]:
    """Return the sources that the listed modules import, directly or not, as seen from the root."""
    found: set[str] = set()
    waiting = [cache.path_of(module) for module in MODULES]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _imported(cache.ROOT / path)
    return found


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_bytes())):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            if name.partition(".")[0] in PACKAGES:
                for path in (cache.path_of(name), name.replace(".", "/") + "/__init__.py"):
                    if (cache.ROOT / path).is_file():
                        yield path


def main(arguments: Sequence[str] | None = None) -> int:
    """Compile what is not compiled."""
    parser = argparse.ArgumentParser(prog="python -m server.compiled.build", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--into", type=Path, default=cache.ROOT / cache.IN_TREE, metavar="DIRECTORY")
    options = parser.parse_args(arguments)
    place = options.into.resolve()
    there = cache.find().library
    if there is not None:
        if there.parent.parent != place:
            shutil.copytree(there.parent, place / there.parent.name, dirs_exist_ok=True)
        return 0
    lack = lacking()
    if lack:
        print(f"penstock: {lack}, so the hot path stays interpreted", file=sys.stderr)
        return EXIT_NO_COMPILER
    if importlib.util.find_spec("mypyc") is None or importlib.util.find_spec("setuptools") is None:
        print("penstock: mypyc is not installed (requirements/compile.txt)", file=sys.stderr)
        return EXIT_NO_MYPYC
    print(f"penstock: compiling {len(MODULES)} modules, once until they change", file=sys.stderr)
    began_s = time.monotonic()
    os.chdir(cache.ROOT)
    finder.load(str(build(place) / f"{LIBRARY}{cache.SUFFIX}"))
    print(f"penstock: compiled in {time.monotonic() - began_s:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
