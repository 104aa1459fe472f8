/** Which columns a table shows, and how wide. */

import { useState } from "react";
import type { Column } from "./Grid";

export interface ColumnWidths {
  readonly of: Readonly<Record<string, number>>;
  readonly set: (column: string, width: number | null) => void;
}

/** The widths people gave the columns of a table; this browser keeps them. */
export function useColumnWidths(grid: string): ColumnWidths {
  const [of, setOf] = useState<Record<string, number>>(() => kept(grid));
  const set = (column: string, width: number | null) => {
    setOf((before) => {
      const { [column]: _, ...others } = before;
      const next = width === null ? others : { ...others, [column]: width };
      localStorage.setItem(`clew.columns.${grid}`, JSON.stringify(next));
      return next;
    });
  };
  return { of, set };
}

function kept(grid: string): Record<string, number> {
  try {
    return JSON.parse(localStorage.getItem(`clew.columns.${grid}`) ?? "{}") as Record<string, number>;
  } catch {
    return {}; // storage is forbidden, or holds something else: the usual widths do
  }
}

/** Leaves out what the width has no room for. */
export function shownColumns<Row>(columns: readonly Column<Row>[], width: number): readonly Column<Row>[] {
  return columns.filter((column) => width >= (column.from ?? 0));
}

export function columnTemplate<Row>(
  columns: readonly Column<Row>[],
  widths: Readonly<Record<string, number>>,
): string {
  return columns.map((column) => (widths[column.id] ? `${widths[column.id]}px` : column.width)).join(" ");
}
