"""The timeline in a real browser: what is drawn, and what keys, wheel and mouse do to it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e

BROWSER_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PROGRAM = """
import asyncio

lock = asyncio.Lock()

async def hold():
    async with lock:
        await asyncio.sleep(0.08)

async def want():
    await asyncio.sleep(0)
    async with lock:
        await asyncio.sleep(0.02)

async def main():
    await asyncio.gather(asyncio.create_task(hold(), name="holder"), asyncio.create_task(want(), name="waiter"))

asyncio.run(main())
"""
THREAD_PIXELS = """() => {
  const canvas = document.querySelector('.tl-overlay');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let i = 0; i < data.length; i += 4)
    if (data[i + 3] > 200 && data[i] > 190 && data[i + 1] > 70 && data[i + 1] < 120 && data[i + 2] < 40) count++;
  return count;
}"""
COLOURS = """() => {
  const canvas = document.querySelector('.tl-layers canvas');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size;
}"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a page that shows one recorded run."""
    folder = tmp_path_factory.mktemp("timeline")
    (folder / "locks.py").write_text(PROGRAM)
    recording, log = folder / "locks.clew", folder / "ui.log"
    command = [sys.executable, "-m", "clew"]
    subprocess.run([*command, "run", "-o", recording, "locks.py"], cwd=folder, check=True, capture_output=True)
    with log.open("w") as said:
        process = subprocess.Popen([*command, "ui", recording, "--no-browser"], stdout=said, stderr=said)
    try:
        yield _address(process, log)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
        if found:
            return found[0]
        time.sleep(0.05)
    raise AssertionError(f"the page did not start: {log.read_text()}")


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


@pytest.fixture
def page(browser: Any, url: str) -> Iterator[Any]:
    """The run's page, with its timeline drawn; what goes wrong in it fails the test."""
    complaints: list[str] = []
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    found = context.new_page()
    found.on("pageerror", lambda error: complaints.append(str(error)))
    found.goto(url)
    found.get_by_text("locks").first.click()
    if "/runs/" not in found.url:
        found.keyboard.press("Enter")
    found.wait_for_url("**/runs/*")
    found.get_by_role("button", name="waiter", exact=True).wait_for()
    yield found
    context.close()
    assert complaints == []


def _until(page: Any, expression: str) -> None:
    """Wait until *expression* holds; asked from outside, as the page's policy forbids to evaluate texts in it."""
    deadline = time.monotonic() + 20
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(20)


def _middle(page: Any) -> tuple[float, float]:
    box = page.locator(".tl-overlay").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def _zoom(page: Any) -> tuple[int, int]:
    page.wait_for_url("**from=*")
    found = re.search(r"from=(-?\d+)&to=(-?\d+)", page.url)
    assert found
    return int(found[1]), int(found[2])


def test_the_run_is_drawn(page: Any) -> None:
    """Steps, waits and lives have colours of their own on the canvas."""
    _until(page, f"({COLOURS})() > 12")


def test_ctrl_and_wheel_zoom_around_the_pointer_and_the_address_says_so(page: Any) -> None:
    """What is under the pointer stays there; dragging moves it; f shows everything again."""
    x, y = _middle(page)
    page.mouse.move(x, y)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    start, end = _zoom(page)

    page.mouse.down()
    page.mouse.move(x - 200, y, steps=4)
    page.mouse.up()
    _until(page, f"!location.search.includes('from={start}&')")
    moved = _zoom(page)

    assert end > start
    assert moved[0] > start
    assert moved[1] - moved[0] == pytest.approx(end - start, abs=2)
    page.keyboard.press("f")
    _until(page, "!location.search.includes('from=')")


def test_shift_and_drag_zoom_into_a_range(page: Any) -> None:
    """The range that was marked is what is seen."""
    x, y = _middle(page)
    page.keyboard.down("Shift")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 100, y, steps=4)
    page.mouse.up()
    page.keyboard.up("Shift")

    start, end = _zoom(page)

    assert 0 < end - start < 200_000_000


def test_keys_go_from_block_to_block_and_the_thread_of_the_selected_is_drawn(page: Any) -> None:
    """Arrows announce blocks; enter selects one; its thread appears as vermillion pixels."""
    announced = page.locator(".tl [aria-live=polite]")
    page.locator(".tl-main").focus()
    page.keyboard.press("ArrowDown")
    _until(page, "document.querySelector('.tl [aria-live=polite]').textContent !== ''")
    for _ in range(8):
        if "waiter" in announced.text_content():
            break
        page.keyboard.press("ArrowDown")
        page.wait_for_timeout(30)
    assert "waiter" in announced.text_content()

    page.keyboard.press("Enter")

    page.wait_for_url("**sel=event:*")
    _until(page, f"({THREAD_PIXELS})() > 100")


def test_a_thread_folds_its_tasks_away_and_shows_them_again(page: Any) -> None:
    """The triangle beside a name is a button that says what it does."""
    waiter = page.get_by_role("button", name="waiter", exact=True)

    page.get_by_role("button", name="Fold MainThread").click()
    waiter.wait_for(state="detached")
    page.get_by_role("button", name="Unfold MainThread").click()

    waiter.wait_for()


def test_who_does_not_see_the_picture_has_a_table_of_it(page: Any) -> None:
    """What was waited for, where and how long stands in cells."""
    cells = page.locator(".tl table tbody tr", has_text="waited for lock")
    cells.first.wait_for(state="attached")

    assert "waiter" in cells.first.text_content()


def test_finding_dims_the_rest_and_counts(page: Any) -> None:
    """A text that nothing holds counts none; escape takes the search back."""
    box = page.get_by_role("searchbox", name="Find in the timeline")

    box.fill("waiter")
    _until(page, "Number(document.querySelector('.tl-found')?.textContent) > 0")
    box.fill("nowhere to be found")
    _until(page, "document.querySelector('.tl-found')?.textContent === '0'")
    box.press("Escape")

    page.locator(".tl-found").wait_for(state="detached")
