"""The tables of the SQL surface, as queries over what the segments hold.

Names are joined in, for the columns that a statement uses. Measured on ten million events
against columns that hold the names themselves, grouping by kind takes 50 ms instead of 30
and by scope 240 ms instead of 30; those columns would cost 1.5 bytes an event each, and a
renamed task would keep its old name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from clew.format.schema import ENTITIES, SITES, SPANS
from clew.model.kinds import SCOPE_KINDS, EventKind, Operation

if TYPE_CHECKING:
    from collections.abc import Collection

STARTS = (EventKind.LIFE_RUN_START, EventKind.LIFE_SPAN_START, EventKind.EFFECT_CALL)
ENDS = (EventKind.LIFE_RUN_END, EventKind.LIFE_SPAN_END, EventKind.EFFECT_RESULT)
LAUNCHES = (Operation.FORK, Operation.SPAWN, Operation.SUBPROCESS, Operation.EXEC)
DEFINITIONS = {table.name: ", ".join(column.name for column in table.columns) for table in (ENTITIES, SITES, SPANS)}
"""By table of a segment: its columns."""
_IMPLIED = "e.kind in (12, 14, 15)"
_LATEST = 1 << 62
"""Clocks beyond this are no times: what they would give overflows."""


class Column(NamedTuple):
    """A column of ``events``: how it is made, and from which joins."""

    sql: str
    joins: tuple[str, ...] = ()


_JOINS = {
    "p": "join internal.processes p on p.number = e.process",
    "k": "join internal.numbers k on k.number = e.kind",
    "o": "join internal.numbers o on o.number = e.op",
    "u": "join internal.numbers u on u.number = e.outcome",
    "c": "left join internal.entities c on c.process = e.process and c.id = e.scope",
    "n": "left join internal.entities n on n.process = e.process and n.id = e.entity",
    "nk": "left join internal.numbers nk on nk.number = n.kind",
    "s": "left join internal.sites s on s.process = e.process and s.id = e.site",
    "r": "left join internal.spans r on r.process = e.process and r.id = e.in_span",
    "l": "left join internal.late l on l.process = e.process and l.seq = e.seq",
}
_TIME = f"case when e.t_ns between 0 and {_LATEST} then e.t_ns + p.offset_ns end"
_CAUSE = f"case when e.back <> 0 and e.seq between 1 and {_LATEST} and e.back between 1 - {_LATEST} and e.seq - 1 then e.seq - e.back end"


def hexadecimal(column: str) -> str:
    """Return the SQL that writes a number of eight bytes as the 16 digits of an id."""
    # A negative number's own digits are those of the unsigned one.
    return f"lpad(lower(to_hex({column})), 16, '0')"


def run_id(alias: str) -> str:
    """Return the SQL of the id of a span's run."""
    return f"{hexadecimal(alias + '.trace_high')} || {hexadecimal(alias + '.trace_low')}"


SHOWN = "case when d.name <> '' then d.name else d.type end as shown"
"""What an entity is called: worked out for each entity, not for each of its events."""
EVENTS = {
    "process": Column("p.process", ("p",)),
    "service": Column("p.service", ("p",)),
    "seq": Column("e.seq"),
    "t_ns": Column(_TIME, ("p",)),
    "at": Column(f"make_timestamp(({_TIME}) // 1000)", ("p",)),
    "kind": Column("k.kind", ("k",)),
    "op": Column("o.op", ("o",)),
    "outcome": Column("u.outcome", ("u",)),
    "scope": Column("c.shown", ("c",)),
    "scope_id": Column("nullif(e.scope, 0)"),
    "entity": Column("n.shown", ("n",)),
    "entity_kind": Column("case when n.id is not null then coalesce(nk.entity_kind, '') end", ("n", "nk")),
    "entity_id": Column("nullif(e.entity, 0)"),
    "run": Column("r.run", ("r",)),
    "span": Column("r.name", ("r",)),
    "span_id": Column("e.in_span"),
    "file": Column("s.file", ("s",)),
    "line": Column("cast(s.line as bigint)", ("s",)),
    "function": Column("s.function", ("s",)),
    "wait_ns": Column("e.wait_ns"),
    "duration_ns": Column(
        f"case when coalesce(l.long_ns, e.long_ns, case when {_IMPLIED} then e.arg end) > 0 "
        f"then coalesce(l.long_ns, e.long_ns, e.arg) end", ("l",),
    ),
    "arg": Column("e.arg"),
    "cause": Column(_CAUSE),
    "cause_process": Column(
        f"case when coalesce(l.cause_process, e.cause_process) is not null "
        f"then {hexadecimal('coalesce(l.cause_process, e.cause_process)')} "
        f"when ({_CAUSE}) > 0 then p.process end", ("p", "l"),
    ),
    "attrs": Column("coalesce(l.attrs, e.attrs)", ("l",)),
}  # fmt: skip


