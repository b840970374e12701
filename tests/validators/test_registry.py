"""One validator for each URI: made once, bounded, remembered when it fails, shared by a fork."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

import validators
from validators import Registry, SchemaError
from validators.load.disk_cache import DiskCache


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def write(root: Path, uri: str, text: str = "{type: object}") -> None:
    file = root / f"{uri[1:]}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def kind(registry: Registry, uri: str) -> str:
    with pytest.raises(SchemaError) as caught:
        registry.validator(uri)
    return caught.value.error_type


def test_a_uri_gives_the_same_object_each_time(tmp_path: Path) -> None:
    write(tmp_path, "/a/1.0.0", "{title: a, type: object}")
    registry = Registry([str(tmp_path)])
    one = registry.validator("/a/1.0.0")
    (tmp_path / "a/1.0.0.yaml").unlink()

    assert registry.validator("/a/1.0.0") is one
    assert (one.uri, one.title) == ("/a/1.0.0", "a")


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path, f"/{name}/1.0.0")
    registry = Registry([str(tmp_path)], max_cached=2)
    a, b = registry.validator("/a/1.0.0"), registry.validator("/b/1.0.0")
    registry.validator("/a/1.0.0")
    registry.validator("/c/1.0.0")

    assert registry.validator("/a/1.0.0") is a
    assert registry.validator("/b/1.0.0") is not b


def test_a_failure_is_remembered_for_a_while(tmp_path: Path) -> None:
    clock = Clock()
    registry = Registry([str(tmp_path)], negative_s=60.0, clock=clock)

    assert kind(registry, "/a/1.0.0") == "unknown_schema"
    write(tmp_path, "/a/1.0.0")
    clock.now = 59.9
    assert kind(registry, "/a/1.0.0") == "unknown_schema"
    clock.now = 60.0
    assert registry.validator("/a/1.0.0").uri == "/a/1.0.0"


def test_what_is_remembered_of_failures_is_bounded(tmp_path: Path) -> None:
    registry = Registry([str(tmp_path)], max_cached=10)
    for i in range(100):
        assert kind(registry, f"/a/{i}.0.0") == "unknown_schema"

    assert len(registry._failure_cache) == 10


def test_each_failure_has_its_kind(tmp_path: Path) -> None:
    write(tmp_path, "/insecure/1.0.0", "{properties: {a: {type: string, format: date}}}")
    write(tmp_path, "/broken/1.0.0", "{type: [}")
    write(tmp_path, "/wrong/1.0.0", "{type: text}")
    write(tmp_path, "/text/1.0.0", "1.0.0.yaml")
    registry = Registry([str(tmp_path)])

    assert kind(registry, "/../1.0.0") == "bad_schema_uri"
    assert kind(registry, "/none/1.0.0") == "unknown_schema"
    assert kind(registry, "/insecure/1.0.0") == "insecure_schema"
    assert kind(registry, "/broken/1.0.0") == "schema_unavailable"
    assert kind(registry, "/wrong/1.0.0") == "schema_unavailable"
    assert kind(registry, "/text/1.0.0") == "schema_unavailable"


def test_why_a_schema_is_insecure_is_said_each_time(tmp_path: Path) -> None:
    write(tmp_path, "/insecure/1.0.0", "{properties: {a: {type: string, format: date}}}")
    registry = Registry([str(tmp_path)])

    for _ in range(2):
        with pytest.raises(
            SchemaError, match=r"^/insecure/1\.0\.0: format at /properties/a needs maxLength next to it$"
        ):
            registry.validator("/insecure/1.0.0")


def test_insecure_schemas_are_used_when_allowed(tmp_path: Path) -> None:
    write(tmp_path, "/insecure/1.0.0", "{properties: {a: {type: string, format: date}}}")
    write(tmp_path, "/slow/1.0.0", "{pattern: (a+)+}")
    registry = Registry([str(tmp_path)], allow_insecure=True)

    assert registry.validator("/insecure/1.0.0").check(b'{"a": "x"}') is not None
    assert registry.validator("/slow/1.0.0").check(b'"a"') is None


def test_references_lead_to_other_files_below_the_bases(tmp_path: Path) -> None:
    write(
        tmp_path,
        "/a/1.0.0",
        '{properties: {meta: {$ref: "/fragment/meta/1.0.0#"}, b: {$ref: "../b/current.yaml#/properties/x"}}}',
    )
    write(tmp_path, "/fragment/meta/1.0.0", "{type: object, required: [dt]}")
    write(tmp_path, "/b/current", "{properties: {x: {type: integer}}}")
    validator = Registry([str(tmp_path)]).validator("/a/1.0.0")

    assert validator.check(b'{"meta": {"dt": 1}, "b": 1}') is None
    assert validator.check(b'{"meta": {}, "b": "x"}') is not None


def test_a_reference_cannot_leave_the_base(tmp_path: Path) -> None:
    write(tmp_path, "/secret/1.0.0")
    write(tmp_path, "/base/a/1.0.0", "{properties: {x: {$ref: ../../secret/1.0.0}}}")
    write(tmp_path, "/base/b/1.0.0", f"{{properties: {{x: {{$ref: 'file://{tmp_path}/secret/1.0.0'}}}}}}")
    registry = Registry([str(tmp_path / "base")])

    assert kind(registry, "/a/1.0.0") == "schema_unavailable"
    assert kind(registry, "/b/1.0.0") == "schema_unavailable"


def test_the_versions_of_a_title_are_told_oldest_first(tmp_path: Path) -> None:
    for version in ("1.10.0", "1.2.0"):
        write(tmp_path, f"/a/b/{version}")

    assert Registry([str(tmp_path)]).uris_of("a/b") == ["/a/b/1.2.0", "/a/b/1.10.0"]
    assert Registry([str(tmp_path)]).uris_of("none") == []


def test_what_was_compiled_before_a_fork_is_used_after_it(tmp_path: Path) -> None:
    write(tmp_path, "/a/1.0.0", "{type: object, required: [x]}")
    write(tmp_path, "/b/1.0.0", "{type: object}")
    registry = Registry([str(tmp_path)])
    before = registry.validator("/a/1.0.0")
    child = os.fork()
    if child == 0:  # Nothing of the test runner may run here.
        is_same = registry.validator("/a/1.0.0") is before
        is_right = before.check(b'{"x": 1}') is None and before.check(b"{}") is not None
        is_new = registry.validator("/b/1.0.0").check(b"{}") is None
        os._exit(0 if is_same and is_right and is_new else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert before.check(b'{"x": 1}') is None


def test_load_takes_one_base_or_several(tmp_path: Path) -> None:
    write(tmp_path, "/a/1.0.0")

    for bases in (tmp_path, str(tmp_path), [str(tmp_path)], f"file://{tmp_path}"):
        assert validators.open_registry(bases).validator("/a/1.0.0").check(b"{}") is None


PASSING = [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE]


@pytest.mark.parametrize("number", PASSING, ids=lambda number: errno.errorcode[number])
@pytest.mark.parametrize("call", ["open", "is_file", "resolve"])
def test_what_the_host_lacked_for_a_moment_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, call: str
) -> None:
    write(tmp_path, "/a/1.0.0", "{title: a, type: object}")
    registry = Registry([str(tmp_path)], negative_s=60.0, clock=Clock())

    def lacking(*_: object, **_more: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(Path, call, lacking)
        assert kind(registry, "/a/1.0.0") == "schema_unavailable"

    assert registry.validator("/a/1.0.0").title == "a"


def test_a_file_that_nobody_may_read_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "/a/1.0.0", "{title: a, type: object}")
    registry = Registry([str(tmp_path)], negative_s=60.0, clock=Clock())

    def forbidden(*_: object, **_more: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", forbidden)
        assert kind(registry, "/a/1.0.0") == "schema_unavailable"

    assert kind(registry, "/a/1.0.0") == "schema_unavailable"


def test_a_moment_without_descriptors_does_not_end_the_keeping_of_what_files_come_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = DiskCache(tmp_path)

    def lacking(*_: object, **_more: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", lacking)
        kept.put("a", {"title": "a"})
    kept.put("a", {"title": "a"})

    assert kept.get("a") == {"title": "a"}
