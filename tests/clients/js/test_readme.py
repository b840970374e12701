"""The page of the README sends its event from each browser, to an intake of another origin that allows it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.clients.js.conftest import CLIENT
from tests.clients.js.site import Site
from tests.harness.browsers import Browser
from tests.harness.running import eventually
from tests.harness.served import Served

pytestmark = pytest.mark.slow(reason="starts browsers")
README = (CLIENT / "README.md").read_text(encoding="utf-8")


def test_the_page_of_the_readme_sends_its_event(
    browser: Browser, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = re.findall(r"```html\n(.*?)```", README, re.DOTALL)[0]
    found = re.search(r"(PENSTOCK_\w+)='(.*)' make run", README)
    assert found
    monkeypatch.setenv(found[1], found[2])
    with Served(tmp_path, workers=1) as service, Site(built) as site:
        site.texts["/readme"] = page.replace("127.0.0.1:8192", "{}:{}".format(*service.address))
        tab = browser.open(f"{site.origin}/readme")
        eventually(lambda: service.events("web.page_view"))
        browser.close(tab)
        (event,) = [record["value"] for record in service.events("web.page_view")]

    assert (event["page"], event["meta"]["domain"]) == ("/readme", "127.0.0.1")
