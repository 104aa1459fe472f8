"""Work that makes much and no garbage is left alone by the collector."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest

from clew.model.garbage import uncollected


@pytest.fixture(autouse=True)
def _collecting() -> Iterator[None]:
    gc.enable()
    yield
    gc.enable()


def test_the_collector_goes_on_when_the_last_one_leaves() -> None:
    """Two threads may be in it at once, in any order; an exception leaves it too."""
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with uncollected():
            inside.set()
            leave.wait(10)

    def failing() -> None:
        with uncollected():
            thread.start()
            inside.wait(10)
            raise KeyError

    thread = threading.Thread(target=other)
    with pytest.raises(KeyError):
        failing()

    assert not gc.isenabled()
    leave.set()
    thread.join()
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    """A program that collects at times of its own choice keeps that choice."""
    gc.disable()

    with uncollected():
        pass

    assert not gc.isenabled()
