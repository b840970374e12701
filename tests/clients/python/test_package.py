"""The package is small to import, changes nothing by that, and its README is true."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from penstock_client import AsyncIntake, Intake
from penstock_client.options import Options, OptionValues
from penstock_client.testing import FaultServer
from tests.harness.running import ROOT

PACKAGE = ROOT / "clients" / "python"
SOURCES = PACKAGE / "src"
README = (PACKAGE / "README.md").read_text(encoding="utf-8")


def run(program: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *options, "-c", program]
    environ = os.environ | {"PYTHONPATH": str(SOURCES)}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)


def test_importing_it_starts_prints_and_configures_nothing() -> None:
    program = """
import logging, signal, sys, threading
before = list(logging.root.handlers), signal.getsignal(signal.SIGTERM), sys.excepthook
import penstock_client
assert (list(logging.root.handlers), signal.getsignal(signal.SIGTERM), sys.excepthook) == before
assert threading.active_count() == 1
"""
    done = run(program, "-W", "error")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_importing_it_loads_no_module_that_takes_long() -> None:
    """A client loads them when it is made. What is left takes a few milliseconds, most of it ``threading``."""
    done = run("import sys; from penstock_client import Intake, exit_on_sigterm; print(*sys.modules)", "-S")
    slow = {"asyncio", "contextlib", "dataclasses", "datetime", "email", "enum", "http", "json", "logging", "random"}
    slow |= {"re", "signal", "socket", "sqlite3", "ssl", "typing", "urllib", "uuid", "weakref", "zlib"}
    own = {"client", "errors", "intake", "process", "version"}
    loaded = set(done.stdout.split())

    assert slow & loaded == set()
    assert {name.removeprefix("penstock_client.") for name in loaded if name.startswith("penstock_client.")} == own


def test_it_imports_the_standard_library_alone() -> None:
    allowed = sys.stdlib_module_names | {"penstock_client"}
    optional = {"jsonschema_rs", "opentelemetry", "prometheus_client", "pytest"}  # Each where it is asked for alone.
    found = set()
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add((node.module or "").split(".")[0])

    assert found - allowed <= optional


def test_the_wheel_holds_the_package_and_its_types(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=PACKAGE, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if name.startswith("penstock_client/")}
        metadata = archive.read(next(name for name in archive.namelist() if name.endswith("/METADATA"))).decode()

    files = {f"penstock_client/{path.name}" for path in (SOURCES / "penstock_client").iterdir() if path.is_file()}
    assert names == files
    assert not re.search(r"^Requires-Dist: (?!.*extra ==)", metadata, re.MULTILINE), "no dependency"


def test_the_first_example_of_the_readme_runs(faulty: FaultServer) -> None:
    (example, *_) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    done = run(example.replace("http://127.0.0.1:8192", faulty.url))

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "FlushResult(sent=1, rejected=0, pending=0, dropped=0)\n"


def test_the_readme_and_the_help_name_every_option() -> None:
    names = set(OptionValues.__annotations__)
    table = README.partition("## Options")[2].partition("## Coming")[0]
    undescribed = {
        "retry_base_s",
        "retry_cap_s",
        "receipts",
        "settle_s",
        "exit_timeout_s",
        "block_s",
        "dumps",
        "headers",
    }

    assert set(re.findall(r"`([a-z_]+)`", table)) >= names
    assert {name for name in names if f"``{name}``" not in (Options.__doc__ or "")} <= undescribed


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8192",
        "ftp://a",
        "http://",
        "http://a/?x=1",
        "http://u:p@a",
        "https://a/#x",
        "http://a:99999",
        "http://a:0",
        "http://a:b",
        "http://[::1",
        "http://a b",
        "http://a\n",
        None,
        5,
        b"http://a",
    ],
)
def test_an_address_that_is_none_is_refused(url: object) -> None:
    with pytest.raises(ValueError, match=r"is not the address|give the address alone"):
        Options(url)  # type: ignore[arg-type]


def test_the_path_of_events_may_be_given() -> None:
    assert Options("https://a.example:1/intake/v1/events/").url == "https://a.example:1/intake"


NAN, INFINITE = float("nan"), float("inf")
WAITS = ("timeout_s", "linger_s", "block_s", "retry_base_s", "retry_cap_s", "settle_s", "exit_timeout_s")
UNUSABLE: dict[str, list[object]] = {
    **{name: ["x", NAN, INFINITE, 1e300, -1, True, []] for name in (*WAITS, "max_age_s", "streams_ttl_s")},
    **{name: ["5", 0, -1, None, 1.5, True] for name in ("max_batch_events", "max_batch_bytes", "spool_max_bytes")},
    **{name: ["5", 0, -1, None, 1.5, True] for name in ("max_queue_events", "max_queue_bytes")},
    **{name: ["no", 1, None] for name in ("hasty", "receipts", "set_dt", "debug")},
    **{name: [5, {}, "print"] for name in ("dumps", "on_drop", "validator")},
    **{name: [5, b"x", ["x"]] for name in ("report_stream", "domain")},
    "compress_over": ["x", -1, 1.5, True],
    "on_full": ["wait", None, 5, []],
    "streams": ["always", 5, [], {"/(/": {}}, {5: {}}],
    "context": [5, "x"],
    "ssl_context": ["x", 5, True],
    "headers": [5, "x", {"X": "a\r\nb"}, {"X": 5}, {5: "x"}, {"": "x"}, {"a b": "x"}, {"X": "é"}],
    "key": [5, "a\r\nb"],
    "services": [5, ["http://a"], {"a": 5}, {"a": "b"}],
    "schemas": [5, {"a": 5}, {5: "a"}],
    "streams_url": [5, "x", "", "ftp://a", "http://a/#x"],
    "ids": [5, ["a"], {"session": 5}, {"session": "zz"}, {"session": "12"}],
    "spool": [5, "", []],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[(name, value) for name, values in UNUSABLE.items() for value in values],
        *[(name, None) for name in (*WAITS, "streams_ttl_s")],
        *[(name, 0) for name in ("timeout_s", "max_age_s", "streams_ttl_s")],
    ],
)
@pytest.mark.parametrize("make", [Intake, AsyncIntake])
def test_an_option_that_cannot_be_used_is_refused(make: Any, name: str, value: object) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        make("http://a", **{name: value})


def test_every_option_is_checked() -> None:
    assert set(UNUSABLE) == set(OptionValues.__annotations__)


@pytest.mark.parametrize("url", ["http://a..b", f"http://{'a' * 64}.org", "http://.a"])
def test_a_name_that_cannot_be_looked_up_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is not the address"):
        Options(url)
