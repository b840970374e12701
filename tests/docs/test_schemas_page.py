"""docs/SCHEMAS.md: a schema is changed as the page shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs import shell


@pytest.mark.slow(reason="ten commands are started")
def test_a_schema_is_changed_as_the_page_shows_it(tmp_path: Path) -> None:
    shell.run("SCHEMAS.md", tmp_path)


def test_every_block_of_commands_is_run() -> None:
    assert {kind for kind, _ in shell.blocks_of("SCHEMAS.md")} == {"sh", "text", "yaml"}
