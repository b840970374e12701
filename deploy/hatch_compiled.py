"""Put the compiled hot path into the wheel, and say for which Python and machine it is.

Place: deploy/wheel sets PENSTOCK_COMPILED to a directory made by server.compiled.build → HERE → hatchling.
Rule: without that variable the wheel is pure.
Not here: compiling (server.compiled.build).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompiledHook(BuildHookInterface[Any]):
    """Adds the files."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before a wheel is built."""
        place = os.environ.get("PENSTOCK_COMPILED")
        if place and version == "standard":
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
            build_data["force_include"].update(
                {str(file): f"server/compiled/built/{file.relative_to(place)}" for file in Path(place).rglob("*.*")}
            )
