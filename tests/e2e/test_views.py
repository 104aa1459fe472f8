"""Every view of the page, on the bank and on a million events, in both themes and at three sizes.

``make screenshots`` runs this and keeps what it sees in ``docs/images/``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from benchmarks.synthetic import write_recording
from tests.e2e.test_page import BROWSER_FLAGS, Server

from clew.format.chunk import ChunkType, encode_json_chunk
from clew.server.indexer import index_process
from clew.store.ingest import CheckedChunk, check_chunks
from clew.store.store import Store
from clew.store.writer import IngestRequest

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
SIZES = {
    "phone": {"width": 390, "height": 844},
    "laptop": {"width": 1440, "height": 900},
    "wide": {"width": 2560, "height": 1300},
}
KEPT = os.environ.get("CLEW_SCREENSHOTS")
"""Folder for pictures; none are kept without it."""
KEPT_OF_OTHER_SIZES = ("runs", "run", "thread", "million")
"""Views of which pictures are kept of a phone and a wide screen too: a megabyte more for each would be much."""
WAIT_MS = 60_000
SETTLE_MS = 300
"""Motion takes at most 150 ms; a picture is taken after it."""


def without_paths(chunk: CheckedChunk) -> CheckedChunk:
    """Leave out of a command line where this checkout stands: the pictures are looked at elsewhere."""
    if chunk.header.type != ChunkType.PROCESS or chunk.json is None:
        return chunk
    argv = [str(word).replace(str(ROOT), "/srv/bank") for word in chunk.json["argv"]]
    body = encode_json_chunk(ChunkType.PROCESS, chunk.header.process_id, {**chunk.json, "argv": argv})
    (found,) = check_chunks(body)
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that knows the bank's run, and one of a million events."""
    folder = tmp_path_factory.mktemp("views")
    bank = folder / "bank.clew"
    subprocess.run(
        [sys.executable, "-m", "clew", "run", "--quiet", "-o", bank, ROOT / "examples" / "bank"],
        check=True, capture_output=True, cwd=ROOT, timeout=100,
    )  # fmt: skip
    million = write_recording(folder / "million.clew", 1_000_000)
    with Store.open(str(folder / "store")) as store:
        for stream in (*bank.glob("*.stream"), *million.glob("*.stream")):
            chunks = [without_paths(chunk) for chunk in check_chunks(stream.read_bytes())]
            store.writer.submit(IngestRequest(chunks)).result()
        for row in store.changes(0):
            index_process(store, row.process_id)
    found = Server(folder, "--no-worker")
    yield found.url
    found.close()


@pytest.fixture(scope="module")
def runs(server: str) -> dict[str, str]:
    """The ids of the runs, by what they are called here."""

    def longest(words: str) -> str:
        with urlopen(f"{server}/api/v1/runs?{words}&limit=1") as answer:
            return json.load(answer)["runs"][0]["id"]

    return {"bank": longest("filter=name:bank%20findings:>0&sort=-events"), "million": longest("sort=-events")}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real chromium, without a window."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.fail("there is no chromium on this machine; install it with: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, headless=True, args=BROWSER_FLAGS)
        yield found
        found.close()


VIEWS = {
    "runs": ("/runs", "[aria-label='Runs'] .grid-row"),
    "run": ("/runs/{bank}", ".tl-name"),
    "thread": ("/runs/{bank}", ".tl-name"),
    "events": ("/runs/{bank}?tab=events", "[aria-label='Events of the run'] .grid-row"),
    "run-services": ("/runs/{bank}?tab=services", "svg [class*=node], svg text"),
    "findings": ("/findings", ".grid-row"),
    "services": ("/services", "svg text"),
    "sql": ("/sql", "textarea"),
    "million": ("/runs/{million}", ".tl-name"),
    "million-events": ("/runs/{million}?tab=events", "[aria-label='Events of the run'] .grid-row"),
}


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("size", SIZES)
def test_every_view_shows_what_it_is_for(
    browser: Any, server: str, runs: dict[str, str], theme: str, size: str
) -> None:
    """Nothing goes wrong in the page, nothing is wider than the screen, and what a view is for is there."""
    context = browser.new_context(viewport=SIZES[size], color_scheme=theme)
    complaints: list[str] = []
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)

    for name, (address, wanted) in VIEWS.items():
        page.goto(server + address.format(**runs))
        page.locator(wanted).first.wait_for(state="visible")
        if name == "thread":
            page.get_by_role("button", name="Show me").click()
            page.locator(".thread-step").first.wait_for()
        if name == "sql":
            page.get_by_label("SQL query").press("Control+Enter")
            page.get_by_label("Rows of the answer", exact=True).locator(".grid-row").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"], name
        if KEPT and (size == "laptop" or name in KEPT_OF_OTHER_SIZES):
            page.wait_for_timeout(SETTLE_MS)
            page.screenshot(path=Path(KEPT) / f"{name}-{size}-{theme}.png")

    context.close()
    assert complaints == []
