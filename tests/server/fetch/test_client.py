"""The HTTP client against a server that fails in every way."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from server.config.catalog_settings import Fetch
from server.fetch.client import FetchedAnswer, HttpClient, retry_after_s
from server.fetch.trouble import AbsentError, FetchError
from tests.harness import site as behaviours
from tests.harness.site import Behaviour, Site

QUICK = {"connect_s": 30.0, "total_s": 60.0, "retry_s": 0.001, "attempts": 1}  # To try again, not to give up.


def get(site: Site, path: str = "/a", headers: dict[str, str] | None = None, **settings: object) -> FetchedAnswer:
    fetch = Fetch(**(QUICK | settings))  # type: ignore[arg-type]

    async def ask() -> FetchedAnswer:
        async with HttpClient(fetch, [site.url("/")]) as client:
            return await client.get_patiently(site.url(path), {"X-Asked": "yes", **(headers or {})}, 100_000)

    return asyncio.run(ask())


def test_an_answer_comes_with_what_asks_for_it_again() -> None:
    with Site() as site:
        site.says("/a", behaviours.body('{"a": 1}'))
        answer = get(site)

        assert answer.body == b'{"a": 1}'
        assert answer.etag
        assert get(site, headers={"If-None-Match": answer.etag}).body is None
        headers = site.asked[0][1]
        assert (headers["X-Asked"], headers["Accept-Encoding"]) == ("yes", "identity")


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (behaviours.html(), "answered with a web page"),
        (behaviours.html(502), "answered 502"),
        (behaviours.status(403), "answered 403"),
        (behaviours.cut_short('{"streams": {"a": {}}}'), "a"),
        (behaviours.endless, "is larger than 100000 bytes"),
        (behaviours.body(b"x" * 100_001), "is larger than 100000 bytes"),
        (behaviours.hang_up, "a"),
        (behaviours.body("zipped", Content_Encoding="gzip"), "is sent as gzip"),
        (behaviours.redirect("http://127.0.0.2:1/b"), "redirects to http://127.0.0.2:1/b, which is not in"),
        (behaviours.redirect("file:///etc/passwd"), "redirects to file:///etc/passwd"),
        (behaviours.redirect("/a"), "more than 3 redirects"),
    ],
)
def test_what_is_no_good_answer_is_an_error_that_says_why(behaviour: Behaviour, reason: str) -> None:
    with Site() as site:
        site.says("/a", behaviour)
        with pytest.raises(FetchError, match=reason) as caught:
            get(site)

    assert site.url("/a") in str(caught.value)
    assert not isinstance(caught.value, AbsentError)


@pytest.mark.parametrize("after", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", b"HTTP/1.1 200 OK\r\n"])
def test_a_server_that_stalls_is_given_up(after: bytes) -> None:
    with Site() as site:
        site.says("/a", site.stalls(after))
        with pytest.raises(FetchError, match="no complete answer in time"):
            get(site, total_s=0.3)


def test_nothing_that_listens_is_an_error() -> None:
    with Site() as site:
        site.stop()
        with pytest.raises(FetchError, match="onnect"):
            get(site)
        site.start_again()


def test_what_is_not_there_is_certain_and_not_asked_for_again() -> None:
    with Site() as site, pytest.raises(AbsentError):
        get(site, attempts=5)

    assert len(site.asked) == 1


def test_redirects_are_followed_within_the_origin() -> None:
    with Site() as site:
        site.says("/a", behaviours.redirect("/b?c=d"))
        site.says("/b", behaviours.body("1"))

        assert get(site).body == b"1"
        assert site.paths() == ["/a", "/b?c=d"]


def test_an_origin_that_is_allowed_gets_the_request_and_no_headers() -> None:
    with Site() as site, Site() as other:
        other.says("/b", behaviours.body("1"))
        site.says("/a", behaviours.redirect(other.url("/b")))

        assert get(site, allowed_origins=[other.url()]).body == b"1"
        assert "X-Asked" not in other.asked[0][1]


def test_trouble_that_may_pass_is_tried_again_as_often_as_set() -> None:
    with Site() as site:
        site.says("/a", behaviours.in_turn(behaviours.status(500), behaviours.hang_up, behaviours.body("1")))
        assert get(site, attempts=3).body == b"1"
        assert len(site.asked) == 3

        site.says("/a", behaviours.status(503))
        with pytest.raises(FetchError, match="answered 503"):
            get(site, attempts=2)
        assert len(site.asked) == 5


def test_retry_after_is_obeyed() -> None:
    with Site() as site:
        site.says("/a", behaviours.status(429, Retry_After="7"))
        with pytest.raises(FetchError) as caught:
            get(site)

    assert (caught.value.may_pass, caught.value.retry_after_s) == (True, 7.0)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert retry_after_s("Thu, 01 Jan 2026 00:01:00 GMT", now) == 60.0
    assert retry_after_s("Thu, 01 Jan 2025 00:01:00 GMT", now) == 0.0
    assert retry_after_s("soon", now) == 0.0


def test_an_origin_that_no_setting_names_is_never_asked() -> None:
    async def ask(url: str) -> None:
        async with HttpClient(Fetch(), ["http://127.0.0.1:1/"]) as client:
            await client.get(url, {}, 1024)

    for url in ("http://127.0.0.1:2/", "http://localhost:1/", "https://127.0.0.1:1/", "ftp://127.0.0.1:1/", "x"):
        with pytest.raises(FetchError, match="is not below a URL of the settings"):
            asyncio.run(ask(url))
