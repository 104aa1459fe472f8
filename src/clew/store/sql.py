"""The SQL surface: read-only queries over named tables, without files or network.

DuckDB enforces it: no external access, a memory limit, and a configuration that is locked
before the first statement. What is left to check here is that a statement reads, and that
it comes to an end.
"""

from __future__ import annotations

import json
import re
import threading
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import duckdb

from clew.model.errors import ClewError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

TIMEOUT_S = 60.0
MEMORY_LIMIT = "4GB"
_READING = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)


class SqlError(ClewError):
    """A query cannot be answered."""


class Answer(NamedTuple):
    """The rows of an answer, in the order the query gives them."""

    names: list[str]
    rows: list[tuple[Any, ...]]
    types: list[str]
    """Of the columns, as DuckDB writes them: ``BIGINT``, ``VARCHAR``."""
    truncated: bool = False
    """Whether there are more rows than were asked for."""


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
        return run(connection, statement, timeout_s=timeout_s, tables=tables)


def run(
    connection: duckdb.DuckDBPyConnection,
    statement: str,
    parameters: Sequence[Any] = (),
    *,
    timeout_s: float,
    limit: int | None = None,
    tables: Iterable[str] = (),
) -> Answer:
    """Run one statement that was checked.

    Args:
        connection: Locked, and with the tables.
        statement: One statement that reads.
        parameters: Values of its ``?``.
        timeout_s: It is stopped after so many seconds.
        limit: Most rows that are returned.
        tables: Names to tell of if it fails.

    Raises:
        SqlError: The statement fails, or takes too long.
    """
    timer = threading.Timer(timeout_s, connection.interrupt)
    timer.start()
    try:
        found = connection.execute(statement, list(parameters))
        columns = found.description or []
        rows = found.fetchall() if limit is None else found.fetchmany(limit + 1)
    except duckdb.InterruptException:
        raise SqlError(
            "sql-timeout",
            f"the query ran for {timeout_s:g} s",
            "expected an answer within that time",
            "narrow it, e.g. with a where clause on process, kind or t_ns",
        ) from None
    except duckdb.Error as error:
        raise failed(error, tables) from None
    finally:
        timer.cancel()
    names, types = [column[0] for column in columns], [str(column[1]) for column in columns]
    return Answer(names, rows[:limit], types, limit is not None and len(rows) > limit)


def names_in(statement: str) -> frozenset[str] | None:
    """Return every name of a table or column that one query uses, in lower case.

    Returns:
        None where that cannot be told: it takes all columns of a table, whole rows, or
        columns by their place.
    """
    tree = _tree(statement)
    return None if tree is None else _names_of(tree)


def _names_of(tree: dict[str, Any]) -> frozenset[str] | None:
    used: set[str] = set()
    tables: set[str] = set()
    for found in _nodes(tree):
        if found.get("type") in ("STAR", "POSITIONAL_REFERENCE") or found.get("ref_type") == "NATURAL":
            return None
        if found.get("column_name_alias"):
            return None
        used |= {str(name).lower() for name in cast("list[Any]", found.get("column_names") or [])[-1:]}
        used |= {str(name).lower() for name in cast("list[Any]", found.get("using_columns") or [])}
        if "table_name" in found:
            tables |= {found["table_name"].lower(), found.get("alias", "").lower()}
    # `select e from events e` is a column that holds the row.
    return None if used & tables else frozenset(used | tables)


_TABLE_FUNCTIONS = frozenset(("unnest", "range", "generate_series", "json_each", "json_tree", "regexp_split_to_table"))
"""Functions that may stand where a table does: others read files, settings, or SQL in a text."""
_REFUSED_FUNCTIONS = frozenset(
    ("current_setting", "getenv", "repeat", "lpad", "rpad", "bar", "list_resize", "array_resize", "printf", "format")
)
"""They tell of the server, or make much of little: DuckDB allocates texts outside of its memory limit."""
_EXPLAIN = re.compile(r"\s*explain\s+(?:analyze\s+)?", re.IGNORECASE)


