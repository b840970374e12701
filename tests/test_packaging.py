"""What is installed is ours, whole, pinned, and of one version."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from server.version import VERSION
from tests.layout import Module

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
REQUIREMENTS = ROOT / "requirements"
OWNERS = {"pyflink": "apache-flink"}  # It is installed in an environment of its own.
NEWER_STDLIB = {"compression"}  # Of Python 3.14; before, backports.zstd stands in.


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names_in(file: Path) -> set[str]:
    """Package names of a requirements file."""
    return {
        normal(match[1]) for match in re.finditer(r"^([A-Za-z][\w.-]*)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }


@pytest.mark.parametrize("package", ["eventstreams", "processors", "server", "soak", "validators", "bench", "tests"])
def test_no_other_distribution_owns_our_package_names(package: str) -> None:
    """A public project named validators would silently overwrite ours in one environment."""
    owners = set(importlib.metadata.packages_distributions().get(package, []))
    spec = importlib.util.find_spec(package)

    assert owners <= {"penstock"}
    assert spec is not None
    assert [Path(place).resolve() for place in spec.submodule_search_locations or []] == [ROOT / package]


def test_the_version_is_said_once() -> None:
    distributions = importlib.metadata.packages_distributions()

    assert "version" in PROJECT["project"]["dynamic"]
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "server/version.py"
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)
    if "penstock" in {name for owners in distributions.values() for name in owners}:
        assert importlib.metadata.version("penstock") == VERSION


def test_it_cannot_be_uploaded_by_mistake() -> None:
    assert "Private :: Do Not Upload" in PROJECT["project"]["classifiers"]


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        (PROJECT["project"]["dependencies"], "runtime"),
        (PROJECT["project"]["optional-dependencies"]["otel"], "otel"),
        (PROJECT["project"]["optional-dependencies"]["flink"], "flink"),
        (PROJECT["project"]["optional-dependencies"]["lake"], "lake"),
    ],
    ids=["runtime", "otel", "flink", "lake"],
)
def test_the_project_depends_on_what_is_pinned(wanted: list[str], name: str) -> None:
    declared = {normal(re.split(r"[\[<>=!~ ]", one)[0]) for one in wanted}

    assert declared == names_in(REQUIREMENTS / f"{name}.in")
    assert declared <= names_in(REQUIREMENTS / f"{name}.txt")


def owners_of(name: str, by_package: Mapping[str, list[str]]) -> set[str]:
    """The distributions that have a module; of a namespace that several share, those with this very file."""
    top = name.split(".")[0]
    owners = set(by_package.get(top, [top]))
    if len(owners) == 1:
        return owners
    files = {f"{name.replace('.', '/')}{end}" for end in (".py", "/__init__.py")}
    return {owner for owner in owners if files & {str(file) for file in importlib.metadata.files(owner) or ()}}


def test_what_the_product_imports_is_what_it_depends_on() -> None:
    ours = {"eventstreams", "processors", "server", "soak", "validators"}
    imported = {
        name
        for package in ours
        for path in (ROOT / package).rglob("*.py")
        for name, _ in Module(ROOT, path).runtime_imports
    }
    theirs = {name for name in imported if name.split(".")[0] not in sys.stdlib_module_names | NEWER_STDLIB | ours}
    by_package = importlib.metadata.packages_distributions()
    needed = {OWNERS.get(owner) or normal(owner) for name in theirs for owner in owners_of(name, by_package)}
    declared = set().union(*(names_in(REQUIREMENTS / f"{extra}.in") for extra in ("runtime", "otel", "flink", "lake")))

    compiling = names_in(REQUIREMENTS / "compile.in")  # For server.compiled.build alone.
    assert needed - declared - compiling == set(), "name it in requirements/runtime.in and pyproject.toml"
    assert declared - needed == set(), "nothing imports it any more"


def test_the_hot_path_is_compiled_by_the_mypy_that_checks_types() -> None:
    pinned = {}
    for name in ("compile", "dev"):
        text = (REQUIREMENTS / f"{name}.txt").read_text(encoding="utf-8")
        pinned[name] = dict(re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE))

    assert pinned["compile"].items() <= pinned["dev"].items()


@pytest.mark.parametrize("name", ["runtime", "otel", "flink", "lake", "lake-dev", "build", "compile", "dev", "load"])
def test_every_requirement_is_pinned_with_hashes_and_names_no_registry(name: str) -> None:
    text = (REQUIREMENTS / f"{name}.txt").read_text(encoding="utf-8")
    requirements = re.split(r"\n(?=[A-Za-z])", text.split("\n#\n", 1)[-1])
    pinned = [one for one in requirements if not one.startswith(("#", "-"))]

    assert pinned
    assert all(
        re.match(r"^[\w.-]+==[\w.]+( ; python_version < \"[\d.]+\")? \\\n    --hash=sha256:[0-9a-f]{64}", one)
        for one in pinned
    )
    assert "://" not in text


def test_what_several_files_pin_is_pinned_alike() -> None:
    pins: dict[str, set[str]] = {}
    for file in REQUIREMENTS.glob("*.txt"):
        if file.stem == "flink":
            continue  # Flink forbids the protobuf of others: an environment of its own, with the same runtime.
        for name, version in re.findall(r"^([\w.-]+)==([\w.]+)", file.read_text(encoding="utf-8"), re.MULTILINE):
            pins.setdefault(name, set()).add(version)

    assert {name: versions for name, versions in pins.items() if len(versions) > 1} == {}
    assert pinned_in("runtime").items() <= pinned_in("flink").items()


def pinned_in(name: str) -> dict[str, str]:
    """Package → version in a requirements file."""
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", (REQUIREMENTS / f"{name}.txt").read_text("utf-8"), re.MULTILINE))


def test_a_wheel_holds_both_packages_with_the_examples(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        held = set(wheel.namelist())
    examples = {
        path.relative_to(ROOT).as_posix()
        for folder in ("server/examples", "processors/page_change/example")
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
    }

    packages = {"eventstreams", "processors", "server", "soak", "validators"}
    assert {name.split("/")[0] for name in held} == {*packages, f"penstock-{VERSION}.dist-info"}
    assert {"server/__main__.py", "validators/__init__.py", "eventstreams/web/page/ui.html"} | examples <= held
