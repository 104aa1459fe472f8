/** What a query answered: its rows, or what is wrong with it. */

import { type ReactNode, useMemo, useState } from "react";
import type { Cell, SqlAnswer } from "../../api/types";
import { count } from "../../base/format";
import { saveAs } from "../../base/save";
import { duration } from "../../base/time";
import { cellText, csv } from "../../model/csv";
import { openRun } from "../../model/place";
import { type Column, Grid } from "../../widgets/Grid";
import { Empty, Failure } from "../../widgets/states";

interface ResultsProps {
  readonly answer: SqlAnswer | null;
  readonly error: Error | null;
  readonly isPending: boolean;
}

interface Row {
  readonly at: number;
  readonly cells: readonly Cell[];
}

const keyOf = (row: Row) => String(row.at);

export function Results({ answer, error, isPending }: ResultsProps): ReactNode {
  const [active, setActive] = useState<string | null>(null);
  const rows = useMemo(() => answer?.rows.map((cells, at): Row => ({ at, cells })) ?? [], [answer]);
  const columns = useMemo(() => (answer ? resultColumns(answer) : []), [answer]);
  if (error && !isPending) return <Failure error={error} />;
  if (!answer) {
    return isPending ? (
      <p className="sql-note muted" role="status">
        Running …
      </p>
    ) : (
      <Empty
        title="Ask anything"
        command={`clew sql RECORDING "select kind, count(*) from events group by kind"`}
      >
        Run the query above. The terminal answers the same questions:
      </Empty>
    );
  }
  return (
    <div className={`results${isPending ? " is-old" : ""}`}>
      <p className="sql-note" role="status">
        <span>
          {count(answer.rows.length)} {answer.rows.length === 1 ? "row" : "rows"} in{" "}
          {duration(answer.elapsed_ms * 1e6)}
          {answer.truncated && <strong> · there are more: add a limit or a where</strong>}
        </span>
        <button
          type="button"
          className="text-button"
          onClick={() => download(answer)}
          disabled={rows.length === 0}
        >
          Download as CSV
        </button>
      </p>
      <div className="results-grid">
        <Grid<Row>
          key={answer.columns.map((column) => column.name).join()}
          id="sql"
          label="Rows of the answer"
          columns={columns}
          rows={rows}
          keyOf={keyOf}
          active={active}
          onActive={(row) => setActive(keyOf(row))}
          rowHeight={24}
          empty={<Empty title="No rows" />}
        />
      </div>
    </div>
  );
}

function download(answer: SqlAnswer): void {
  saveAs(new Blob([csv(answer)], { type: "text/csv" }), "clew.csv");
}

/** How many rows are looked at to find how wide a column must be. */
const SAMPLE = 60;

function resultColumns(answer: SqlAnswer): Column<Row>[] {
  return answer.columns.map((column, i) => {
    const sample = answer.rows.slice(0, SAMPLE).map((row) => cellText(row[i]));
    const isNumber = answer.rows.slice(0, SAMPLE).every((row) => row[i] === null || isNumeric(row[i]));
    const letters = Math.min(48, Math.max(column.name.length, ...sample.map((text) => text.length)));
    return {
      id: `${i}`,
      title: column.name,
      width: `${Math.round(letters * 7.6 + 8)}px`,
      ...(isNumber && sample.length > 0 ? { align: "right" as const } : {}),
      cell: (row: Row) => <Value name={column.name} value={row.cells[i]} />,
    };
  });
}

function isNumeric(value: Cell | undefined): boolean {
  return typeof value === "number" || typeof value === "bigint";
}

function Value({ name, value }: { name: string; value: Cell | undefined }): ReactNode {
  if (value === null || value === undefined) return <span className="sql-null">null</span>;
  const text = cellText(value);
  if (name === "run" && /^[0-9a-f]{32}$/.test(text)) {
    return (
      <button type="button" className="text-button mono" onClick={() => openRun(text)} title="Open the run">
        {text}
      </button>
    );
  }
  return (
    <span className="mono" title={text}>
      {text}
    </span>
  );
}
