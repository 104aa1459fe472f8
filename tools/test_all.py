"""Run the tests on every Python there is: what ``make test`` does.

The interpreter that made ``.venv`` runs everything. Others from 3.12 on that are found
(on PATH, with pyenv, with uv) get a virtual environment of their own and run the unit
and integration tests: hooks depend on the version. The store and the server, which do not,
are tested there by ``make test-server-everywhere``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
OTHERS = ("3.12", "3.13")
TIERS = ("tests/unit", "tests/integration")
SERVER_TIERS = ("tests/integration/store", "tests/integration/server")


def main() -> int:
    """Run them; return 1 if any failed."""
    failed: list[str] = []
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    tiers = (*TIERS, *(f"--ignore={tier}" for tier in SERVER_TIERS))
    if "--server" in sys.argv:
        tiers = SERVER_TIERS
    else:
        prepare_browser()
        if not run(own, Path(sys.executable), ("tests",)):
            failed.append(own)
    for version in OTHERS:
        if version == own:
            continue
        python = find_python(version)
        if python is None:
            print(f"-- Python {version}: not found on PATH, with pyenv or uv; its tests are not run", flush=True)
        elif not run(version, environment(version, python), tiers):
            failed.append(version)
    if failed:
        print(f"-- failed on Python {', '.join(failed)}")
    return 1 if failed else 0


def run(version: str, python: Path, paths: tuple[str, ...]) -> bool:
    """Run pytest with *python*; return whether all passed."""
    print(f"-- Python {version}: {' '.join(paths)}", flush=True)
    started = time.monotonic()
    workers = str(min(os.cpu_count() or 1, 4))
    done = subprocess.run([python, "-m", "pytest", "-q", "-n", workers, *paths], cwd=ROOT, check=False)
    print(f"-- Python {version}: {time.monotonic() - started:.0f} s", flush=True)
    return done.returncode == 0


def find_python(version: str) -> Path | None:
    """Return an interpreter of that version that works, or None."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True)
    on_path = shutil.which(f"python{version}")
    if on_path:
        candidates.append(Path(on_path))
    if shutil.which("uv"):
        found = subprocess.run(
            ["uv", "python", "find", version], capture_output=True, text=True, check=False
        ).stdout.strip()
        candidates += [Path(found)] if found else []
    for candidate in candidates:
        probe = "import sys, venv; print('%d.%d' % sys.version_info[:2])"
        answer = subprocess.run([candidate, "-c", probe], capture_output=True, text=True, check=False)
        if answer.stdout.strip() == version:
            return candidate
    return None


def environment(version: str, python: Path) -> Path:
    """Make ``.venv-VERSION`` up to date; return its interpreter."""
    folder = ROOT / f".venv-{version}"
    stamp = folder / ".installed"
    wanted = [ROOT / "requirements-dev.txt", ROOT / "pyproject.toml", ROOT / "hatch_build.py"]
    inner = folder / "bin" / "python"
    if not stamp.exists() or stamp.stat().st_mtime < max(file.stat().st_mtime for file in wanted):
        print(f"-- Python {version}: setting up {folder.name}", flush=True)
        subprocess.run([python, "-m", "venv", folder], check=True)
        pip = [inner, "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, "--upgrade", "pip"], check=True)
        subprocess.run([*pip, "-r", ROOT / "requirements-dev.txt"], check=True)
        subprocess.run([*pip, "--constraint", ROOT / "requirements-dev.txt", "--editable", f"{ROOT}[all]"], check=True)
        stamp.touch()
    return inner


def prepare_browser() -> None:
    """Install Debian's Chromium where that is possible: the browser tests need one."""
    if shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome"):
        return
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        print("-- installing chromium for the browser tests", flush=True)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(["apt-get", "update", "-q"], check=False, **quiet)
        subprocess.run(["apt-get", "install", "-y", "-q", "--no-install-recommends", "chromium"], check=False, **quiet)
    if not shutil.which("chromium"):
        print("-- no chromium: the browser tests will say that they are skipped", flush=True)


if __name__ == "__main__":
    sys.exit(main())
