/** All findings, the gravest first. */

import { type ReactNode, useCallback } from "react";
import { useFindings } from "../../api/queries";
import type { Finding } from "../../api/types";
import { count, place } from "../../base/format";
import { evidenceEvent } from "../../model/evidence";
import { go, openRun, select, usePlace } from "../../model/place";
import { FilterBox } from "../../widgets/FilterBox";
import { type Column, Grid } from "../../widgets/Grid";
import { ConfidenceBadge, SeverityMark } from "../../widgets/marks";
import { Empty, Failure, Skeleton } from "../../widgets/states";
import "./findings.css";

const runOf = (finding: Finding): string => finding.run ?? "";
const keyOf = (finding: Finding) => `${finding.fingerprint}:${runOf(finding)}`;

export default function FindingsView(): ReactNode {
  const { filter, selection } = usePlace();
  const { data, error, refetch } = useFindings(filter);
  const setFilter = useCallback((next: string) => go({ filter: next, selection: null }), []);
  const rows = data?.findings ?? [];
  const isFilterWrong = error !== null && filter !== "" && "status" in error && error.status === 400;
  return (
    <div className="page">
      <div className="page-bar">
        <FilterBox
          subject="findings"
          value={filter}
          onChange={setFilter}
          error={isFilterWrong ? error : null}
          label="Filter findings"
          placeholder="severity:critical,error confidence:proved"
          isPrimary
        />
        <span className="page-count muted" role="status">
          {data
            ? `${count(rows.length)}${data.next_cursor ? "+" : ""} ${rows.length === 1 ? "finding" : "findings"}`
            : ""}
        </span>
      </div>
      <div className="page-list">
        <Grid<Finding>
          id="findings"
          label="Findings"
          columns={COLUMNS}
          rows={rows}
          keyOf={keyOf}
          active={selection?.type === "run" ? selection.run : null}
          onActive={(finding) => select({ type: "run", run: keyOf(finding) })}
          onOpen={open}
          opensOnClick
          isPrimary
          rowHeight={48}
          empty={
            <NoFindings
              filter={filter}
              isFirst={!data && !error}
              error={isFilterWrong ? null : error}
              retry={() => void refetch()}
            />
          }
        />
      </div>
    </div>
  );
}

/** Opens the run at the evidence. */
function open(finding: Finding): void {
  const event = evidenceEvent(finding);
  const run = runOf(finding);
  if (run) openRun(run, { selection: event ? { type: "event", ...event } : null });
}

const COLUMNS: readonly Column<Finding>[] = [
  {
    id: "severity",
    title: "",
    width: "16px",
    cell: (finding) => <SeverityMark severity={finding.severity} />,
  },
  {
    id: "title",
    title: "Finding",
    width: "minmax(180px, 3fr)",
    cell: (finding) => <Title finding={finding} />,
  },
  {
    id: "known",
    title: "Known",
    width: "72px",
    from: 480,
    cell: (finding) => <ConfidenceBadge confidence={finding.confidence} />,
  },
  {
    id: "times",
    title: "Times",
    width: "56px",
    align: "right",
    from: 560,
    cell: (finding) => count(finding.occurrences),
  },
  {
    id: "kind",
    title: "Kind",
    width: "minmax(100px, 0.8fr)",
    from: 860,
    cell: (finding) => <span className="muted">{finding.kind}</span>,
  },
  {
    id: "run",
    title: "Run",
    width: "76px",
    from: 700,
    cell: (finding) => <code className="muted">{runOf(finding).slice(0, 8)}</code>,
  },
];

function Title({ finding }: { finding: Finding }): ReactNode {
  const site = finding.subjects.find((subject) => subject.site)?.site;
  return (
    <span className="finding-cell">
      <span title={finding.explanation}>{finding.title}</span>
      <span className="muted">
        {site ? <code>{place(site.file, site.line, site.function)}</code> : finding.advice}
      </span>
    </span>
  );
}

interface NoFindingsProps {
  readonly filter: string;
  readonly isFirst: boolean;
  readonly error: Error | null;
  readonly retry: () => void;
}

function NoFindings({ filter, isFirst, error, retry }: NoFindingsProps): ReactNode {
  if (error) return <Failure error={error} onRetry={retry} />;
  if (isFirst) return <Skeleton label="Loading findings" />;
  if (filter) return <Empty title="No finding fits this filter" />;
  return (
    <Empty title="Nothing was found wrong" command={`clew run --server ${location.origin} app.py`}>
      Every run that is recorded is looked through for errors nobody handled. Try it on a program of yours:
    </Empty>
  );
}
