"""docs/EVOLUTION.md and docs/DEVELOPMENT.md: their commands run as they stand there, and say what the pages show."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs import shell

PAGES = ("EVOLUTION.md", "DEVELOPMENT.md")


@pytest.mark.slow(reason="a service is started, reloaded and drained")
@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_guide_say_what_the_page_shows(page: str, tmp_path: Path) -> None:
    shell.run(page, tmp_path)


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_commands_is_run(page: str) -> None:
    """A block of another kind, such as `bash`, would be shown and not run."""
    assert {kind for kind, _ in shell.blocks_of(page)} == {"sh", "text"}
