"""The reference page is what the structs say."""

from __future__ import annotations

import contextlib
import gc
from pathlib import Path
from typing import Any

import msgspec

from server.config.framework import shape
from server.config.settings import Config
from server.config.settings_page import _meaning, render

PAGE = Path(__file__).parents[3] / "docs" / "SETTINGS.md"


def test_the_committed_page_is_the_rendered_one() -> None:
    assert PAGE.read_text() == render(), "run: python -m server.config.settings_page > docs/SETTINGS.md"


def test_every_setting_has_a_meaning_that_is_a_sentence() -> None:
    for path, kind in shape.every(Config):
        assert _meaning(kind).endswith("."), path


def test_every_default_is_within_its_own_bounds() -> None:
    assert msgspec.convert(msgspec.to_builtins(Config()), Config) == Config()


def test_judging_values_by_these_types_breaks_nothing_in_msgspec() -> None:
    """A pattern inside a union of text and list is freed once too often by msgspec 0.22: the collector then crashes."""
    values: list[Any] = ["", "x", 5, ["x"], [5], {}]
    for _, kind in shape.every(Config):
        for value in values:
            for _ in range(5):
                with contextlib.suppress(msgspec.ValidationError):
                    msgspec.convert(value, kind)

    gc.collect()


def test_every_setting_is_on_the_page() -> None:
    page = render()

    for path, kind in shape.every(Config):
        if shape.section_of(kind) is None:
            assert f"| `{path[-1]}` |" in page
