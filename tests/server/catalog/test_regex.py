"""Stream names between slashes."""

from __future__ import annotations

import pytest

from server.catalog import regex
from server.catalog.regex import RegexError


def test_a_regex_matches_anywhere_unless_it_is_anchored() -> None:
    assert regex.compiled("/job/").search("mediawiki.job.x")
    assert not regex.compiled("/^job/").search("mediawiki.job.x")
    assert not regex.compiled("/job$/").search("mediawiki.job.x")


def test_a_line_end_after_the_name_does_not_pass_the_dollar() -> None:
    assert not regex.compiled("/^a$/").search("a\n")


def test_digits_and_words_are_ascii_as_browsers_read_them() -> None:
    assert not regex.compiled(r"/^\d$/").search("٣")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("/", "must end with another"),
        ("//", "must end with another"),
        ("/^a", "must end with another"),
        ("/a/i", "nothing may follow the last slash: 'i'"),
        ("/nonya/BADREGEX", "nothing may follow the last slash"),
        ("/a/b/", "must be escaped"),
        ("/(a/", "is not a regular expression"),
        ("/[/", "is not a regular expression"),
        ("/a**/", "is not a regular expression"),
        ("/(?P<a>b)/", "is not a regular expression"),
        ("/(a+)+$/", "it is insecure"),
        (r"/^(\w+\.)*x/", "it is insecure"),
        ("/(a*)*/", "it is insecure"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(name: str, reason: str) -> None:
    with pytest.raises(RegexError, match=r"^(it|a slash|nothing) ") as caught:
        regex.compiled(name)

    assert reason in str(caught.value)


@pytest.mark.parametrize("name", [r"/^mediawiki\.job\..+/", r"/^swift\.(.+\.)?upload-complete$/", r"/a\/b/", "/./"])
def test_real_ones_compile(name: str) -> None:
    assert not regex.compiled(name).search("")


@pytest.mark.parametrize(
    ("name", "prefixes", "expected"),
    [
        (r"/^mediawiki\.job\..+/", ["eqiad.", "codfw."], r"/^(eqiad\.|codfw\.)mediawiki\.job\..+/"),
        ("/^a/", ["x-"], "/^(x-)a/"),
        ("/job/", ["x."], r"/^(x\.).*job/"),
    ],
)
def test_prefixes_go_inside_the_regex(name: str, prefixes: list[str], expected: str) -> None:
    assert regex.with_prefixes(name, prefixes) == expected
    assert not regex.compiled(expected).search("")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (r"/^mediawiki\.job\..+/", "mediawiki.job.x"),
        (r"/^a\.b$/", "a.b"),
        (r"/^swift\.(.+\.)?upload-complete$/", None),
        ("/[ab]/", None),
    ],
)
def test_a_sample_is_told_only_where_it_is_cheap(name: str, expected: str | None) -> None:
    assert regex.sample(name) == expected
    assert expected is None or regex.compiled(name).search(expected)
