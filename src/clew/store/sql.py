"""The SQL surface: read-only queries over named tables, without files or network.

DuckDB enforces it: no external access, a memory limit, and a configuration that is locked
before the first statement. What is left to check here is that a statement reads, and that
it comes to an end.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import duckdb

from clew.model.errors import ClewError

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT_S = 60.0
MEMORY_LIMIT = "4GB"
_READING = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)


class SqlError(ClewError):
    """A query cannot be answered."""


class Answer(NamedTuple):
    """The rows of an answer, in the order the query gives them."""

    names: list[str]
    rows: list[tuple[Any, ...]]


def query(
    tables: Mapping[str, Any], statement: str, *, timeout_s: float = TIMEOUT_S, memory_limit: str = MEMORY_LIMIT
) -> Answer:
    """Answer one SQL query over *tables*.

    Args:
        tables: Arrow tables, by the names the query may use.
        statement: One statement that reads.
        timeout_s: The query is stopped after so many seconds.
        memory_limit: As DuckDB writes it, e.g. ``4GB``.

    Raises:
        SqlError: The statement does not parse, does not read, fails, or takes too long.
    """
    config: dict[str, str | bool | int | float | list[str]] = {
        "enable_external_access": "false",
        "memory_limit": memory_limit,
    }
    with duckdb.connect(":memory:", config=config) as connection:
        for name, table in tables.items():
            connection.register(name, table)
        connection.execute("SET lock_configuration=true")
        _check(statement)
        timer = threading.Timer(timeout_s, connection.interrupt)
        timer.start()
        try:
            found = connection.execute(statement)
            return Answer([column[0] for column in found.description or ()], found.fetchall())
        except duckdb.InterruptException:
            raise SqlError(
                "sql-timeout",
                f"the query ran for {timeout_s:g} s",
                "expected an answer within that time",
                "narrow it, e.g. with a where clause on process, kind or t_ns",
            ) from None
        except duckdb.Error as error:
            raise _failed(error, tables) from None
        finally:
            timer.cancel()


def names_in(statement: str) -> frozenset[str] | None:
    """Return every name of a table or column that one query uses, in lower case.

    Returns:
        None where that cannot be told: it takes all columns of a table, whole rows, or
        columns by their place.
    """
    with duckdb.connect(":memory:", config={"enable_external_access": "false"}) as connection:
        (text,) = connection.execute("select json_serialize_sql(?)", [statement]).fetchone() or ("{}",)
    tree = json.loads(text)
    if tree.get("error", True):
        return None
    used: set[str] = set()
    tables: set[str] = set()
    rest: list[Any] = [tree]
    while rest:
        node = rest.pop()
        if isinstance(node, list):
            rest += cast("list[Any]", node)
        elif isinstance(node, dict):
            found = cast("dict[str, Any]", node)
            if found.get("type") in ("STAR", "POSITIONAL_REFERENCE") or found.get("ref_type") == "NATURAL":
                return None
            if found.get("column_name_alias"):
                return None
            used |= {str(name).lower() for name in cast("list[Any]", found.get("column_names") or [])[-1:]}
            used |= {str(name).lower() for name in cast("list[Any]", found.get("using_columns") or [])}
            if "table_name" in found:
                tables |= {found["table_name"].lower(), found.get("alias", "").lower()}
            rest += found.values()
    # `select e from events e` is a column that holds the row.
    return None if used & tables else frozenset(used | tables)


def _check(statement: str) -> None:
    """Refuse anything but one statement that reads."""
    try:
        kinds = [found.type for found in duckdb.extract_statements(statement)]
    except duckdb.Error as error:
        raise SqlError(
            "sql", f"the query does not parse: {_first_lines(error)}", "expected one SELECT", "correct it"
        ) from None
    if len(kinds) != 1 or kinds[0] not in _READING:
        found = " and ".join(kind.name for kind in kinds) or "nothing"
        raise SqlError(
            "sql-read-only",
            f"the query is {found}",
            "expected one SELECT (or WITH … SELECT)",
            "ask without changing anything",
        )


def _failed(error: Any, tables: Mapping[str, Any]) -> SqlError:
    return SqlError(
        "sql",
        f"the query fails: {_first_lines(error)}",
        f"expected a query over {', '.join(tables)}",
        "'describe TABLE' lists the columns of one",
    )


def _first_lines(error: Any) -> str:
    """Return what DuckDB says, on one line, without the drawing of the query."""
    text = str(error).split("\n\nLINE ", maxsplit=1)[0]
    return " ".join(text.split())
