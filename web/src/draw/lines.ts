/**
 * The lines of the picture from top to bottom: a head for each process, below it its lanes as the server
 * orders them, a line for each row. A folded lane is one line that sums its rows up; a folded process is its
 * head alone. Lanes without anything of the run stand behind "n more" at first.
 */

import type { LaneHead, Timeline } from "../api/columns";
import { levelsOf, type Tracks } from "./tracks";

export const MEASURES = {
  process: 24,
  more: 20,
  band: 14,
  level: 13,
  padding: 4,
  summary: 18,
} as const;
/** A lane of more rows is folded at first. */
export const MANY_ROWS = 4;

export type LineKind = "process" | "row" | "summary" | "more";

export interface Line {
  readonly kind: LineKind;
  readonly process: number;
  /** -1 for a process and "more". */
  readonly lane: number;
  /** Of a row. */
  readonly row: number;
  readonly y: number;
  readonly height: number;
  /** Where its steps are drawn. */
  readonly band: number;
  readonly bandHeight: number;
  readonly levels: number;
  readonly isFirst: boolean;
  readonly isFoldable: boolean;
  readonly isFolded: boolean;
  readonly indent: number;
  /** Rows that a summary or a folded process sums up; lanes behind "more". */
  readonly rows: readonly number[];
}

export interface Lines {
  readonly lines: readonly Line[];
  readonly height: number;
  /** For each row the line that shows it, or what it is folded into. */
  readonly lineOfRow: Int32Array;
}

/** What was folded and unfolded by hand: kept by names, so that it outlives the arrival of new columns. */
export interface Folds {
  readonly folded: ReadonlyMap<string, boolean>;
  /** Keys of lanes without anything of the run that are shown; of a process: all of its. */
  readonly shown: ReadonlySet<string>;
}

export const NO_FOLDS: Folds = { folded: new Map(), shown: new Set() };

/** Names a lane for good. Lanes of one name in one thread are told apart by their order. */
export function laneKeys({ head }: Timeline): readonly string[] {
  const seen = new Map<string, number>();
  const keys: string[] = [];
  for (const lane of head.lanes) {
    const parent = lane.parent === null ? processKey(head, lane.process) : (keys[lane.parent] ?? "");
    const name = `${parent}\n${lane.kind} ${lane.name}`;
    const before = seen.get(name) ?? 0;
    seen.set(name, before + 1);
    keys.push(before ? `${name} (${before})` : name);
  }
  return keys;
}

export const processKey = (head: Timeline["head"], process: number): string =>
  head.processes[process]?.process ?? "";

export function toggled(folds: Folds, key: string, isFolded: boolean): Folds {
  return { ...folds, folded: new Map(folds.folded).set(key, !isFolded) };
}

export function showing(folds: Folds, key: string, isShown: boolean): Folds {
  const shown = new Set(folds.shown);
  if (isShown) shown.add(key);
  else shown.delete(key);
  return { ...folds, shown };
}

/** Unfolds what is around some rows, so that they have lines. The same folds if nothing was in the way. */
export function revealing(timeline: Timeline, folds: Folds, rows: Iterable<number>, isExact: boolean): Folds {
  const keys = laneKeys(timeline);
  const { head } = timeline;
  const visible = visibleLanes(timeline, folds, keys);
  let next = folds;
  for (const row of new Set(rows)) {
    const lane = laneOfRow(head.lanes, row);
    const one = head.lanes[lane];
    if (!one) continue;
    const process = processKey(head, one.process);
    if (next.folded.get(process)) next = toggled(next, process, true);
    if (one.parent !== null && next.folded.get(keys[one.parent] ?? ""))
      next = toggled(next, keys[one.parent] ?? "", true);
    if (!visible[lane] && !next.shown.has(process)) next = showing(next, keys[lane] ?? "", true);
    const key = keys[lane] ?? "";
    if (isExact && isSummed(one, key, next)) next = { ...next, folded: new Map(next.folded).set(key, false) };
  }
  return next;
}

/** The lane a row belongs to; lanes stand by their first row. */
export function laneOfRow(lanes: readonly LaneHead[], row: number): number {
  let low = 0;
  let high = lanes.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((lanes[middle]?.first_row ?? 0) > row) high = middle;
    else low = middle + 1;
  }
  const lane = lanes[low - 1];
  if (lane && row < lane.first_row + lane.rows) return low - 1;
  return lanes.findIndex((one) => row >= one.first_row && row < one.first_row + one.rows);
}

/** Says whether a lane of several rows is drawn as one line. */
function isSummed(lane: LaneHead, key: string, folds: Folds): boolean {
  return lane.rows > 1 && lane.kind !== "thread" && (folds.folded.get(key) ?? lane.rows > MANY_ROWS);
}

/** Which lanes are of the run, or have children that are, or were asked for. */
function visibleLanes({ head }: Timeline, folds: Folds, keys: readonly string[]): Uint8Array {
  const visible = new Uint8Array(head.lanes.length);
  for (let i = head.lanes.length - 1; i >= 0; i--) {
    const lane = head.lanes[i] as LaneHead;
    if (lane.in_run || folds.shown.has(keys[i] ?? "") || folds.shown.has(processKey(head, lane.process)))
      visible[i] = 1;
    if (visible[i] && lane.parent !== null) visible[lane.parent] = 1;
  }
  return visible;
}

