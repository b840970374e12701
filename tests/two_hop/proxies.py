"""nginx and haproxy of Debian as a first hop, told to hand on as much as they will of what is odd.

Place: test_two_hop starts them in a directory of their own, between unix sockets.
Rule: they put ``X-Hop: <unique>`` over whatever the client sent, so what they take for one request is known however it
is framed. Only processes started here are ended.
Not here: what is sent through them (ambiguous), what must come of it (test_two_hop).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

LACK = "no {0}: `apt-get install {0}` (.ci/run does)"
LACKING: set[str] = set()  # What this run has missed; conftest says so at its end.
START_S = 60.0

NGINX = """\
daemon off;
master_process off;
pid {d}/nginx.pid;
error_log {d}/log warn;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {d}/body;
  proxy_temp_path {d}/temp;
  fastcgi_temp_path {d}/temp;
  uwsgi_temp_path {d}/temp;
  scgi_temp_path {d}/temp;
  underscores_in_headers on;
  ignore_invalid_headers off;
  merge_slashes off;
  upstream us {{ server unix:{d}/tap; keepalive 4; }}
  server {{
    listen unix:{d}/front;
    keepalive_timeout 5s;
    client_header_timeout 30s;
    client_body_timeout 30s;
    location / {{
      proxy_pass http://us;
      proxy_http_version 1.1;
      proxy_request_buffering {buffering};
      proxy_next_upstream off;
      proxy_read_timeout 30s;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Hop $request_id;
    }}
  }}
}}
"""

HAPROXY = """\
global
  maxconn 512
defaults
  mode http
  timeout client 30s
  timeout server 30s
  timeout connect 30s
  timeout http-request 30s
  retries 0
  http-reuse always
frontend front
  bind unix@{d}/front
  option accept-invalid-http-request
  http-request set-header X-Hop %[uuid()]
  default_backend us
backend us
  server us unix@{d}/tap {options}
"""


class Proxy:
    """One of them: ``with Proxy(kind, directory)``. Clients connect to ``front``, it connects to ``tap``."""

    def __init__(self, kind: str, directory: Path) -> None:
        self.front = directory / "front"
        self.tap = directory / "tap"
        self._log = directory / "log"
        self._directory = directory
        self._command = self._configured(kind)
        self._process: subprocess.Popen[bytes]

    def _configured(self, kind: str) -> list[str]:
        directory = self._directory
        file = directory / "config"
        name = kind.partition(" ")[0]
        program = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if program is None:
            LACKING.add(name)
            pytest.skip(LACK.format(name))
        if name == "nginx":
            file.write_text(NGINX.format(d=directory, buffering="off" if "streaming" in kind else "on"))
            return [program, "-p", str(directory), "-c", str(file)]
        file.write_text(HAPROXY.format(d=directory, options="send-proxy-v2" if "v2" in kind else ""))
        return [program, "-db", "-f", str(file)]

    def __enter__(self) -> Proxy:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while not self.front.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise AssertionError(f"{self._command[0]} does not start:\n{self._log.read_text()}")
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(10)
