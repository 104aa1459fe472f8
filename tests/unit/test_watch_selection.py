"""Prefixes of ``--watch``: what they select, and what is said of those that match nothing."""

from __future__ import annotations

import pytest

from clew.probe.redact import Redactor
from clew.probe.watch.selection import ALL, NONE, SOME, Selection, unknown


def selection(*prefixes: str) -> Selection:
    return Selection(prefixes, Redactor())


@pytest.mark.parametrize(
    ("prefix", "name", "expected"),
    [
        ("bank", "bank", ALL),
        ("bank", "bank.accounts.Account", ALL),
        ("bank", "banking", NONE),
        ("bank", "ban", NONE),
        ("bank.Account", "bank", SOME),
        ("bank.Account", "bank.Account", ALL),
        ("bank.Account", "bank.Account.balance", ALL),
        ("bank.Account", "bank.AccountList", NONE),
        ("bank.Account.balance", "bank.Account", SOME),
    ],
)
def test_a_prefix_selects_whole_dotted_names(prefix: str, name: str, expected: int) -> None:
    """The name itself and what is below it is selected; what it stands in is so in part."""
    assert selection(prefix).extent(name) == expected


@pytest.mark.parametrize(
    ("prefix", "names", "name", "expected"),
    [
        ("app", ("app",), "__main__", ALL),
        ("app.Box", ("app",), "__main__.Box", ALL),
        ("app.Box", ("app",), "__main__", SOME),
        ("shop", ("shop.cart", "cart"), "__main__", ALL),
        ("cart.Cart", ("shop.cart", "cart"), "__main__.Cart", ALL),
        ("other", ("app",), "__main__", NONE),
    ],
)
def test_what_runs_is_known_by_its_own_name(prefix: str, names: tuple[str, ...], name: str, expected: int) -> None:
    """A prefix with the script's or module's name means ``__main__``."""
    chosen = selection(prefix)

    chosen.name_main(*names)

    assert chosen.extent(name) == expected


def test_a_prefix_is_matched_by_what_is_below_it() -> None:
    """What was met takes the prefixes above it off the list, and no others."""
    chosen = selection("bank.Account", "bank.Ledger", "bank")

    chosen.mark(["bank.Account.balance"])

    assert chosen.unmatched == {"bank.Ledger"}


def test_a_prefix_of_the_script_is_matched_as_it_was_given() -> None:
    """``app.Box`` is matched by ``__main__.Box.value``."""
    chosen = selection("app.Box")
    chosen.name_main("app")

    chosen.mark(["__main__.Box.value"])

    assert not chosen.unmatched


def test_the_nearest_name_is_suggested() -> None:
    """One line a prefix, with the name that was meant most likely."""
    lines = unknown({"unmatched": ["bank.Acct", "zzz"], "known": ["bank", "bank.Account"]})

    assert len(lines) == 2
    assert "did you mean bank.Account?" in lines[0]
    assert "did you mean" not in lines[1]
    assert all(line.endswith("[unknown-watch]\n") and line.count("\n") == 1 for line in lines)


def test_a_refusal_is_told_with_its_reason() -> None:
    """A module that cannot be watched is not called unknown."""
    (line,) = unknown({"unmatched": ["_json.x"], "known": [], "refused": {"_json": "it is built in"}})

    assert "--watch _json.x is not watched: it is built in" in line


def test_only_so_many_refusals_are_kept() -> None:
    """Neither their number nor their text grows without bound."""
    chosen = selection("bank")

    for i in range(1000):
        chosen.refuse(f"bank.m{i}", "x" * 1000)

    assert len(chosen.refused) <= 20
    assert all(len(reason) <= 200 for reason in chosen.refused.values())
