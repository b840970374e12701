"""What a scrape of a served instance says: ``Scrape.of(service).value("penstock_workers", state="ready")``."""

from __future__ import annotations

import http.client
from contextlib import closing
from typing import Self

from prometheus_client.parser import text_string_to_metric_families

from tests.harness.served import Served


class Scrape:
    """The samples of one scrape."""

    def __init__(self, text: str) -> None:
        self.samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    @classmethod
    def of(cls, service: Served) -> Self:
        """Scrape it now."""
        status, _, body = ask_admin(service, "/metrics")
        assert status == 200
        return cls(body)

    def value(self, name: str, **labels: str) -> float:
        """One number."""
        return self.samples[name, frozenset(labels.items())]

    def sum(self, name: str, **labels: str) -> float:
        """The sum of all that have these labels, among others."""
        return sum(
            value for (of, all_labels), value in self.samples.items() if of == name and labels.items() <= all_labels
        )


def ask_admin(
    service: Served, path: str, method: str = "GET", body: bytes | None = None, accept: str = "*/*"
) -> tuple[int, str, str]:
    """Status, content type and body of an answer of the admin process."""
    with closing(http.client.HTTPConnection(*service.admin_address, timeout=60)) as connection:
        connection.request(method, path, body, {"Accept": accept})
        with connection.getresponse() as response:
            return response.status, response.headers.get("Content-Type", ""), response.read().decode()
