"""Parameters of the API of stream settings."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from server.catalog.query import Query, QueryError, parse


def test_nothing_asks_for_everything() -> None:
    assert parse(b"") == Query()
    assert parse(b"").names is None
    assert parse(b"").wiki is UNSET


@pytest.mark.parametrize(
    ("query", "names"),
    [
        (b"streams=a", ("a",)),
        (b"streams=a|b", ("a", "b")),
        (b"streams=a%7Cb", ("a", "b")),
        (b"streams=%1Fa|b%1Fc", ("a|b", "c")),
        (b"streams=b|a|b||", ("b", "a")),
        (b"streams=", ()),
        (b"streams=a&origin=*&uselang=de", ("a",)),
        (b"streams=" + b"|".join(b"s%d" % n for n in range(300)), tuple(f"s{n}" for n in range(300))),
    ],
)
def test_names_of_streams(query: bytes, names: tuple[str, ...]) -> None:
    assert parse(query).names == names


def test_the_whole_of_an_old_request() -> None:
    asked = parse(
        b"format=json&formatversion=2&action=streamconfigs&all_settings=1&constraints=a%3D1|b[c]%3D2&wiki=enwiki"
    )

    assert asked.constraints == {"a": "1", "b": {"c": "2"}}
    assert (asked.wiki, asked.is_deprecated, asked.is_action, asked.is_format_named) == ("enwiki", True, True, True)


@pytest.mark.parametrize(
    ("query", "parameter", "words"),
    [
        (b"action=query", "action", "accepts only `streamconfigs`"),
        (b"format=xml", "format", "accepts only `json`"),
        (b"formatversion=1", "formatversion", "accepts `2`"),
        (b"stream=a", "stream", "did you mean `streams`?"),
        (b"whatever=a", "whatever", "known here: action, all_settings"),
        (b"constraints=a", "constraints", "has no `=`"),
        (b"streams=a&streams=b", "streams", "occurs twice"),
        (b"wiki=", "wiki", "accepts the name of a wiki"),
        (b"wiki=../x", "wiki", "accepts the name of a wiki"),
        (b"%3Cscript%3E=a", "", "The query has a parameter that is not known"),
        (b"&".join([b"a=1"] * 101), "", "more than 100 parameters"),
    ],
)
def test_a_mistake_names_its_parameter(query: bytes, parameter: str, words: str) -> None:
    with pytest.raises(QueryError) as told:
        parse(query)

    assert told.value.parameter == parameter
    assert words in str(told.value)
    assert "script" not in str(told.value)
