"""The wheel, installed where there is nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
import time
import venv
import zipfile
from pathlib import Path
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).parents[2]
# A user's shell has none of the settings of this test run.
CLEAN = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8"}


def run(*words, **options):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, **options)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    done = run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """An interpreter whose environment has the wheel and no other package."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    done = run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", "--no-deps", wheel)
    assert done.returncode == 0, done.stderr
    return python


def test_the_wheel_brings_what_it_needs_and_nothing_of_the_checkout(wheel):
    """Code, types, licences, the start-up file, the example, the built page; no tests, no sources of the page."""
    names = zipfile.ZipFile(wheel).namelist()

    assert "clew.pth" in names
    assert "clew/py.typed" in names
    assert "clew/_examples/bank/__main__.py" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {"clew/server/static/index.html", "clew/server/static/LICENSES.txt"} <= set(names)
    assert [
        n for n in names if n.endswith(".pyc") or n.split("/")[0] in ("tests", "benchmarks", "tools", "examples", "web")
    ] == []
    assert [n for n in names if n.endswith((".ts", ".tsx")) or "node_modules" in n] == []


def test_the_base_install_records_and_repairs_without_any_dependency(python, tmp_path):
    """`clew run`, `clew repair` and the JSON lines work on the standard library alone."""
    script = tmp_path / "app.py"
    script.write_text("import asyncio\nasyncio.run(asyncio.sleep(0))\nprint('done')\nraise SystemExit(3)\n")
    clew = python.parent / "clew"

    done = run(clew, "run", "-o", "app.clew", script, cwd=tmp_path, env=CLEAN)
    repaired = run(clew, "repair", "app.clew", cwd=tmp_path, env=CLEAN)
    exported = run(clew, "export", "app.clew", "--format", "jsonl", "-o", "-", cwd=tmp_path, env=CLEAN)

    assert (done.returncode, done.stdout) == (3, "done\n"), done.stderr
    assert repaired.returncode == 0, repaired.stderr
    assert exported.returncode == 0, exported.stderr
    kinds = {json.loads(line).get("kind") for line in exported.stdout.splitlines()}
    assert {"life.task_start", "life.step", "life.process_end"} <= kinds


def test_a_command_that_needs_more_says_what_to_install(python, tmp_path):
    """One line with the command to type, exit code 2."""
    (tmp_path / "app.py").write_text("pass\n")
    clew = python.parent / "clew"
    run(clew, "run", "-o", "app.clew", "app.py", cwd=tmp_path, env=CLEAN)

    done = run(clew, "show", "app.clew", cwd=tmp_path, env=CLEAN)

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "pip install 'clew[all]'" in done.stderr


def test_nothing_happens_in_a_program_that_does_not_ask_for_it(python, tmp_path):
    """The start-up file of the package loads nothing unless CLEW is set."""
    code = "import sys; print(sorted(name for name in sys.modules if name.startswith('clew')))"

    done = run(python, "-c", code, cwd=tmp_path, env=CLEAN)

    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_the_installed_page_is_served_without_node(python, tmp_path):
    """`clew serve` answers `/` and what it names, from the wheel, where PATH has no Node."""
    (tmp_path / "bin").mkdir()
    # What `clew[all]` installs is taken from this environment; clew itself is the wheel's.
    others = sysconfig.get_path("purelib")
    env = {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path), "LANG": "C.UTF-8", "PYTHONPATH": others}
    log = tmp_path / "log"
    with log.open("w") as said:
        words = [python, "-m", "clew", "serve", "--store", tmp_path / "store", "--port", "0", "--no-worker"]
        server = subprocess.Popen([str(word) for word in words], stdout=said, stderr=said, cwd=tmp_path, env=env)
    try:
        url = _address(server, log)
        page = urlopen(f"{url}/").read().decode()
        names = re.findall(r'(?:src|href)="(/[^"]+)"', page)
        kinds = {name: urlopen(url + name).headers["Content-Type"].partition(";")[0] for name in names}
    finally:
        server.terminate()
        server.wait(timeout=30)

    assert '<div id="root">' in page
    assert {"text/javascript", "text/css", "image/svg+xml"} <= set(kinds.values())


def _address(server, log):
    deadline = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < deadline:
        found = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
        if found:
            return found[0]
        time.sleep(0.05)
    raise AssertionError(f"the server did not start: {log.read_text()}")
