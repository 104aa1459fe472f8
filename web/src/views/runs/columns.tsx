/** What a line says about a run. */

import type { ReactNode } from "react";
import type { Run } from "../../api/types";
import { count, short } from "../../base/format";
import { duration, timeOfDay } from "../../base/time";
import { openRun } from "../../model/place";
import { placeAddress, START } from "../../model/selection";
import type { Column } from "../../widgets/Grid";
import { DurationBar, StatusMark } from "../../widgets/marks";

export function runColumns(longest: ReadonlyMap<string, number>): readonly Column<Run>[] {
  return [
    { id: "status", title: "", width: "16px", cell: (run) => <StatusMark status={run.status} /> },
    {
      id: "name",
      title: "Name",
      width: "minmax(140px, 2.4fr)",
      sort: "name",
      cell: (run) => <Name run={run} />,
    },
    {
      id: "service",
      title: "Service",
      width: "minmax(90px, 1fr)",
      sort: "service",
      from: 700,
      cell: (run) => run.service,
    },
    {
      id: "started",
      title: "Started",
      width: "132px",
      sort: "started",
      from: 520,
      cell: (run) => <Started run={run} />,
    },
    {
      id: "duration",
      title: "Took",
      width: "80px",
      align: "right",
      sort: "duration",
      cell: (run) => duration(run.duration_ns),
    },
    {
      id: "bar",
      title: "Against others of the name",
      width: "minmax(90px, 0.9fr)",
      from: 900,
      cell: (run) => <Against run={run} longest={longest.get(run.name)} />,
    },
    {
      id: "events",
      title: "Events",
      width: "72px",
      align: "right",
      sort: "events",
      from: 600,
      cell: (run) => number(run.events),
    },
    {
      id: "errors",
      title: "Errors",
      width: "64px",
      align: "right",
      sort: "errors",
      from: 480,
      cell: (run) => bad(run.errors),
    },
    {
      id: "findings",
      title: "Findings",
      width: "72px",
      align: "right",
      from: 380,
      cell: (run) => finding(run.findings),
    },
    {
      id: "id",
      title: "Run",
      width: "72px",
      from: 1100,
      cell: (run) => <code className="muted">{run.id.slice(0, 8)}</code>,
    },
  ];
}

function Name({ run }: { run: Run }): ReactNode {
  const address = placeAddress({ ...START, page: "run", run: run.id });
  return (
    <a
      href={address}
      tabIndex={-1}
      className="run-name"
      title={run.name}
      onClick={(event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        openRun(run.id);
      }}
    >
      {run.name || "(no name)"}
      {run.health.length > 0 && (
        <span className="run-partial" title={run.health.map((one) => one.text).join("\n")}>
          incomplete
        </span>
      )}
    </a>
  );
}

/** Where only one run has the name there is nothing to compare it with. */
function Against({ run, longest }: { run: Run; longest: number | undefined }): ReactNode {
  return longest ? <DurationBar part={run.duration_ns / longest} state={run.status} /> : null;
}

function Started({ run }: { run: Run }): ReactNode {
  return (
    <time dateTime={run.started_at} title={run.started_at} className="muted">
      {timeOfDay(run.started_at)}
    </time>
  );
}

function number(value: number): ReactNode {
  return <span title={count(value)}>{short(value)}</span>;
}

function bad(value: number): ReactNode {
  return value ? <span className="run-errors">{short(value)}</span> : <span className="none">0</span>;
}

function finding(value: number): ReactNode {
  return value ? <strong className="run-findings">{short(value)}</strong> : <span className="none">0</span>;
}
