"""What a build of clew does beyond copying: the start-up file, and the built page.

The start-up file lets a process be recorded because of its environment alone. Hatchling's
``force-include`` does not reach editable wheels, hence a hook.

The page is built by Node into ``src/clew/server/static``, which git does not know. Wheels and
source distributions carry it, so that installing either needs no Node; editable installs leave
it alone (``make web`` builds it there).
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

STATIC = "src/clew/server/static"
SOURCES = (
    "index.html",
    "package-lock.json",
    "package.json",
    "public",
    "src",
    "tools",
    "tsconfig.json",
    "vite.config.ts",
)
"""Below ``web/``: what the page is built from, as ``web/tools/build_facts.mjs`` has it."""
WANTED = ("index.html", "manifest.json", "LICENSES.txt", "source.sha256")


class ClewBuildHook(BuildHookInterface[Any]):
    """Adds the start-up file to both kinds of wheel, and sees to the page."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Map ``src/clew.pth`` to the root of site-packages; build the page if it must be."""
        if self.target_name == "wheel":
            key = "force_include_editable" if version == "editable" else "force_include"
            build_data[key]["src/clew.pth"] = "clew.pth"
        if version != "editable":
            provide_page(Path(self.root))


def provide_page(root: Path) -> None:
    """See that the built page is there and is that of its sources.

    Args:
        root: Of the checkout, or of an unpacked source distribution, which has no ``web/``.

    Raises:
        RuntimeError: It must be built, and cannot be.
    """
    web, static = root / "web", root / STATIC
    if web.is_dir() and _recorded_hash(static) != source_hash(web):
        _build(web)
    missing = [name for name in WANTED if not (static / name).is_file()]
    if missing:
        raise RuntimeError(
            f"{static} has no {', '.join(missing)}. A source distribution of clew carries its page: "
            "fetch it again, or build from a checkout of the repository."
        )


def _recorded_hash(static: Path) -> str:
    file = static / "source.sha256"
    return file.read_text().strip() if file.is_file() else ""


def source_hash(web: Path) -> str:
    """Return the hash of everything the page is built from: over the sorted paths and the hashes of their bytes."""
    files = [path for name in SOURCES for path in _files(web / name)]
    names = {path.relative_to(web).as_posix(): path for path in files}
    whole = hashlib.sha256()
    for name in sorted(names):
        if not name.endswith(".py") and "__pycache__" not in name:
            whole.update(f"{name}\n{hashlib.sha256(names[name].read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()


def _files(path: Path) -> list[Path]:
    return [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path] * path.is_file()


def _build(web: Path) -> None:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise RuntimeError(
            "the page in web/ must be built for this wheel, and there is no Node to build it with. "
            "Install Node 20.19 or newer with npm, or build where the page is there already: "
            "'make web' on a machine with Node, or a source distribution, which carries it."
        )
    for words in (["ci", "--no-audit", "--no-fund", "--prefer-offline"], ["run", "build"]):
        done = subprocess.run([npm, *words], cwd=web, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"'npm {' '.join(words)}' in {web} failed:\n{done.stdout}{done.stderr}")
