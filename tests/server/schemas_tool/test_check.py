"""``penstock schemas check`` and ``materialize``: verdicts, places, exit codes, forms of output, accepted breaks."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from server.__main__ import main
from tests.server.schemas_tool.repository import FIRST, HARMLESS, SECOND, checked, put


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one version of one title."""
    put(tmp_path, "1.0.0", FIRST)
    return tmp_path


def test_a_break_within_a_major_version_is_told_with_its_place_and_an_event(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(repository, "1.1.0", SECOND)
    code, (found,) = checked(capsys, repository)

    assert code == 1
    assert (found["rule"], found["verdict"], found["bump"]) == ("max-length-lowered", "incompatible", "major")
    assert (found["path"], found["line"], found["column"]) == ("/properties/number/maxLength", 6, 26)
    assert found["file"].endswith("shop/order/1.1.0.yaml")
    assert len(found["witness"]["number"]) > 8


def test_what_breaks_nothing_is_in_order(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(repository, "1.1.0", HARMLESS)

    assert checked(capsys, repository) == (0, [])


def test_the_number_that_is_raised_must_be_large_enough_and_may_be_too_large(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(repository, "1.0.1", HARMLESS)
    put(repository, "2.0.0", HARMLESS)
    code, found = checked(capsys, repository)

    assert code == 1
    assert [(each["rule"], each["status"]) for each in found] == [
        ("version-too-small", "error"),
        ("version-too-large", "note"),
    ]


def test_a_break_in_a_new_major_version_is_allowed(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(repository, "2.0.0", SECOND)
    code, (found,) = checked(capsys, repository)

    assert (code, found["status"]) == (0, "allowed")


def test_what_cannot_be_told_has_an_exit_code_of_its_own(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(
        repository, "1.1.0", FIRST.replace("additionalProperties", "unevaluatedProperties: false\nadditionalProperties")
    )
    code, (found,) = checked(capsys, repository)

    assert (code, found["verdict"]) == (2, "unknown")
    assert "later draft" in found["reason"]


def test_a_file_that_is_no_schema_is_unknown(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(repository, "1.1.0", "type: objekt\n")
    code, (found,) = checked(capsys, repository)

    assert (code, found["rule"]) == (2, "schema-unusable")


@pytest.mark.parametrize("text", ["[", "5\n", "type: objekt\n", "properties: {a: {$ref: /no/such/1.0.0}}\n"])
@pytest.mark.parametrize("is_compared", [True, False])
def test_a_new_major_version_or_a_first_one_that_is_no_schema_is_an_error(
    repository: Path, capsys: pytest.CaptureFixture[str], text: str, is_compared: bool
) -> None:
    put(repository, "2.0.0", text)
    if not is_compared:
        (repository / "shop/order/1.0.0.yaml").unlink()
    code, (found,) = checked(capsys, repository)

    assert (code, found["rule"], found["status"], found["version"]) == (2, "schema-unusable", "error", "2.0.0")
    main(["schemas", "check", str(repository)])
    assert "needed: a schema that can be used" in capsys.readouterr().out


def test_a_new_major_version_after_one_that_is_no_schema_is_allowed(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(repository, "1.0.0", "type: objekt\n")
    put(repository, "2.0.0", FIRST.replace("1.0.0", "2.0.0"))
    code, (found,) = checked(capsys, repository)

    assert (code, found["rule"], found["status"]) == (0, "schema-unusable", "allowed")


def test_a_released_version_that_is_no_schema_is_not_told_again(
    repository: Path, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    released = tmp_path_factory.mktemp("released")
    for root in (repository, released):
        put(root, "1.0.0", "type: objekt\n")

    assert checked(capsys, repository, "--against", str(released)) == (0, [])


@pytest.mark.parametrize("options", [["no/such"], [".", "--against", "no-such-state"], [".", "--accepted", "no.yaml"]])
def test_a_wrong_use_is_told_from_findings(
    repository: Path, options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(repository)

    assert main(["schemas", "check", *options]) == 3
    assert capsys.readouterr().err.startswith("penstock: ")


def test_the_direction_of_a_profile(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Earlier readers refuse a property that they do not know; they take what has become narrower."""
    put(repository, "1.1.0", HARMLESS)
    code, (found,) = checked(capsys, repository, "--profile", "forward")

    assert (code, found["rule"], found["direction"]) == (1, "property-removed", "writers")
    assert checked(capsys, repository, "--profile", "full")[0] == 1

    put(repository, "1.1.0", SECOND)

    assert checked(capsys, repository, "--profile", "forward") == (0, [])


def test_lenient_takes_a_new_property_of_an_open_schema(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(repository, "1.0.0", FIRST.replace("additionalProperties: false\n", ""))
    put(repository, "1.1.0", HARMLESS.replace("additionalProperties: false\n", ""))

    assert [each["rule"] for each in checked(capsys, repository)[1]] == ["open-property-declared"]
    assert checked(capsys, repository, "--profile", "lenient") == (0, [])


def test_wmf_compares_the_text_with_the_holes_of_jsonschema_tools(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(repository, "1.1.0", SECOND)

    assert checked(capsys, repository, "--profile", "wmf") == (0, [])

    put(repository, "1.2.0", FIRST)
    code, (found,) = checked(capsys, repository, "--profile", "wmf")

    assert (code, found["rule"], found["path"]) == (1, "wmf-key-removed", "/properties/number/maxLength")


def test_an_accepted_break_passes_until_its_day(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(repository, "1.1.0", SECOND)
    entry = (
        "- {rule: max-length-lowered, title: shop/order, version: 1.1.0, path: /properties/number/maxLength, "
        "reason: no client sends more, owner: shop, expires: EXPIRES}\n"
    )
    file = repository / "accepted-breaks.yaml"
    file.write_text(entry.replace("EXPIRES", "2999-01-01"))
    code, (found,) = checked(capsys, repository)

    assert (code, found["status"]) == (0, "accepted")

    file.write_text(entry.replace("EXPIRES", "2020-01-01"))

    assert [each["rule"] for each in checked(capsys, repository)[1]] == ["max-length-lowered", "accepted-expired"]

    put(repository, "1.1.0", HARMLESS)
    file.write_text(entry.replace("EXPIRES", "2999-01-01"))

    assert [each["rule"] for each in checked(capsys, repository)[1]] == ["accepted-unused"]


def test_only_what_is_not_released_is_compared_and_released_files_stay(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(repository, "1.1.0", SECOND)
    git(repository, "init", "-q")
    git(repository, "add", "-A")
    git(repository, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "all")

    assert checked(capsys, repository, "--against", "HEAD") == (0, [])

    put(repository, "1.0.0", FIRST.replace("A-17", "A-18"))
    repository.joinpath("shop/order/1.1.0.yaml").unlink()
    code, found = checked(capsys, repository, "--against", "HEAD")

    assert code == 1
    assert [each["rule"] for each in found] == ["released-file-changed", "released-file-removed"]


@pytest.mark.parametrize(
    ("before", "after", "said", "bump"),
    [
        ("description: a", "description: b", "only its descriptions or its form differ", "patch"),
        ("x-privacy: drop", "x-privacy: hash", "a keyword that begins with x- differs", "minor"),
        ("maxLength: 9", "maxLength: 8", "it judges events differently", "minor"),
    ],
)
def test_what_differs_in_a_released_file_is_said(
    repository: Path, capsys: pytest.CaptureFixture[str], before: str, after: str, said: str, bump: str
) -> None:
    text = FIRST.replace("properties:\n", f"properties:\n  noted: {{type: string, {before}}}\n", 1)
    put(repository, "1.0.0", text)
    git(repository, "init", "-q")
    git(repository, "add", "-A")
    git(repository, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "all")
    put(repository, "1.0.0", text.replace(before, after))
    _, found = checked(capsys, repository, "--against", "HEAD")
    (edited,) = [each for each in found if each["rule"] == "released-file-changed"]

    assert said in edited["message"]
    assert edited["bump"] == bump


def test_materialize_makes_modified_titles_alone(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(repository, "current", FIRST)
    other = repository / "shop/cart/current.yaml"
    other.parent.mkdir()
    other.write_text(FIRST.replace("shop/order", "shop/cart"))
    arguments = ["schemas", "materialize", str(repository), "--modified", "--no-links"]

    assert main(arguments) == 3  # There is no git.

    git(repository, "init", "-q")
    git(repository, "add", "shop/order")
    git(repository, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "all")
    capsys.readouterr()

    assert main(arguments) == 0
    assert capsys.readouterr().out == f"{other.with_name('1.0.0.yaml')}\n"

    put(repository, "current", SECOND)
    main(arguments)

    assert capsys.readouterr().out == f"{repository / 'shop/order/1.1.0.yaml'}\n"


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True)


def test_each_form_of_output_names_the_place(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(repository, "1.1.0", SECOND)
    said = {}
    for form in ("text", "junit", "github", "gitlab", "markdown"):
        main(["schemas", "check", str(repository), "--format", form])
        said[form] = capsys.readouterr().out

    assert "1.1.0.yaml:6:26: max-length-lowered (incompatible)" in said["text"]
    assert "    6 |   number: {type: string, maxLength: 8}\n          |                          ^" in said["text"]
    assert ElementTree.fromstring(said["junit"]).attrib["failures"] == "1"
    assert said["github"].startswith("::error file=")
    assert ",line=6,col=26,title=max-length-lowered::" in said["github"]
    assert json.loads(said["gitlab"])[0]["location"]["lines"] == {"begin": 6}
    assert "1.1.0.yaml:6 | max-length-lowered | incompatible | major |" in said["markdown"]


def test_materialize_makes_versions_and_links_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "shop/order"
    folder.mkdir(parents=True)
    tmp_path.joinpath("fragment/1.0.0.yaml").parent.mkdir()
    tmp_path.joinpath("fragment/1.0.0.yaml").write_text("required: [b, a]\nproperties: {a: {type: string}}\n")
    current = "$id: /shop/order/1.0.0\ntitle: shop/order\ntype: object\nallOf: [{$ref: /fragment/1.0.0}]\n"
    current += "properties: {b: {type: integer}}\nexamples: [{a: 'yes', b: 1, $schema: {$ref: '#/$id'}}]\n"
    folder.joinpath("current.yaml").write_text(current)

    assert main(["schemas", "materialize", str(tmp_path), "--check"]) == 1
    assert main(["schemas", "materialize", str(tmp_path)]) == 0
    assert folder.joinpath("1.0.0.yaml").read_text() == (
        "title: shop/order\n$id: /shop/order/1.0.0\ntype: object\nrequired:\n  - b\n  - a\nproperties:\n  a:\n"
        "    type: string\n  b:\n    type: integer\n    maximum: 9007199254740991\n    minimum: -9007199254740991\n"
        "examples:\n  - $schema: /shop/order/1.0.0\n    a: 'yes'\n    b: 1\n"
    )
    assert {link.name: str(link.readlink()) for link in folder.iterdir() if link.is_symlink()} == {
        "1.0.0": "1.0.0.yaml",
        "latest": "1.0.0.yaml",
        "latest.yaml": "1.0.0.yaml",
    }

    capsys.readouterr()

    assert main(["schemas", "materialize", str(tmp_path), "--check"]) == 0
    assert capsys.readouterr().out == ""


def test_references_to_other_files_are_followed_by_both_judges(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fragment = repository / "fragment/name/1.0.0.yaml"
    fragment.parent.mkdir(parents=True)
    fragment.write_text("$id: /fragment/name/1.0.0\nproperties:\n  number: {type: string}\n")
    reference = FIRST.replace("{type: string}", "{$ref: '/fragment/name/1.0.0#/properties/number'}")
    put(repository, "1.0.0", reference)
    put(repository, "1.1.0", reference.replace("1.0.0\ntype", "1.1.0\ntype").replace("'}", "', maxLength: 4}"))

    assert checked(capsys, repository) == (0, [])  # Draft-07 ignores a keyword next to a reference.

    put(repository, "1.1.0", SECOND)
    code, (found,) = checked(capsys, repository)

    assert (code, found["rule"], found["verdict"]) == (1, "max-length-lowered", "incompatible")