def check_confined(statement: str, tables: Collection[str]) -> frozenset[str]:
    """Refuse a statement that looks at anything but *tables*, whatever else DuckDB could reach.

    Args:
        statement: What a user wrote.
        tables: Names of the tables it may use.

    Returns:
        Every name in it, in lower case; of all tables and with ``*`` where that cannot be told.

    Raises:
        SqlError: It does not parse, does not read, or looks elsewhere.
    """
    _check(statement)
    explained = _EXPLAIN.match(statement)
    tree = _tree(statement[explained.end() :] if explained else statement)
    if tree is None:
        raise SqlError(
            "sql-read-only",
            "the query has a form that cannot be checked",
            "expected one SELECT (or WITH … SELECT)",
            "write PIVOT and the like as a SELECT with GROUP BY",
        )
    known = {name.lower() for name in tables}
    asked: set[str] = set()
    for node in _nodes(tree):
        ctes = cast("dict[str, Any]", node.get("cte_map") or {})
        entries = cast("list[dict[str, Any]]", ctes.get("map") or [])
        known |= {str(entry["key"]).lower() for entry in entries}
        if node.get("type") == "TABLE_FUNCTION":
            function = cast("dict[str, Any]", node.get("function") or {})
            _refuse_unless(
                str(function.get("function_name", "")).lower() in _TABLE_FUNCTIONS, function, "function_name"
            )
        elif node.get("type") == "FUNCTION":
            _refuse_unless(str(node.get("function_name", "")).lower() not in _REFUSED_FUNCTIONS, node, "function_name")
        elif node.get("type") == "BASE_TABLE":
            asked.add(str(node.get("table_name", "")).lower())
            is_plain = not node.get("schema_name") and not node.get("catalog_name") and len(_path(node)) <= 1
            _refuse_unless(is_plain, node, "table_name")
        elif node.get("type") == "SHOW_REF" and node.get("table_name"):
            asked.add("*")
    for name in sorted(asked - known - {"*"}):
        _refuse_unless(False, {"table": name}, "table")
    used = _names_of(tree)
    if used is None:
        return frozenset(asked & known) | {"*"} if asked - {"*"} else frozenset({*known, "*"})
    return used


def _path(node: dict[str, Any]) -> list[Any]:
    name = cast("dict[str, Any]", node.get("qualified_name") or {})
    return cast("list[Any]", name.get("path") or [])


def _refuse_unless(is_fine: bool, node: dict[str, Any], key: str) -> None:
    if not is_fine:
        raise SqlError(
            "sql-read-only",
            f"the query uses {'.'.join(map(str, _path(node))) or node.get(key)}",
            "expected the tables that 'show tables' lists, and functions of their values",
            "ask for nothing outside of them",
        )


_parser_lock = threading.Lock()


@cache
def _parser() -> duckdb.DuckDBPyConnection:
    """Return a connection that only parses: to open one takes 10 ms."""
    return duckdb.connect(":memory:", config={"enable_external_access": "false"})


def _tree(statement: str) -> dict[str, Any] | None:
    """Return what DuckDB parsed; None for what it cannot write down."""
    try:
        with _parser_lock:
            (text,) = _parser().execute("select json_serialize_sql(?)", [statement]).fetchone() or ("{}",)
        tree = json.loads(text)
    except (duckdb.Error, ValueError, RecursionError):
        return None
    return None if tree.get("error", True) else tree


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    rest: list[Any] = [tree]
    while rest:
        node = rest.pop()
        if isinstance(node, list):
            rest += cast("list[Any]", node)
        elif isinstance(node, dict):
            found = cast("dict[str, Any]", node)
            yield found
            rest += found.values()


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


def failed(error: Any, tables: Iterable[str]) -> SqlError:
    """Return what to tell of an error of DuckDB's."""
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
