"""What tests of the Python client share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock_client.testing import FaultServer
from tests.harness.served import Served

EVENT: dict[str, Any] = {"$schema": "/web/page_view/1.1.0", "page": "/"}
STREAM = "web.page_view"


@pytest.fixture
def faulty() -> Iterator[FaultServer]:
    """An intake that fails on demand."""
    with FaultServer() as server:
        yield server


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A real service."""
    with Served(tmp_path_factory.mktemp("served")) as served:
        yield served


@pytest.fixture
def url(service: Served) -> str:
    """Its address."""
    return "http://{}:{}".format(*service.address)


@pytest.fixture
def spool(tmp_path: Path) -> str:
    """A directory for a spool."""
    return str(tmp_path / "spool")
