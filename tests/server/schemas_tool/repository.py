"""A repository of schemas with one title, and what a check says of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from server.__main__ import main

FIRST = """\
title: shop/order
$id: /shop/order/1.0.0
type: object
additionalProperties: false
properties:
  number: {type: string}
examples:
  - number: A-17
"""
SECOND = FIRST.replace("1.0.0", "1.1.0").replace("{type: string}", "{type: string, maxLength: 8}")
HARMLESS = FIRST.replace("1.0.0", "1.1.0").replace("examples:", "  size: {type: integer}\nexamples:")


def put(root: Path, version: str, text: str) -> None:
    folder = root / "shop" / "order"
    folder.mkdir(parents=True, exist_ok=True)
    folder.joinpath(f"{version}.yaml").write_text(text)


def checked(capsys: pytest.CaptureFixture[str], root: Path, *options: str) -> tuple[int, list[dict[str, Any]]]:
    code = main(["schemas", "check", str(root), "--format", "json", *options])
    return code, json.loads(capsys.readouterr().out)["findings"]


def rules_of(outcome: tuple[int, list[dict[str, Any]]]) -> list[str]:
    return [found["rule"] for found in outcome[1]]
