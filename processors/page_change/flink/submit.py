"""Submit the job from within a Flink cluster: ``python -m processors.page_change.flink.submit``.

Place: deploy/flink/page-change.yaml → HERE → job.
Rule: the settings are where the variable PAGE_CHANGE_CONFIG says, on every pod.
Not here: a run on one machine (command).
"""

from __future__ import annotations

import os
from pathlib import Path

from processors.page_change.catalog import open_catalog
from processors.page_change.flink.job import run
from processors.page_change.settings import load
from processors.wrong import located


def main() -> None:
    """Read the settings and submit."""
    config = Path(os.environ.get("PAGE_CHANGE_CONFIG", "/etc/penstock/page-change.yaml"))
    settings, base_dir = load(config)
    with located(config):
        run(config, settings, open_catalog(settings, base_dir), once=False, stays=False)


if __name__ == "__main__":
    main()
