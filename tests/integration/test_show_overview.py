"""``clew show RECORDING``: what the overview concludes from small programs."""

from __future__ import annotations

import json

from clew.cli.main import main


def overview(recorded, capsys):
    assert main(["show", str(recorded.path), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_an_error_that_is_raised_logged_and_not_handled_is_one(record, capsys):
    """However often it was seen on its way, and whatever the version of Python sees of it."""
    recorded = record(
        """
        import logging

        def fail():
            raise ValueError("no such account")

        try:
            fail()
        except ValueError:
            logging.exception("failed")
            raise
        """
    )

    shown = overview(recorded, capsys)

    assert [(e["type"], e["count"], e["unhandled"]) for e in shown["errors"]] == [("ValueError", 1, 1)]


def test_equal_errors_of_one_place_are_counted(record, capsys):
    """Each is raised and logged once."""
    recorded = record(
        """
        import logging

        for _ in range(3):
            try:
                raise ValueError("no such account")
            except ValueError:
                logging.exception("failed")
        """
    )

    shown = overview(recorded, capsys)

    assert [(e["count"], e["unhandled"]) for e in shown["errors"]] == [(3, 0)]


def test_an_error_raised_from_an_equal_one_is_another(record, capsys):
    """Its cause is an error of the same type and message, but not the same error."""
    recorded = record(
        """
        import logging

        for attempt in range(2):
            try:
                try:
                    raise ValueError("no such account")
                except ValueError as error:
                    logging.exception("inner")
                    raise ValueError("no such account") from error
            except ValueError:
                logging.exception("outer")
        """
    )

    shown = overview(recorded, capsys)

    assert sum(e["count"] for e in shown["errors"]) == 4


def test_the_jobs_of_worker_processes_are_among_what_ran_longest(record, capsys):
    """They are named by the process, of which there are several."""
    recorded = record(
        """
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        def work(n):
            return sum(range(n))

        if __name__ == "__main__":
            with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
                print(sum(pool.map(work, [300_000] * 5)))
        """
    )

    shown = overview(recorded, capsys)

    assert recorded.returncode == 0, recorded.stderr
    worker = next(
        b for b in shown["busiest"] if (b["name"], b["service"]) == ("ForkProcess-1 MainThread", "ForkProcess-1")
    )
    assert worker["steps"] == 5
    assert worker["total_ns"] >= worker["longest_ns"] > 0


def test_a_frozen_dataclass_fails_in_the_line_that_sets_it(record, capsys):
    """Not in the method that ``dataclass`` wrote, which has no file."""
    recorded = record(
        """
        import logging
        from dataclasses import dataclass

        @dataclass(frozen=True)
        class Point:
            x: int

        point = Point(1)
        try:
            point.x = 2
        except AttributeError:
            logging.exception("failed")
        """
    )

    shown = overview(recorded, capsys)

    assert [(e["count"], e["site"]) for e in shown["errors"]] == [(1, "program.py:11 <module>")]


def test_tasks_of_one_function_are_one_line(record, capsys):
    """A server has a task for each request."""
    recorded = record(
        """
        import asyncio

        async def serve():
            await asyncio.sleep(0)

        async def main():
            named = asyncio.create_task(serve(), name="first")
            await asyncio.gather(named, *[asyncio.create_task(serve()) for _ in range(5)])

        asyncio.run(main())
        """
    )

    shown = overview(recorded, capsys)

    found = {busy["name"]: (busy["count"], busy["steps"]) for busy in shown["busiest"]}
    assert found["5 tasks serve"] == (5, 10)
    assert "main (Task-1)" in found
