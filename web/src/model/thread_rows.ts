/** The thread as it passes through a table: which rows are on it, which it goes by. */

import type { EventRef } from "./selection";

export type ThreadMark = "" | "on" | "past";

export interface ThreadMarks {
  /** How the thread passes a row: `on` it, `past` it between two that are, or not at all. */
  readonly at: (row: number) => ThreadMark;
  readonly first: number;
  readonly last: number;
}

const NOWHERE: ThreadMarks = { at: () => "", first: -1, last: -1 };

export function threadMarks(rows: readonly EventRef[], steps: readonly EventRef[]): ThreadMarks {
  if (steps.length === 0) return NOWHERE;
  const wanted = new Set(steps.map((step) => `${step.process}:${step.seq}`));
  const on = new Set<number>();
  rows.forEach((row, i) => {
    if (wanted.has(`${row.process}:${row.seq}`)) on.add(i);
  });
  if (on.size === 0) return NOWHERE;
  const [first = 0, last = 0] = [Math.min(...on), Math.max(...on)];
  return { first, last, at: (row) => (on.has(row) ? "on" : row > first && row < last ? "past" : "") };
}

/** The classes of a row by which the line is drawn. */
export function threadClass(marks: ThreadMarks, row: number): string {
  const mark = marks.at(row);
  if (!mark) return "";
  return `thread-${mark}${row === marks.first ? " thread-first" : ""}${row === marks.last ? " thread-last" : ""}`;
}
