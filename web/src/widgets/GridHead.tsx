/** The head of a table: sorts by a click, widens a column by its edge. */

import type { KeyboardEvent, PointerEvent, ReactNode } from "react";
import type { Column } from "./Grid";
import type { ColumnWidths } from "./grid_columns";

interface HeadProps<Row> {
  readonly columns: readonly Column<Row>[];
  readonly template: string;
  readonly sort: string | undefined;
  readonly onSort: ((sort: string) => void) | undefined;
  readonly widths: ColumnWidths;
}

export function GridHead<Row>({ columns, template, sort = "", onSort, widths }: HeadProps<Row>): ReactNode {
  return (
    <div role="rowgroup" className="grid-head-group">
      <div
        className="grid-head"
        role="row"
        aria-rowindex={1}
        style={{ gridTemplateColumns: template }}
        tabIndex={-1}
      >
        {columns.map((column, i) => (
          <div
            key={column.id}
            role="columnheader"
            tabIndex={-1}
            aria-sort={column.sort ? sortedBy(sort, column.sort) : undefined}
            className={column.align === "right" ? "cell is-right" : "cell"}
          >
            {column.sort && onSort ? (
              <button
                type="button"
                className="grid-sort"
                onClick={() => onSort(nextSort(sort, column.sort ?? ""))}
              >
                {column.title}
                <span aria-hidden="true" className="grid-arrow">
                  {arrow(sort, column.sort)}
                </span>
              </button>
            ) : (
              column.title
            )}
            {i < columns.length - 1 && <Edge column={column} widths={widths} />}
          </div>
        ))}
      </div>
    </div>
  );
}

function sortedBy(sort: string, name: string): "ascending" | "descending" | "none" {
  return sort === name ? "ascending" : sort === `-${name}` ? "descending" : "none";
}

function arrow(sort: string, name: string): string {
  return sort === name ? "↑" : sort === `-${name}` ? "↓" : "";
}

/** First descending: the longest, the most, the latest is what people look for. */
function nextSort(sort: string, name: string): string {
  return sort === `-${name}` ? name : `-${name}`;
}

const LEAST = 40;
const STEP = 16;

function Edge<Row>({ column, widths }: { column: Column<Row>; widths: ColumnWidths }): ReactNode {
  const begin = (event: PointerEvent<HTMLDivElement>) => {
    const cell = event.currentTarget.parentElement;
    if (!cell) return;
    event.preventDefault();
    event.currentTarget.setPointerCapture(event.pointerId);
    const from = event.clientX;
    const width = cell.offsetWidth;
    const edge = event.currentTarget;
    const drag = (moved: globalThis.PointerEvent) =>
      widths.set(column.id, Math.max(LEAST, Math.round(width + moved.clientX - from)));
    edge.addEventListener("pointermove", drag);
    edge.addEventListener("lostpointercapture", () => edge.removeEventListener("pointermove", drag), {
      once: true,
    });
  };
  const nudge = (event: KeyboardEvent<HTMLDivElement>) => {
    const by = event.key === "ArrowRight" ? STEP : event.key === "ArrowLeft" ? -STEP : 0;
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    widths.set(column.id, Math.max(LEAST, (event.currentTarget.parentElement?.offsetWidth ?? 100) + by));
  };
  return (
    <div
      className="grid-edge"
      role="separator"
      aria-orientation="vertical"
      aria-label={`Width of ${column.title || column.id}`}
      aria-valuenow={widths.of[column.id] ?? 0}
      tabIndex={-1}
      onPointerDown={begin}
      onKeyDown={nudge}
      onDoubleClick={() => widths.set(column.id, null)}
    />
  );
}
