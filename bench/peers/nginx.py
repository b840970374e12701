"""A floor without Python: nginx answers 204 to every request.

Place: `python -m bench.peers.nginx PORT`; it becomes nginx (Debian's package), with one worker.
Rule: it reads no body that it does not need, as nginx does: the server that other servers stand behind.
Not here: anything else that nginx can.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from bench.peers import start

SETTINGS = """\
daemon off;
worker_processes 1;
pid {directory}/pid;
error_log stderr warn;
events {{ worker_connections 12000; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{ return 204; }}
  }}
}}
"""


def main() -> None:
    """Write the settings and hand over."""
    program = start.tool_path("nginx")
    if program is None:
        sys.exit("nginx is not installed")
    directory = tempfile.mkdtemp(prefix="bench-nginx-")
    file = Path(directory) / "nginx.conf"
    file.write_text(SETTINGS.format(directory=directory, port=sys.argv[1]), encoding="utf-8")
    os.execv(program, [program, "-p", directory, "-c", str(file)])


if __name__ == "__main__":
    main()
