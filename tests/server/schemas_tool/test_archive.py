"""Archives: what they hold is written, and nothing outside of the directory."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from server.schemas_tool.states.archive import unpack


def member(name: str, kind: bytes = tarfile.REGTYPE, linkname: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, linkname
    found.size = 4 if kind == tarfile.REGTYPE else 0
    return found


def unpacked(into: Path, *members: tarfile.TarInfo) -> None:
    into.mkdir()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as made:
        for one in members:
            made.addfile(one, io.BytesIO(b"text"))
    packed.seek(0)
    with tarfile.open(fileobj=packed) as made:
        unpack(made, into)


def test_files_directories_and_links_are_written(tmp_path: Path) -> None:
    into = tmp_path / "into"
    unpacked(
        into,
        member("shop", tarfile.DIRTYPE),
        member("shop/1.0.0.yaml"),
        member("/shop/deep/2.0.0.yaml"),
        member("shop/latest", tarfile.SYMTYPE, "1.0.0.yaml"),
        member("shop/latest", tarfile.SYMTYPE, "deep/2.0.0.yaml"),
        member("shop/hard", tarfile.LNKTYPE, "shop/1.0.0.yaml"),
        member("shop/up", tarfile.SYMTYPE, "../shop/nothing"),
    )

    assert {str(path.relative_to(into)) for path in into.rglob("*")} == {
        "shop", "shop/1.0.0.yaml", "shop/deep", "shop/deep/2.0.0.yaml", "shop/latest", "shop/hard", "shop/up",
    }  # fmt: skip
    assert (into / "shop/latest").readlink() == Path("deep/2.0.0.yaml")
    assert (into / "shop/hard").read_text() == (into / "shop/latest").read_text() == "text"


@pytest.mark.parametrize(
    "members",
    [
        [member("../escaped")],
        [member("a/../../escaped")],
        [member("a", tarfile.SYMTYPE, "..")],
        [member("a", tarfile.SYMTYPE, "/etc/passwd")],
        [member("a", tarfile.SYMTYPE, "b"), member("b", tarfile.SYMTYPE, "../..")],
        [member("../escaped", tarfile.DIRTYPE)],
        [member("../escaped", tarfile.SYMTYPE, "into/x")],
        [member("a", tarfile.LNKTYPE, "../outside")],
        [member("a", tarfile.FIFOTYPE)],
        [member("a", tarfile.CHRTYPE)],
        [member("a"), member("a/b")],
        [member("a", tarfile.SYMTYPE, "a"), member("a/b")],
    ],
)
def test_what_leads_elsewhere_or_is_something_else_is_refused(tmp_path: Path, members: list[tarfile.TarInfo]) -> None:
    (tmp_path / "outside").write_text("secret")
    with pytest.raises(tarfile.TarError):
        unpacked(tmp_path / "into", *members)

    assert {path.name for path in tmp_path.iterdir()} == {"into", "outside"}
    assert not [path for path in (tmp_path / "into").rglob("*") if path.is_file() and "secret" in path.read_text()]
