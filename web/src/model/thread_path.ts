/**
 * The thread of causes as one line down the side of a list: each scope it passes through has a column, and the
 * line changes columns where one thing enabled another in a different task, thread or process. Where time went
 * by between two steps the line is longer, so that a wait is seen before it is read.
 */

import type { ThreadStep } from "../api/types";

export interface Measures {
  /** Height of a step without a wait. */
  readonly row: number;
  /** Height that a wait adds. */
  readonly wait: number;
  /** Distance between columns. */
  readonly column: number;
  /** Most columns that are drawn; further scopes share them. */
  readonly columns: number;
}

export const MEASURES: Measures = { row: 44, wait: 24, column: 12, columns: 6 };

export interface PathNode {
  readonly step: number;
  readonly column: number;
  readonly x: number;
  /** Of its mark. */
  readonly y: number;
  /** Of its row. */
  readonly top: number;
  readonly height: number;
  /** The scope before is another one. */
  readonly isCrossing: boolean;
}

export interface ThreadPath {
  readonly nodes: readonly PathNode[];
  readonly width: number;
  readonly height: number;
  /** The whole line, as an SVG path. */
  readonly line: string;
  /** The parts of it along which time went by. */
  readonly waits: readonly { readonly step: number; readonly line: string }[];
}

/** What a step happened in, as one word. */
export function scopeKey(step: Pick<ThreadStep, "process" | "scope_id" | "scope">): string {
  return `${step.process}/${step.scope_id ?? step.scope ?? ""}`;
}

/** Says whether so much time went by that it is drawn: a hundredth of the thread, and a microsecond at least. */
export function isLongWait(waitedNs: number | null, wholeNs: number): boolean {
  return waitedNs !== null && waitedNs >= 1000 && waitedNs >= wholeNs / 100;
}

/** Lays out the line of a thread. */
export function threadPath(steps: readonly ThreadStep[], measures: Measures = MEASURES): ThreadPath {
  const columns = columnsOf(steps, measures.columns);
  const wholeNs = steps.length ? (steps.at(-1)?.t_ns ?? 0) - (steps[0]?.t_ns ?? 0) : 0;
  const nodes: PathNode[] = [];
  let top = 0;
  steps.forEach((step, i) => {
    const column = columns[i] ?? 0;
    const isLast = i === steps.length - 1;
    const height = measures.row + (!isLast && isLongWait(step.waited_ns, wholeNs) ? measures.wait : 0);
    const before = steps[i - 1];
    const isCrossing = before !== undefined && scopeKey(before) !== scopeKey(step);
    const x = measures.column * (column + 0.5);
    nodes.push({ step: i, column, x, y: top + measures.row / 2, top, height, isCrossing });
    top += height;
  });
  return {
    nodes,
    width: measures.column * (Math.max(0, ...columns) + 1),
    height: top,
    line: nodes.map((node, i) => segment(nodes[i - 1], node)).join(""),
    waits: nodes.flatMap((node, i) => {
      const next = nodes[i + 1];
      const isDrawn = next && node.height > measures.row;
      return isDrawn ? [{ step: i, line: `M${node.x} ${node.y}${segment(node, next)}` }] : [];
    }),
  };
}

/** The column of each step: scopes in the order in which they are met. */
function columnsOf(steps: readonly ThreadStep[], most: number): number[] {
  const known = new Map<string, number>();
  return steps.map((step) => {
    const key = scopeKey(step);
    const column = known.get(key) ?? known.size;
    known.set(key, column);
    return column % most;
  });
}

/** A move to the first node; a straight line within a column; a soft bend from one to another. */
function segment(from: PathNode | undefined, to: PathNode): string {
  if (!from) return `M${to.x} ${to.y}`;
  if (from.x === to.x) return `V${to.y}`;
  // The bend is as tall as a plain row; before it the line stays in its column as long as it waits.
  const bend = Math.max(from.y, to.y - MEASURES.row);
  const middle = (bend + to.y) / 2;
  return `V${bend}C${from.x} ${middle} ${to.x} ${middle} ${to.x} ${to.y}`;
}
