"""docs/TUTORIAL.md: its commands run as they stand there, and say what the page shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs import shell


@pytest.mark.slow(reason="a service is started, reloaded twice and drained")
def test_the_commands_of_the_tutorial_say_what_the_page_shows(tmp_path: Path) -> None:
    shell.run("TUTORIAL.md", tmp_path)


def test_every_block_of_commands_is_run() -> None:
    """A block of another kind, such as `bash`, would be shown and not run."""
    assert {kind for kind, _ in shell.blocks_of("TUTORIAL.md")} == {"sh", "text"}
