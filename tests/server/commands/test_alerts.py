"""``penstock alerts generate``: the rules are Prometheus', and each fires in its fault and at no other time."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.__main__ import main
from tests.server.canary.test_event import example, schema

STREAMS: dict[str, dict[str, Any]] = {
    "shop.order": {"alarms": {"owner": "shop-team", "severity": "page", "expected_min_per_h": 100}},
    "web.page_view": {},
    "off": {"alarms": {"enabled": False, "expected_min_per_h": 5}},
    "disabled": {"alarms": {"expected_min_per_h": 5}, "producers": {"eventgate": {"enabled": False}}},
    "/^r/": {"alarms": {"expected_min_per_h": 5}},
}


def write(directory: Path) -> str:
    path = directory / "schemas" / "a" / "b" / "1.0.0.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(schema("1.0.0", examples=[example("/a/b/1.0.0")])))
    streams = {name: {"schema_title": "a/b", **more} for name, more in STREAMS.items()}
    (directory / "streams.yaml").write_text(json.dumps({"streams": streams}))
    file = directory / "settings.yaml"
    file.write_text("sink: {kind: memory}\nschemas: {base_uris: [schemas]}\nstreams: {sources: [streams.yaml]}\n")
    return str(file)


def alerts(text: str) -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(text)["groups"]
    return [rule for rule in group["rules"] if "alert" in rule]


def test_streams_have_rules_with_their_owner_as_their_settings_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["alerts", "generate", "-c", write(tmp_path), "--steady", "web.page_view"]) == 0

    found = alerts(capsys.readouterr().out)
    assert [(rule["alert"], rule["labels"]["stream"]) for rule in found] == [
        ("PenstockStreamBelowMinimum", "shop.order"),
        ("PenstockStreamStopped", "web.page_view"),
        ("PenstockStreamOffMean", "web.page_view"),
    ]
    assert found[0]["labels"] == {"severity": "page", "stream": "shop.order", "owner": "shop-team"}
    assert found[1]["labels"] == {"severity": "ticket", "stream": "web.page_view", "owner": ""}


def test_promtool_finds_nothing_wrong_and_its_tests_pass(tmp_path: Path) -> None:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is missing (Debian: prometheus)")
    (tmp_path / "tests").mkdir()
    files = ["-o", str(tmp_path / "rules.yml"), "--tests", str(tmp_path / "tests" / "rules_test.yml")]
    steady = ["--steady", "web.page_view", "--steady", "shop.order"]
    assert main(["alerts", "generate", "-c", write(tmp_path), *steady, *files]) == 0

    for command in (["check", "rules", "rules.yml"], ["test", "rules", "tests/rules_test.yml"]):
        done = subprocess.run([program, *command], cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
    assert len(yaml.safe_load((tmp_path / "tests" / "rules_test.yml").read_text())["tests"]) == 5


def test_what_cannot_be_done_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path)
    assert main(["alerts", "generate", "-c", file, "--tests", "x"]) == 2
    assert main(["alerts", "generate", "-c", file, "--steady", "off"]) == 2
    said = capsys.readouterr().err
    assert "--tests needs -o FILE" in said and "--steady: there are no rules of off" in said
