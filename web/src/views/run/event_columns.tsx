/** What a line says about an event. */

import type { ReactNode } from "react";
import type { EventRow } from "../../api/types";
import { place } from "../../base/format";
import { absolute, duration, exactMoment, rowMoment } from "../../base/time";
import { hueOf, type ProcessHues } from "../../model/processes";
import type { Column } from "../../widgets/Grid";

export function eventColumns(hues: ProcessHues, startedAt: string): readonly Column<EventRow>[] {
  return [
    {
      id: "t",
      title: "At",
      width: "104px",
      align: "right",
      cell: (row) => <At row={row} startedAt={startedAt} />,
    },
    { id: "kind", title: "Kind", width: "132px", cell: (row) => <Kind row={row} /> },
    {
      id: "scope",
      title: "Task or thread",
      width: "minmax(110px, 1.2fr)",
      from: 420,
      cell: (row) => row.scope,
    },
    { id: "entity", title: "What", width: "minmax(110px, 1.3fr)", cell: (row) => <What row={row} /> },
    {
      id: "outcome",
      title: "Outcome",
      width: "76px",
      from: 700,
      cell: (row) => <OutcomeWord outcome={row.outcome} />,
    },
    {
      id: "wait",
      title: "Waited",
      width: "76px",
      align: "right",
      from: 520,
      cell: (row) => time(row.wait_ns),
    },
    {
      id: "took",
      title: "Took",
      width: "76px",
      align: "right",
      from: 600,
      cell: (row) => time(row.duration_ns),
    },
    {
      id: "service",
      title: "Service",
      width: "minmax(80px, 0.8fr)",
      from: 920,
      cell: (row) => <Service row={row} hues={hues} />,
    },
    {
      id: "span",
      title: "Part of",
      width: "minmax(80px, 1fr)",
      from: 1240,
      cell: (row) => <span className="muted">{row.span}</span>,
    },
    {
      id: "site",
      title: "Where",
      width: "minmax(110px, 1.3fr)",
      from: 1060,
      cell: (row) => <Where row={row} />,
    },
    {
      id: "seq",
      title: "Seq",
      width: "64px",
      align: "right",
      from: 1360,
      cell: (row) => <span className="muted">{row.seq}</span>,
    },
  ];
}

function At({ row, startedAt }: { row: EventRow; startedAt: string }): ReactNode {
  return (
    <span title={`${exactMoment(row.t_ns)}\n${absolute(startedAt, row.t_ns)}`}>{rowMoment(row.t_ns)}</span>
  );
}

function Kind({ row }: { row: EventRow }): ReactNode {
  const isError = row.kind.startsWith("error.");
  return (
    <code className={isError ? "is-bad" : ""}>
      {isError && <span aria-hidden="true">✕ </span>}
      {row.kind}
    </code>
  );
}

function What({ row }: { row: EventRow }): ReactNode {
  const kind = row.entity_kind && row.entity_kind !== row.entity ? row.entity_kind : "";
  return (
    <span title={`${row.op ?? ""} ${kind} ${row.entity ?? ""}`.trim()}>
      {row.op && <span className="muted">{row.op.replace("_", " ")} </span>}
      {row.entity || kind}
    </span>
  );
}

function OutcomeWord({ outcome }: { outcome: string | null }): ReactNode {
  if (!outcome || outcome === "ok") return null;
  const isBad = outcome === "failed" || outcome === "timeout";
  return <span className={isBad ? "is-bad" : "muted"}>{outcome.replace("_", " ")}</span>;
}

function Service({ row, hues }: { row: EventRow; hues: ProcessHues }): ReactNode {
  return (
    <span className="hued" style={{ borderColor: hueOf(hues, row.process) }}>
      {row.service}
    </span>
  );
}

function Where({ row }: { row: EventRow }): ReactNode {
  const text = place(row.file ?? "", row.line, row.function ?? "");
  return (
    <code className="muted" title={`${row.file ?? ""}:${row.line ?? ""}`}>
      {text}
    </code>
  );
}

function time(ns: number | null): ReactNode {
  return ns ? duration(ns) : "";
}
