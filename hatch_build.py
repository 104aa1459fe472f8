"""Put ``clew.pth`` beside the package, in editable installs as well as in wheels.

The file lets a process be recorded because of its environment alone. Hatchling's
``force-include`` does not reach editable wheels, hence this hook.
"""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class StartupFileHook(BuildHookInterface[Any]):
    """Add the start-up file to both kinds of wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Map ``src/clew.pth`` to the root of site-packages."""
        key = "force_include_editable" if version == "editable" else "force_include"
        build_data[key]["src/clew.pth"] = "clew.pth"
