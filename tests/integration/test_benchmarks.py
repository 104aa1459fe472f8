"""The benchmarks' programs run, recorded and not; what they measure is not judged here."""

from __future__ import annotations

import pytest
from benchmarks.harness import Case, Plan, interleave_calls
from benchmarks.report import Section, Table, Target, document, updated

CASES = (
    Case("imports", "import_cost.py", ("clew",)),
    Case("steps", "pingpong.py", ("asyncio", "span", "100")),
    Case("uvloop", "pingpong.py", ("uvloop", "plain", "100")),
    Case("sync", "sync_operations.py", ("plain", "20")),
    Case("calls", "functions.py", ("plain", "8", "2")),
    Case("web", "web_service.py", ("plain", "call", "20", "4")),
    Case("long run", "long_run.py", ("plain", "60")),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_program_prints_figures_when_it_is_recorded(case: Case) -> None:
    """Each program runs under ``clew run`` and prints numbers."""
    figures = Case(case.name, case.program, case.arguments, clew=()).run()

    assert all(isinstance(value, int | float) for value in figures.values())
    assert figures["events"] > 0


def test_a_failing_program_is_an_error() -> None:
    """A case that did not run has no figures."""
    case = Case("none", "import_cost.py", ("there_is_no_such_module",))

    with pytest.raises(RuntimeError, match="there_is_no_such_module"):
        case.run()


def test_every_case_runs_once_a_round_and_begins_one() -> None:
    """The cases take turns, and in who comes first."""
    order: list[str] = []

    def call(name: str):
        return lambda: order.append(name) or {"n": len(order)}

    figures = interleave_calls({"a": call("a"), "b": call("b")}, Plan(is_quick=True, progress=lambda _: None))

    assert order == ["a", "b", "b", "a"]
    assert (figures["b"]["n"] - figures["a"]["n"]).rounds == (1, -1)


def test_a_missed_target_says_by_how_much_and_why() -> None:
    """The page gives the shortfall and the reason of a miss, and neither of what is reached."""
    table = Table("Caption", ("a", "b"), [("1", "2")])
    missed = Target("a step", 1000, 1250, " ns", "Python is slow")
    reached = Target("kept", 95, 96, " %", "unused", at_least=True)

    page = document([Section("Title", "Method.", [table], [missed, reached])], "Rounds: 5")

    assert "| a step | ≤ 1,000 ns | 1,250 ns | missed by 250 ns (25%): Python is slow |" in page
    assert "| kept | ≥ 95 % | 96 % | reached |" in page
    assert "1 of 2 targets are reached" in page
    assert "| 1 | 2 |" in page


def test_a_section_can_be_measured_again_by_itself() -> None:
    """It takes the place of the one before, says when it was measured, and the targets are counted anew."""
    slow, quick = Target("a step", 10, 20, " ns", "it was busy"), Target("a step", 10, 5, " ns")
    page = document([Section("A", "How.", [], [slow]), Section("B", "How too.", [], [quick])], "Rounds: 5")

    again = updated(page, [Section("A", "Now.", [], [quick]), Section("C", "New.", [], [slow])])

    assert "1 of 2 targets are reached" in page
    assert "2 of 3 targets are reached" in again
    assert again.index("## A") < again.index("## B") < again.index("## C")
    assert "How.\n" not in again
    assert "## A\n\nMeasured by itself, 20" in again
