"""``--against``: archives at a URL and services are read like directories."""

from __future__ import annotations

import io
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from server.__main__ import main
from tests.harness.served import Served
from tests.server.schemas_tool.repository import FIRST, HARMLESS, SECOND, checked, put, rules_of


class Answers(ThreadingHTTPServer):
    """Serves bodies by path on a port of its own."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.bodies: dict[str, bytes] = {}
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Answers)
        body = self.server.bodies.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def answers() -> Iterator[Answers]:
    with Answers() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def archive(*members: tuple[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as files:
        for name, text in members:
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            files.addfile(info, io.BytesIO(text.encode()))
    return packed.getvalue()


def test_an_archive_at_a_url_is_a_released_state(
    tmp_path: Path, answers: Answers, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path, "1.0.0", FIRST)
    put(tmp_path, "1.1.0", SECOND)
    url = f"{answers.url}/main.tar.gz"
    answers.bodies["/main.tar.gz"] = archive(("schemas-main/shop/order/1.0.0.yaml", FIRST))

    assert rules_of(checked(capsys, tmp_path, "--against", url)) == ["max-length-lowered"]

    answers.bodies["/main.tar.gz"] = archive(("shop/order/1.0.0.yaml", FIRST), ("shop/order/1.1.0.yaml", HARMLESS))

    assert rules_of(checked(capsys, tmp_path, "--against", url)) == ["released-file-changed"]

    answers.bodies["/main.tar.gz"] = archive(("main/README", ""), ("main/jsonschema/shop/order/1.0.0.yaml", FIRST))

    assert rules_of(checked(capsys, tmp_path, "--against", f"{url}#jsonschema")) == ["max-length-lowered"]
    assert main(["schemas", "check", str(tmp_path), "--against", f"{url}#../.."]) == 3


@pytest.mark.parametrize("body", [archive(("../../escaped", "text")), b"no archive", None])
def test_what_is_no_archive_is_a_wrong_use(
    tmp_path: Path, answers: Answers, body: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path, "1.0.0", FIRST)
    if body is not None:
        answers.bodies["/main.tar"] = body

    assert main(["schemas", "check", str(tmp_path), "--against", f"{answers.url}/main.tar"]) == 3
    assert capsys.readouterr().err.startswith(f"penstock: {answers.url}/main.tar")


def test_a_service_is_a_released_state(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path / "released", "1.0.0", FIRST)
    put(tmp_path / "repository", "1.0.0", FIRST)
    put(tmp_path / "repository", "1.1.0", SECOND)
    (tmp_path / "streams.yaml").write_text("streams: {orders: {schema_title: shop/order}}")
    settings = {"schemas": {"base_uris": ["released"]}, "streams": {"sources": ["streams.yaml"]}}
    with Served(tmp_path, workers=1, **settings) as service:
        url = f"http://{service.address[0]}:{service.address[1]}"

        assert rules_of(checked(capsys, tmp_path / "repository", "--against", url)) == ["max-length-lowered"]

        put(tmp_path / "repository", "1.0.0", FIRST.replace("string", "integer"))

        assert "released-file-changed" in rules_of(checked(capsys, tmp_path / "repository", "--against", url))
