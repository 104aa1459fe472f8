/** The tables there are, to look at and to write into the query. */

import type { ReactNode } from "react";
import { useTables } from "../../api/queries";
import { Failure, Skeleton } from "../../widgets/states";

export function Schema({ onInsert }: { onInsert: (word: string) => void }): ReactNode {
  const { data, error, refetch } = useTables();
  return (
    <aside className="schema" aria-label="Tables and columns">
      {error && <Failure error={error} onRetry={() => void refetch()} />}
      {!data && !error && <Skeleton label="Loading the tables" />}
      {data?.tables.map((table) => (
        <details key={table.name} open={table.name === "events"}>
          <summary>
            <code>{table.name}</code>
            <span className="muted">{table.columns.length}</span>
          </summary>
          <ul>
            {table.columns.map((column) => (
              <li key={column.name}>
                <button
                  type="button"
                  onClick={() => onInsert(column.name)}
                  title={`Write ${column.name} into the query`}
                >
                  <code>{column.name}</code>
                  <span className="muted">{column.type.toLowerCase().replace(/dictionary<.*/, "text")}</span>
                </button>
              </li>
            ))}
          </ul>
        </details>
      ))}
    </aside>
  );
}