def events_sql(wanted: Collection[str] | None, *, has_late: bool) -> str:
    """Return the query of ``events``.

    Args:
        wanted: Names of columns; None for all.
        has_late: Whether anything became known of events after their segment was written.
    """
    names = [name for name in EVENTS if wanted is None or name in wanted] or ["seq"]
    columns = [f"{EVENTS[name].sql} as {name}" for name in names]
    joins = list(dict.fromkeys(join for name in names for join in EVENTS[name].joins))
    text = (
        f"select {', '.join(columns)} from internal.events e {' '.join(_JOINS[join] for join in joins if join != 'l')}"
    )
    if has_late:
        return f"{text} {_JOINS['l']}" if "l" in joins else text
    return text.replace("l.long_ns, ", "").replace("l.cause_process, ", "").replace("l.attrs, ", "")


ENTITIES_SQL = """
select p.process, cast(d.id as bigint) as entity_id, k.entity_kind as kind, d.name, d.type,
  cast(nullif(d.parent, 0) as bigint) as parent_id, cast(nullif(d.span, 0) as bigint) as span_id,
  s.file, cast(s.line as bigint) as line, nullif(d.detail, '') as detail
from internal.entities d join internal.processes p on p.number = d.process
join internal.numbers k on k.number = d.kind
left join internal.sites s on s.process = d.process and s.id = d.site
"""
SCOPES_SQL = f"{ENTITIES_SQL} where d.kind in ({', '.join(str(int(kind)) for kind in sorted(SCOPE_KINDS))})"
SITES_SQL = """
select p.process, cast(d.id as bigint) as site_id, d.file, cast(d.line as bigint) as line, d.function
from internal.sites d join internal.processes p on p.number = d.process
"""
EDGES_SQL = f"""
select p.process as from_process, {_CAUSE} as from_seq, p.process as to_process, e.seq as to_seq, k.kind
from internal.events e {_JOINS["p"]} {_JOINS["k"]} where ({_CAUSE}) > 0
union all
select {hexadecimal("e.cause_process")}, e.remote_cause, p.process, e.seq, 'remote'
from (
  select process, seq, cause_process, remote_cause from internal.events where cause_process is not null
  union all select process, seq, cause_process, remote_cause from internal.late where cause_process is not null
) e {_JOINS["p"]}
"""
_IN_STARTS = f"kind in ({', '.join(str(int(kind)) for kind in STARTS)})"
_IN_ENDS = f"kind in ({', '.join(str(int(kind)) for kind in ENDS)})"
# The rules are those of clew.analysis.spans, and a test holds the two against each other.
SPANS_SQL = f"""
with marks as (
  select process, span, min(seq) filter ({_IN_STARTS}) as start_seq,
    arg_min(t_ns, seq) filter ({_IN_STARTS}) as start_t, arg_min(scope, seq) filter ({_IN_STARTS}) as start_scope,
    arg_min(entity, seq) filter ({_IN_STARTS}) as start_entity,
    arg_min_null(attrs, seq) filter ({_IN_STARTS}) as attrs, min(seq) filter ({_IN_ENDS}) as end_seq,
    arg_min(t_ns, seq) filter ({_IN_ENDS}) as end_t, arg_min(outcome, seq) filter ({_IN_ENDS}) as end_outcome,
    arg_min_null(attrs, seq) filter ({_IN_ENDS}) as result
  from internal.with_late where span > 0 and ({_IN_STARTS} or {_IN_ENDS}) group by process, span
), first as (
  select process, span, arg_min(t_ns, seq) as t_ns, arg_min(scope, seq) as scope from internal.all_events
  where span > 0 and (process, span) in (select (process, span) from marks where start_seq is null) group by process, span
), process_end as (
  select process, min(seq) as seq, arg_min(entity, seq) as entity, arg_min(t_ns, seq) as t_ns,
    arg_min(outcome, seq) as outcome, arg_min_null(attrs, seq) as attrs
  from internal.with_late_all where kind = {int(EventKind.LIFE_PROCESS_END)} group by process
), last as (select process, max(t_ns) as t_ns from internal.all_events group by process),
places as (select process, id, sum(events) as events from internal.places group by process, id),
known as (
  select m.process, m.span, m.attrs, coalesce(m.start_t, f.t_ns) as start_t, coalesce(m.start_scope, f.scope) as scope,
    coalesce(m.end_seq, x.seq) as end_seq, coalesce(m.end_t, x.t_ns) as end_t,
    case when m.end_seq is null then x.outcome else m.end_outcome end as outcome,
    case when m.end_seq is null then x.attrs else m.result end as result
  from marks m left join first f using (process, span)
  left join process_end x on x.process = m.process and x.entity = m.start_entity and x.entity > 0
)
select p.process, p.service, cast(k.span as bigint) as span_id, d.run, {hexadecimal("d.span_id")} as id,
  case when d.parent_span_id <> 0 then {hexadecimal("d.parent_span_id")} end as parent_id, d.name,
  coalesce(dk.span_kind, '') as kind, coalesce(dr.span_role, '') as role, dn.known_op as effect,
  k.start_t + p.offset_ns as start_ns, coalesce(k.end_t, l.t_ns) - k.start_t as duration_ns,
  case when k.end_seq is not null then coalesce(du.known_outcome, 'ok') end as outcome,
  cast(coalesce(n.events, 0) as bigint) as events,
  case when c.id is null then '#' || k.scope
    when c.kind = 1 and c.type <> '' and regexp_full_match(c.name, 'Task-[0-9]+') then c.type || ' (' || c.name || ')'
    when c.name <> '' then c.name when c.type <> '' then c.type else '#' || k.scope end as scope,
  k.attrs, k.result
from known k join internal.spans d on d.process = k.process and d.id = k.span
{_JOINS["p"].replace("e.process", "k.process")}
join last l on l.process = k.process
left join places n on n.process = k.process and n.id = k.span
left join internal.entities c on c.process = k.process and c.id = k.scope
join internal.numbers dk on dk.number = d.kind join internal.numbers dr on dr.number = d.role
join internal.numbers dn on dn.number = d.op
left join internal.numbers du on du.number = k.outcome
"""
_LAUNCHED = f"op in ({', '.join(str(int(operation)) for operation in LAUNCHES)})"
PROCESSES_SQL = f"""
with facts as (
  select process, min(t_ns) as first_ns, max(t_ns) as last_ns, count(*) as events, max(seq) as top,
    count(*) filter (kind = {int(EventKind.GAP_DROPPED)}) as gaps
  from internal.all_events group by process
), scopes as (
  select process, count(*) filter (kind = 1) as tasks, count(*) filter (kind = 2) as threads
  from internal.entities group by process
), exits as (
  select try_cast(coalesce(x.attrs->>'pid', b.attrs->>'pid') as bigint) as pid,
    last(try_cast(coalesce(x.attrs->>'returncode', b.attrs->>'returncode') as bigint)) as code
  from internal.with_late x left join internal.with_late b on b.process = x.process and b.seq = x.cause
  where x.kind = {int(EventKind.EFFECT_RESULT)} and x.{_LAUNCHED} group by 1
)
select p.process, p.service, p.pid, p.argv, p.python, p.host, p.state, coalesce(p.exit, x.code) as exit, p.signal,
  coalesce(f.first_ns + p.offset_ns, p.wall_ns) as start_ns, coalesce(f.last_ns - f.first_ns, 0) as duration_ns,
  coalesce(f.events, 0) as events, greatest(coalesce(f.top - f.events + f.gaps, 0), p.dropped) as dropped,
  coalesce(s.tasks, 0) as tasks, coalesce(s.threads, 0) as threads, p.parent, p.environment, p.retention
from internal.processes p left join facts f on f.process = p.number left join scopes s on s.process = p.number
left join exits x on x.pid = p.pid and x.code is not null
"""
# What a clock that was made up gives is no time: it is left out, and fails nobody's query.
_SOUND = f"t_ns between 0 and {_LATEST} and seq between 1 and {_LATEST}"
ALL_EVENTS_SQL = f"select * from internal.raw_events where {_SOUND}"


def _with_late(events: str) -> str:
    return (
        f"select e.* exclude (attrs), coalesce(l.attrs, e.attrs) as attrs, {_CAUSE} as cause "
        f"from {events} e {_JOINS['l']} where {_SOUND.replace('t_ns', 'e.t_ns', 1).replace('seq', 'e.seq')}"
    )


WITH_LATE_SQL = _with_late("internal.events")
WITH_LATE_ALL_SQL = _with_late("internal.raw_events")
"""The same of the whole processes, where the other one is confined to a run."""
LATE_SQL = """
select process, seq, last(attrs order by part) filter (attrs is not null) as attrs,
  last(cause_process order by part) filter (cause_process is not null) as cause_process,
  last(remote_cause order by part) filter (cause_process is not null) as remote_cause,
  last(long_ns order by part) filter (long_ns is not null) as long_ns
from internal.raw_late group by process, seq
"""
