"""The built page on its way into the wheel: built once, carried by the source distribution, never guessed."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STATIC = "src/clew/server/static"
SOURCES = ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "CHANGELOG.md", "src", "examples", "docs", "web")
BUILD = "import sys; from hatchling.build import {0}; print({0}(sys.argv[1]))"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of this checkout with its page built, without what Node installed."""
    if not (ROOT / STATIC / "index.html").is_file():
        pytest.skip("the page is not built here: 'make web' builds it, with Node")
    folder = tmp_path_factory.mktemp("checkout")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("node_modules", "__pycache__"))
        else:
            shutil.copy(source, folder / name)
    return folder


@pytest.fixture
def nowhere(tmp_path):
    """An environment whose PATH has no Node."""
    empty = tmp_path / "bin"
    empty.mkdir()
    return {"PATH": str(empty), "HOME": str(tmp_path), "LANG": "C.UTF-8"}


def build(kind, folder, target, env):
    """Build a wheel or a source distribution of *folder* as pip would, in this interpreter's environment."""
    return subprocess.run(
        [sys.executable, "-c", BUILD.format(f"build_{kind}"), str(target)],
        cwd=folder, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_page_that_is_built_already_needs_no_node(checkout, nowhere, tmp_path):
    """The recorded hash is that of the sources, as Vite's plugin and the hook compute it alike."""
    done = build("wheel", checkout, tmp_path, nowhere)

    assert done.returncode == 0, done.stderr
    assert "clew/server/static/index.html" in zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()


def test_a_wheel_is_made_of_the_source_distribution_without_node(checkout, nowhere, tmp_path):
    """The source distribution carries the page, and not its sources."""
    done = build("sdist", checkout, tmp_path, nowhere)
    assert done.returncode == 0, done.stderr
    archive = next(tmp_path.glob("*.tar.gz"))
    with tarfile.open(archive) as tar:
        names = tar.getnames()
        tar.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()

    made = build("wheel", unpacked, tmp_path, nowhere)

    assert made.returncode == 0, made.stderr
    assert [name for name in names if "/web/" in name] == []
    assert "clew/server/static/index.html" in zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()


def test_without_node_a_page_of_other_sources_stops_the_build(checkout, nowhere, tmp_path):
    """Both remedies are named: install Node, or build where the page is there."""
    changed = shutil.copytree(checkout, tmp_path / "changed")
    (changed / "web/src/main.tsx").write_text("export {};\n")

    done = build("wheel", changed, tmp_path, nowhere)

    assert done.returncode != 0
    assert "Install Node 20.19 or newer" in done.stderr
    assert "make web" in done.stderr


def test_an_editable_install_never_touches_node(checkout, nowhere, tmp_path):
    """It works without a page."""
    bare = shutil.copytree(checkout, tmp_path / "bare")
    shutil.rmtree(bare / STATIC)

    done = build("editable", bare, tmp_path, nowhere)

    assert done.returncode == 0, done.stderr


def test_the_page_names_only_files_it_brings(checkout):
    """No address leads elsewhere: it works offline; names of assets change with what is in them."""
    static = checkout / STATIC
    page = (static / "index.html").read_text()
    manifest = json.loads((static / "manifest.json").read_text())

    names = re.findall(r'(?:src|href)="([^"]+)"', page)

    assert names
    assert all(name.startswith("/") and (static / name[1:]).is_file() for name in names)
    assert all(re.search(r"-[\w-]{8}\.(js|css)$", entry["file"]) for entry in manifest.values())
    assert "<script>" not in page


def test_the_first_view_is_small(checkout):
    """What the list of runs needs is below 150 kB compressed."""
    static = checkout / STATIC
    manifest = json.loads((static / "manifest.json").read_text())
    wanted, files = ["index.html", "src/views/runs/RunsView.tsx"], set()
    while wanted:
        entry = manifest[wanted.pop()]
        found = {entry["file"], *entry.get("css", ())}
        if not found <= files:
            files |= found
            wanted += entry.get("imports", ())

    size = sum(len(gzip.compress((static / name).read_bytes())) for name in files)

    assert size < 150_000
