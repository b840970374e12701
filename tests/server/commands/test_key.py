"""``penstock key``: its entry is one that the service accepts, wherever it is appended."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from server.auth.api_keys import hashed, is_key, new_key
from server.boot.examine import examine
from server.commands.key import run
from server.config.framework.finding import errors_of
from server.config.load import load
from server.errors import UsageError
from tests.harness.served import EXAMPLES

SETTINGS = """\
auth: {{key_files: [keys.yaml]}}
schemas: {{base_uris: ["{examples}/schemas"]}}
streams: {{sources: ["{examples}/streams.yaml"]}}
sink: {{kind: memory}}
"""


def made(name: str, file: Path | None, given: str | None = None) -> tuple[str, str]:
    """What goes to standard output, and to standard error."""
    out, secret = io.StringIO(), io.StringIO()
    read = None if given is None else io.StringIO(given)
    assert run(name, is_given=given is not None, file=file, given=read, out=out, secret=secret) == 0
    return out.getvalue(), secret.getvalue()


def holders(directory: Path) -> list[str]:
    """The names of the keys with which the service would serve."""
    (directory / "settings.yaml").write_text(SETTINGS.format(examples=EXAMPLES))
    examined = examine(load(directory / "settings.yaml", [], {}))

    assert errors_of(examined.findings) == []
    return [key.name for key in examined.credentials.api_keys]


LISTS = {
    "absent": (None, 0),
    "empty": ("", 0),
    "a comment": ("# keys of the website\n", 0),
    "no line end": ('- name: old\n  hash: "{}"', 1),
    "below keys": ('keys:\n- name: old\n  hash: "{}"\n', 1),
    "indented": ('keys:\n    - name: old\n      hash: "{}"\n      streams: [web.page_view]\n', 1),
    "comments around": ('# ours\nkeys:  # all of them\n  # of 2024\n  - hash: "{}"\n    name: old\n\n# the end\n', 1),
}


@pytest.mark.parametrize("before", LISTS)
def test_entries_are_appended_to_a_file_that_stays_usable(tmp_path: Path, before: str) -> None:
    text, count = LISTS[before]
    if text is not None:
        (tmp_path / "keys.yaml").write_text(text.format(hashed(new_key())))

    for _ in range(2):  # Two keys of one name: a rotation.
        out, secret = made("website", tmp_path / "keys.yaml")

        assert out == "" and sum(is_key(line.strip()) for line in secret.splitlines()) == 1
    assert holders(tmp_path) == ["old"] * count + ["website"] * 2
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_what_is_printed_can_be_appended_by_a_shell(tmp_path: Path) -> None:
    with (tmp_path / "keys.yaml").open("a") as file:
        file.write(made("website", None)[0])
        file.write(made("app", None, new_key() + "\n")[0])

    assert holders(tmp_path) == ["website", "app"]


@pytest.mark.parametrize("text", ["keys: []\n", "website: b2\n", "keys: {a: 1}\n", "[]\n"])
def test_a_file_that_is_no_list_stays_as_it_is(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys.yaml").write_text(text)

    with pytest.raises(UsageError, match=r"keys\.yaml"):
        made("website", tmp_path / "keys.yaml")
    assert (tmp_path / "keys.yaml").read_text() == text