/** Lays out the lines. Complexity: O(rows). */
export function linesOf(timeline: Timeline, tracks: Tracks, folds: Folds): Lines {
  const builder = new Builder(timeline, tracks, folds);
  for (const process of timeline.head.processes.keys()) builder.addProcess(process);
  return builder.lines();
}

class Builder {
  #lines: Line[] = [];
  #y = 0;
  #lineOfRow: Int32Array;
  #keys: readonly string[];
  #visible: Uint8Array;
  #lanesOf: number[][];

  constructor(
    readonly timeline: Timeline,
    readonly tracks: Tracks,
    readonly folds: Folds,
  ) {
    this.#lineOfRow = new Int32Array(timeline.head.rows).fill(-1);
    this.#keys = laneKeys(timeline);
    this.#visible = visibleLanes(timeline, folds, this.#keys);
    this.#lanesOf = timeline.head.processes.map(() => []);
    for (const [i, lane] of timeline.head.lanes.entries()) this.#lanesOf[lane.process]?.push(i);
  }

  lines(): Lines {
    return { lines: this.#lines, height: this.#y, lineOfRow: this.#lineOfRow };
  }

  addProcess(process: number): void {
    const { head } = this.timeline;
    const mine = this.#lanesOf[process] ?? [];
    const isFolded = this.folds.folded.get(processKey(head, process)) ?? false;
    const rows = mine.flatMap((lane) => rowsOf(head.lanes[lane] as LaneHead));
    const at = this.#lines.length;
    this.#add({
      kind: "process",
      process,
      isFirst: true,
      isFoldable: true,
      isFolded,
      rows,
      height: MEASURES.process,
    });
    // What has no line of its own is found at its process.
    for (const row of rows) this.#lineOfRow[row] = at;
    if (isFolded) return;
    const hidden: number[] = [];
    for (const lane of mine) {
      if (this.#visible[lane]) this.#addLane(lane);
      else hidden.push(lane);
    }
    const isAllShown = this.folds.shown.has(processKey(head, process));
    if (hidden.length || isAllShown)
      this.#add({
        kind: "more",
        process,
        isFolded: !isAllShown,
        rows: hidden,
        height: MEASURES.more,
        indent: 1,
      });
  }

  #addLane(lane: number): void {
    const { head } = this.timeline;
    const one = head.lanes[lane] as LaneHead;
    const key = this.#keys[lane] ?? "";
    const parent = one.parent === null ? null : this.#keys[one.parent];
    if (parent && this.folds.folded.get(parent)) return;
    const hasChildren = head.lanes[lane + 1]?.parent === lane;
    const indent = one.parent === null ? 1 : 2;
    const isSum = isSummed(one, key, this.folds);
    const isFoldable = hasChildren || (one.rows > 1 && one.kind !== "thread");
    const isFolded = hasChildren ? (this.folds.folded.get(key) ?? false) : isSum;
    if (isSum) {
      const rows = rowsOf(one);
      for (const row of rows) this.#lineOfRow[row] = this.#lines.length;
      this.#add({
        kind: "summary",
        process: one.process,
        lane,
        isFirst: true,
        isFoldable,
        isFolded,
        rows,
        indent,
        height: MEASURES.summary + MEASURES.padding,
      });
      return;
    }
    for (let row = one.first_row; row < one.first_row + one.rows; row++) {
      const levels = levelsOf(this.tracks, row);
      this.#lineOfRow[row] = this.#lines.length;
      const isFirst = row === one.first_row;
      const height = MEASURES.band + levels * MEASURES.level + MEASURES.padding;
      this.#add({
        kind: "row",
        process: one.process,
        lane,
        row,
        levels,
        isFirst,
        isFoldable,
        isFolded,
        indent,
        height,
      });
    }
  }

  #add(line: Partial<Line> & Pick<Line, "kind" | "process" | "height">): void {
    const levels = line.levels ?? 0;
    const top = MEASURES.padding / 2;
    const bandHeight = line.kind === "row" ? MEASURES.band : Math.max(line.height - 2 * top, 0);
    this.#lines.push({
      lane: -1,
      row: -1,
      isFirst: false,
      isFoldable: false,
      isFolded: false,
      indent: 0,
      rows: [],
      ...line,
      levels,
      y: this.#y,
      band: top + levels * MEASURES.level,
      bandHeight,
    });
    this.#y += line.height;
  }
}

function rowsOf(lane: LaneHead): number[] {
  return Array.from({ length: lane.rows }, (_, i) => lane.first_row + i);
}

/** The line at a height; -1 above the first and below the last. */
export function lineAt({ lines, height }: Lines, y: number): number {
  if (y < 0 || y >= height) return -1;
  let low = 0;
  let high = lines.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((lines[middle] as Line).y > y) high = middle;
    else low = middle + 1;
  }
  return low - 1;
}
