"""``--watch``: which reads and writes are recorded, of what, where, and with which values."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Event, Record, Recorded

BANK = """
COUNT = 0
CACHE = {}
LIMIT = 10

class Account:
    rate = 1

    def __init__(self, balance):
        self.balance = balance
        self.items = {"a": 1}

    def add(self, amount):
        global COUNT
        self.balance = self.balance + amount
        COUNT += 1
        CACHE["last"] = amount
        self.items["a"] += 1
        return LIMIT


class Ledger:
    def __init__(self):
        self.lines = 0
"""
USE = """
    import bank
    account = bank.Account(1)
    account.add(2)
    account.balance += 5
    bank.Ledger().lines += 1
"""


def states(recorded: Recorded) -> list[tuple[str, str, str, Any]]:
    """What was read and written: (R or W, operation, name, value)."""
    return [_short(e) for e in recorded.of("state.read", "state.write")]


def _short(event: Event) -> tuple[str, str, str, Any]:
    assert event.entity is not None
    value = event.attrs.get("value", event.attrs.get("state"))
    return ("R" if event.kind == "state.read" else "W", event.op, event.entity.name, value)


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    path = tmp_path / "bank.py"
    path.write_text(BANK)
    return path


def unknown(recorded: Recorded) -> list[str]:
    return [line for line in recorded.stderr.splitlines() if "[unknown-watch]" in line]


def test_reads_and_writes_of_a_class_are_recorded_in_its_module_and_in_the_script(record: Record, bank: Path) -> None:
    """``--watch bank.Account`` shows its attributes and the items they hold, in order, and nothing else."""
    recorded = record(USE, options=("--watch", "bank.Account"))

    found = [entry for entry in states(recorded) if entry[2] != "Account.items"]
    assert found == [
        ("W", "attribute", "Account.balance", 1),
        ("R", "attribute", "Account.balance", 1),
        ("W", "attribute", "Account.balance", 3),
        ("R", "item", "Account.items[a]", 1),
        ("W", "item", "Account.items[a]", 2),
        ("R", "attribute", "Account.balance", 3),
        ("W", "attribute", "Account.balance", 8),
    ]
    assert not unknown(recorded)
    assert not recorded.problems


def test_a_module_is_watched_with_its_globals_and_classes(record: Record, bank: Path) -> None:
    """``--watch bank`` records globals that change, the items they hold, and all its classes."""
    recorded = record(USE, options=("--watch", "bank"))

    found = states(recorded)
    assert ("R", "global", "bank.COUNT", 0) in found
    assert ("W", "global", "bank.COUNT", 1) in found
    assert ("W", "item", "bank.CACHE[last]", 2) in found
    assert ("W", "attribute", "Ledger.lines", 1) in found
    assert not [entry for entry in found if "LIMIT" in entry[2]]  # it never changes


@pytest.mark.parametrize(
    ("prefix", "names"),
    [
        ("bank.Account.balance", {"Account.balance"}),
        ("bank.CACHE", {"bank.CACHE[last]"}),
        ("bank.COUNT", {"bank.COUNT"}),
        ("bank.Ledger", {"Ledger.lines"}),
    ],
)
def test_one_variable_or_class_may_be_named(record: Record, bank: Path, prefix: str, names: set[str]) -> None:
    """Nothing but what the prefix names is recorded."""
    recorded = record(USE, options=("--watch", prefix))

    assert {name for _, _, name, _ in states(recorded)} == names
    assert not unknown(recorded)


def test_code_of_a_watched_module_shows_objects_of_other_modules(record: Record, bank: Path) -> None:
    """``--watch program`` records what the script does with an object of a class defined elsewhere."""
    recorded = record(USE, options=("--watch", "program"))

    assert states(recorded) == [
        ("R", "attribute", "Account.balance", 3),
        ("W", "attribute", "Account.balance", 8),
        ("R", "attribute", "Ledger.lines", 0),
        ("W", "attribute", "Ledger.lines", 1),
    ]


@pytest.mark.parametrize("prefix", ["__main__", "program", "program.total", "__main__.total"])
def test_the_script_is_known_by_its_name_and_as_main(record: Record, prefix: str) -> None:
    """A global of the script is called after the file, whichever way it was asked for."""
    recorded = record(
        """
        total = 0
        def add():
            global total
            total += 1
        add()
        """,
        options=("--watch", prefix),
    )

    assert ("W", "global", "program.total", 1) in states(recorded)


@pytest.mark.parametrize(
    ("arguments", "prefix"),
    [(["-m", "shop.cart"], "shop"), (["-m", "shop.cart"], "shop.cart.Cart"), (["-m", "shop"], "shop")],
)
def test_modules_run_with_m_are_watched(tmp_path: Path, arguments: list[str], prefix: str) -> None:
    """``-m package.module`` and ``-m package`` run with notes, under their own names."""
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").write_text("")
    source = "class Cart:\n    pass\ncart = Cart()\ncart.size = 3\nprint(cart.size, __name__)\n"
    (package / "cart.py").write_text(source)
    (package / "__main__.py").write_text(source)
    path = tmp_path / "r.clew"

    done = run_clew(tmp_path, "-o", str(path), "--watch", prefix, *arguments)

    assert done.stdout == "3 __main__\n", done.stderr
    recorded = Recorded(done.returncode, done.stdout, done.stderr, path)
    assert states(recorded) == [("W", "attribute", "Cart.size", 3), ("R", "attribute", "Cart.size", 3)]
    assert not unknown(recorded)


def run_clew(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run ``clew run`` in *folder*."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CLEW")}
    return subprocess.run(
        [sys.executable, "-m", "clew", "run", *arguments],
        capture_output=True, text=True, timeout=60, cwd=folder, check=False, env=clean | environ,
    )  # fmt: skip


@pytest.mark.parametrize("place", ["environment", "project"])
def test_prefixes_may_come_from_environment_and_project(record: Record, bank: Path, place: str) -> None:
    """CLEW_WATCH and [tool.clew] say the same as the flag."""
    if place == "project":
        (bank.parent / "pyproject.toml").write_text('[tool.clew]\nwatch = ["bank.Ledger", "bank.COUNT"]\n')

    recorded = record(USE, env={"CLEW_WATCH": "bank.Ledger, bank.COUNT"} if place == "environment" else {})

    assert {name for _, _, name, _ in states(recorded)} == {"Ledger.lines", "bank.COUNT"}


def test_an_access_has_the_line_the_function_and_the_task(record: Record) -> None:
    """Reads and writes stand at their own line, in the function and the task that did them."""
    recorded = record(
        """
        import asyncio
        class Box:
            value = 0
        box = Box()
        async def bump(n):
            seen = box.value
            await asyncio.sleep(0)
            box.value = seen + n
        async def main():
            await asyncio.gather(
                asyncio.create_task(bump(1), name="one"), asyncio.create_task(bump(2), name="two"))
        asyncio.run(main())
        """,
        options=("--watch", "program.Box"),
    )

    found = [
        (e.scope.name, e.kind, e.site.line, e.site.function)
        for e in recorded.of("state.read", "state.write", entity="Box.value")
        if e.scope is not None and e.site is not None
    ]
    assert found == [
        ("one", "state.read", 7, "bump"),
        ("two", "state.read", 7, "bump"),
        ("one", "state.write", 9, "bump"),
        ("two", "state.write", 9, "bump"),
    ]


def test_two_objects_are_two_variables(record: Record) -> None:
    """Attributes of the same name are told apart by their object, also when memory is used again."""
    recorded = record(
        """
        class Box:
            __slots__ = ("value",)
        for n in range(3):
            box = Box()
            box.value = n
            del box
        """,
        options=("--watch", "program"),
    )

    writes = recorded.of("state.write", entity="Box.value")
    assert len({e.entity.id for e in writes if e.entity}) == 3


def test_items_deletions_and_absence_are_told(record: Record) -> None:
    """Methods of dicts, ``in`` and ``del`` are reads and writes of items."""
    recorded = record(
        """
        cache = {}
        def use(key):
            cache.get(key)
            key in cache
            cache.setdefault(key, 5)
            cache[key] += 1
            cache.pop(key)
            cache.update({key: 7})
            del cache[key]
        use("k")
        """,
        options=("--watch", "program.cache"),
    )

    assert [(what, value) for what, _, _, value in states(recorded)] == [
        ("R", "absent"),
        ("R", "absent"),
        ("R", "absent"),
        ("W", 5),
        ("R", 5),
        ("W", 6),
        ("R", 6),
        ("W", "deleted"),
        ("W", 7),
        ("W", "deleted"),
    ]


def test_an_overwritten_value_is_told_where_it_was_at_hand(record: Record) -> None:
    """A global that is assigned tells what it held."""
    recorded = record(
        """
        state = "idle"
        def start():
            global state
            state = "busy"
        start()
        """,
        options=("--watch", "program"),
    )

    write = recorded.of("state.write", entity="program.state")[-1]
    assert write.attrs == {"value": "busy", "old": "idle"}


def test_values_are_bounded_redacted_and_made_without_running_the_program(record: Record) -> None:
    """No ``__repr__``, ``__str__``, ``__eq__`` … of the program is called; long texts and secrets are not kept."""
    recorded = record(
        """
        import decimal, enum
        class Colour(enum.Enum):
            RED = 1
        class Spy:
            def _spy(self, *_): raise SystemExit("was called")
            __repr__ = __str__ = __eq__ = __len__ = __bool__ = __format__ = __getattr__ = _spy
            __hash__ = None
        class Box: pass
        box = Box()
        box.spy = Spy()
        box.long = "x" * 10_000
        box.password = "hunter2"
        box.text = "key sk-abcdefghijklmnopqrstuvwxyz123456"
        box.big = 10 ** 10_000
        box.number = float("nan")
        box.money = decimal.Decimal("1.50")
        box.colour = Colour.RED
        box.list = [1] * 1000
        box.huge = 2 ** 70
        box.least = -2 ** 63
        box.surrogate = "\\udcff"
        """,
        options=("--watch", "program.Box"),
    )

    assert recorded.returncode == 0, recorded.stderr
    values = {name.rpartition(".")[2]: str(value) for _, _, name, value in states(recorded)}
    assert values["spy"].startswith("<__main__.Spy at 0x")
    assert values["long"].startswith("<str of 10000 at")
    assert values["password"] == "[redacted]"
    assert "abcdefghijkl" not in values["text"]
    assert values["big"].startswith("<int of 33220 bits")
    assert values["number"] == "nan"
    assert values["money"] == "1.50"
    assert values["colour"] == "<__main__.Colour.RED>"
    assert values["list"].startswith("<list of 1000 at")
    assert values["least"] == str(-(2**63))
    assert len(values) == 12
    assert "hunter2" not in json.dumps([e.attrs for e in recorded.events])


def test_objects_are_not_kept_alive(record: Record) -> None:
    """Neither an object nor a value of a watched attribute lives longer for it."""
    recorded = record(
        """
        import gc, weakref
        gc.disable()
        class Node: pass
        ended = []
        for i in range(3):
            node, value = Node(), Node()
            node.value = value
            node.items = {"k": value}
            node.items["k"]
            weakref.finalize(node, ended.append, "node")
            weakref.finalize(value, ended.append, "value")
            del node, value
        print(len(ended))
        """,
        options=("--watch", "program"),
    )

    assert recorded.stdout == "6\n"
    assert recorded.of("state.write", entity="Node.value")


def test_a_prefix_that_matches_nothing_gets_one_line(record: Record, bank: Path) -> None:
    """The line names the prefix and what may have been meant; the program is unharmed."""
    recorded = record(USE + "    print('done')\n", options=("--watch", "bank.Acct", "--watch", "bank.Ledger"))

    assert (recorded.returncode, recorded.stdout) == (0, "done\n")
    (line,) = unknown(recorded)
    assert line.startswith("clew: --watch bank.Acct matched nothing")
    assert "did you mean bank.Account?" in line


def test_without_clew_run_the_process_says_so_itself(record_alone: Record) -> None:
    """CLEW=record and CLEW_WATCH: one line at the end, of the process that began it all."""
    recorded = record_alone(
        "import os\nif os.fork() == 0: raise SystemExit\nos.wait()\n", env={"CLEW_WATCH": "nothing"}
    )

    assert recorded.returncode == 0
    assert recorded.stderr.count("[unknown-watch]") == 1


def test_what_a_child_matches_is_matched(record: Record, bank: Path) -> None:
    """A module that only a child process imports is not called unknown."""
    recorded = record(
        """
        import subprocess, sys
        subprocess.run([sys.executable, "-c", "import bank; bank.Account(1).add(2)"], check=True)
        """,
        options=("--watch", "bank.Account"),
    )

    assert not unknown(recorded)
    assert ("W", "attribute", "Account.balance", 3) in states(recorded)


def test_a_forked_child_defines_its_own_variables(record: Record) -> None:
    """Accesses on both sides of a fork are recorded, each in its own stream."""
    recorded = record(
        """
        import os
        class Box: pass
        box = Box()
        box.value = 1
        pid = os.fork()
        box.value = 2 if pid else 3
        if pid:
            os.waitpid(pid, 0)
        """,
        options=("--watch", "program.Box"),
    )

    writes = recorded.of("state.write", entity="Box.value")
    assert sorted(e.attrs["value"] for e in writes) == [1, 2, 3]
    assert len({e.process for e in writes}) == 2


def test_threads_are_told_apart(record: Record) -> None:
    """An access of a thread has that thread as its scope."""
    recorded = record(
        """
        import threading
        class Box: pass
        box = Box()
        box.value = 0
        def work():
            box.value += 1
        thread = threading.Thread(target=work, name="worker")
        thread.start(); thread.join()
        """,
        options=("--watch", "program.Box"),
    )

    scopes = [e.scope.name for e in recorded.of("state.write", entity="Box.value") if e.scope]
    assert scopes == ["MainThread", "worker"]


def test_show_and_export_tell_of_accesses(record: Record, bank: Path) -> None:
    """``clew show --json`` counts them; ``clew export --format jsonl`` has their values."""
    recorded = record(USE, options=("--watch", "bank.Account.balance"))

    def clew(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "clew", *arguments], capture_output=True, text=True, check=True, timeout=60
        ).stdout

    kinds = json.loads(clew("show", str(recorded.path), "--json"))["kinds"]
    assert (kinds["state.read"], kinds["state.write"]) == (2, 3)
    lines = [
        json.loads(line) for line in clew("export", str(recorded.path), "--format", "jsonl", "-o", "-").splitlines()
    ]
    values = [line["attrs"]["value"] for line in lines if line.get("kind") == "state.write"]
    assert values == [1, 3, 8]
