"""``penstock types`` writes types that type checkers understand, always the same ones, and says when they are old."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from server.__main__ import main
from tests.harness.running import ROOT
from tests.harness.served import EXAMPLES


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """The example settings, in a folder of their own."""
    shutil.copytree(EXAMPLES, tmp_path / "settings", symlinks=True)
    return tmp_path / "settings" / "settings.yaml"


def types(settings: Path, language: str, *more: str) -> int:
    return main(["types", "-c", str(settings), "--lang", language, *more])


@pytest.mark.parametrize("language", ["py", "ts"])
def test_the_same_schemas_give_the_same_bytes(language: str, settings: Path, tmp_path: Path) -> None:
    texts = set()
    for number in range(2):
        path = tmp_path / f"events{number}"
        assert types(settings, language, "-o", str(path)) == 0
        texts.add((path.read_text(), path.with_name(f"{path.name}.lock").read_text()))

    assert len(texts) == 1


def test_a_check_says_which_streams_have_changed(
    settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "events.py"
    schema = settings.parent / "schemas" / "app" / "tick" / "1.0.0.yaml"
    streams = settings.parent / "streams.yaml"
    assert types(settings, "py", "-o", str(path)) == 0
    assert types(settings, "py", "-o", str(path), "--check") == 0

    schema.write_text(schema.read_text().replace("minimum: 0", "minimum: 1"))
    assert types(settings, "py", "-o", str(path), "--check") == 1
    assert (
        capsys.readouterr().err == "penstock: stream /^app\\.tick\\..+/: the content of /app/tick/1.0.0 has changed\n"
    )

    streams.write_text(streams.read_text().replace("  shop.order:", "  shop.orders:"))
    assert types(settings, "py", "-o", str(path), "--check") == 1
    assert "stream shop.order is no longer declared\npenstock: stream shop.orders is new" in capsys.readouterr().err


@pytest.mark.parametrize("spoil", ["", "# one line more\n"])
def test_a_check_finds_a_file_that_is_missing_or_was_edited(spoil: str, settings: Path, tmp_path: Path) -> None:
    path = tmp_path / "events.ts"
    assert types(settings, "ts", "-o", str(path)) == 0
    if spoil:
        path.write_text(path.read_text() + spoil)
    else:
        path.unlink()

    assert types(settings, "ts", "-o", str(path), "--check") == 1


def test_only_the_streams_that_are_asked_for_get_types(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert types(settings, "ts", "--stream", "web.page_view", "--stream", "app.tick.web") == 0
    text = capsys.readouterr().out

    assert '"web.page_view": WebPageView;' in text
    assert '"app.tick.web": AppTick' in text
    assert "ShopOrder" not in text
    assert types(settings, "ts", "--stream", "no.such") == 2


def test_the_lock_names_schema_and_hash_of_each_stream(settings: Path, tmp_path: Path) -> None:
    types(settings, "py", "-o", str(tmp_path / "events.py"))
    lock = json.loads((tmp_path / "events.py.lock").read_text())

    assert lock["language"] == "py"
    assert lock["streams"]["web.page_view"]["schema"] == "/web/page_view/1.1.0"
    assert len(lock["streams"]["web.page_view"]["sha256"]) == 64


PROGRAM = """
from penstock_client import Intake
from events import SCHEMAS, WebPageView, typed

intake = typed(Intake("http://127.0.0.1:8192", schemas=SCHEMAS))
intake.submit("web.page_view", {"page": "/", "load_ms": 3})
intake.submit("shop.order", {"order_id": "A-1", "total": 3, "lines": [{"article": "x", "count": 1}]})
intake.submit("app.tick.web", {"count": 1})
intake.submit("web.page_view", {"page": 3})  # wrong
intake.submit("web.page_view", {"pag": "/"})  # wrong
event: WebPageView = {}  # wrong
intake.submit("shop.order", {"order_id": "A", "total": 1, "status": "lost"})  # wrong
intake.submit("shop.order", {"order_id": "A", "total": 1, "lines": [{"article": "x"}]})  # wrong
"""


@pytest.mark.slow(reason="runs mypy")
def test_a_type_checker_finds_wrong_events_and_no_others(settings: Path, tmp_path: Path) -> None:
    types(settings, "py", "-o", str(tmp_path / "events.py"))
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "program.py", "--cache-dir=/dev/null"]
    environ = {"MYPYPATH": str(ROOT / "clients" / "python" / "src"), "PATH": ""}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=200)
    found = {int(number) for number in re.findall(r"^program.py:(\d+): error", done.stdout, re.MULTILINE)}
    wrong = {number for number, line in enumerate(PROGRAM.splitlines(), 1) if line.endswith("# wrong")}

    assert found == wrong, done.stdout + done.stderr


@pytest.mark.slow(reason="compiles some 200 schemas")
def test_types_of_real_streams_can_be_used(corpus: Path, tmp_path: Path) -> None:
    settings = {
        "schemas": {"base_uris": [str(corpus / "jsonschema")], "allow_insecure": True},
        "streams": {"sources": [str(corpus / "streams.yaml")]},
        "sink": {"kind": "memory"},
    }
    (tmp_path / "settings.yaml").write_text(json.dumps(settings))
    for language in ("py", "ts"):
        assert types(tmp_path / "settings.yaml", language, "-o", str(tmp_path / f"events.{language}")) == 0
    text = (tmp_path / "events.py").read_text()
    namespace: dict[str, object] = {}
    exec(compile(text, "events.py", "exec"), namespace)
    lock = json.loads((tmp_path / "events.py.lock").read_text())

    assert len(lock["streams"]) > 40
    assert (tmp_path / "events.ts").read_text().count("export interface") == text.count(" = TypedDict(")
