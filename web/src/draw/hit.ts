/** What is under the pointer, and what is next to what is selected. */

import { BlockKind, type Timeline } from "../api/columns";
import { type Line, type Lines, lineAt, MEASURES } from "./lines";
import { firstAbove } from "./search";
import { lifeTrack, spanTrack, stateTrack, type Tracks } from "./tracks";

export interface Picture {
  readonly timeline: Timeline;
  readonly tracks: Tracks;
  readonly lines: Lines;
  readonly marksOf: MarksOfRows;
}

export type Hit =
  | { readonly type: "block"; readonly block: number; readonly line: number }
  | { readonly type: "mark"; readonly mark: number; readonly line: number }
  | { readonly type: "line"; readonly line: number };

/** Pixels by which one may miss what is narrow. */
const REACH = 4;

/** The marks of each row, by time. */
export interface MarksOfRows {
  readonly first: Uint32Array;
  readonly mark: Uint32Array;
  readonly t: Float64Array;
}

export function marksOfRows({ marks, head }: Timeline): MarksOfRows {
  const first = new Uint32Array(head.rows + 1);
  for (let i = 0; i < marks.size; i++) {
    const row = (marks.row[i] as number) + 1;
    first[row] = (first[row] as number) + 1;
  }
  for (let row = 1; row <= head.rows; row++) first[row] = (first[row] as number) + (first[row - 1] as number);
  const next = first.slice();
  const mark = new Uint32Array(marks.size);
  const t = new Float64Array(marks.size);
  for (let i = 0; i < marks.size; i++) {
    const row = marks.row[i] as number;
    const at = next[row] as number;
    next[row] = at + 1;
    mark[at] = i;
    t[at] = marks.t[i] as number;
  }
  return { first, mark, t };
}

/** Finds what is at a height of the picture (from its top) and a time; `perPixel` in ns. */
export function hitAt(picture: Picture, y: number, t: number, perPixel: number): Hit | null {
  const at = lineAt(picture.lines, y);
  const line = picture.lines.lines[at];
  if (!line) return null;
  if (line.kind !== "row") return { type: "line", line: at };
  const reach = REACH * perPixel;
  const within = y - line.y;
  if (within >= line.band - 2) {
    const mark = nearestMark(picture.marksOf, line.row, t, reach);
    if (mark >= 0) return { type: "mark", mark, line: at };
  }
  const block = blockAt(picture.tracks, line, within, t, reach);
  return block >= 0 ? { type: "block", block, line: at } : { type: "line", line: at };
}

function blockAt(tracks: Tracks, line: Line, within: number, t: number, reach: number): number {
  if (within < line.band) {
    const level = Math.floor((within - MEASURES.padding / 2) / MEASURES.level);
    if (level >= 0 && level < line.levels) {
      const at = nearest(tracks, spanTrack(tracks, line.row, level), t, reach);
      if (at >= 0) return tracks.block[at] as number;
    }
    return -1;
  }
  const at = nearest(tracks, stateTrack(tracks, line.row), t, reach);
  if (at >= 0) return tracks.block[at] as number;
  const life = nearest(tracks, lifeTrack(tracks, line.row), t, 0);
  return life >= 0 ? (tracks.block[life] as number) : -1;
}

/** The position of the block that holds `t`, else of the nearest within `reach`; -1 if there is none. */
export function nearest(tracks: Tracks, track: number, t: number, reach: number): number {
  const low = tracks.first[track] as number;
  const high = tracks.first[track + 1] as number;
  const at = firstAbove(tracks.end, low, high, t);
  if (at < high && (tracks.start[at] as number) <= t) return at;
  if (low === high) return -1;
  const after = at < high ? (tracks.start[at] as number) - t : Number.POSITIVE_INFINITY;
  const before = at > low ? t - (tracks.end[at - 1] as number) : Number.POSITIVE_INFINITY;
  if (Math.min(after, before) > reach) return -1;
  return after <= before ? at : at - 1;
}

function nearestMark(marks: MarksOfRows, row: number, t: number, reach: number): number {
  const low = marks.first[row] as number;
  const high = marks.first[row + 1] as number;
  if (low === high) return -1;
  const at = firstAbove(marks.t, low, high, t);
  const after = at < high ? (marks.t[at] as number) - t : Number.POSITIVE_INFINITY;
  const before = at > low ? t - (marks.t[at - 1] as number) : Number.POSITIVE_INFINITY;
  if (Math.min(after, before) > reach) return -1;
  return marks.mark[after < before ? at : at - 1] as number;
}

/** The next block of the same track, in either direction; the same at its end. */
export function neighbour(picture: Picture, block: number, step: 1 | -1): number {
  const { tracks } = picture;
  const at = tracks.positionOf[block] as number;
  const track = trackOfPosition(tracks, at);
  const next = at + step;
  const isInside = next >= (tracks.first[track] as number) && next < (tracks.first[track + 1] as number);
  return isInside ? (tracks.block[next] as number) : block;
}

function trackOfPosition(tracks: Tracks, at: number): number {
  let low = 0;
  let high = tracks.first.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((tracks.first[middle] as number) > at) high = middle;
    else low = middle + 1;
  }
  return low - 1;
}

/** The block of the line above or below that is nearest to a time; -1 where no line has one. */
export function inNextLine(picture: Picture, line: number, t: number, step: 1 | -1): number {
  for (let i = line + step; i >= 0 && i < picture.lines.lines.length; i += step) {
    const one = picture.lines.lines[i] as Line;
    if (one.kind !== "row") continue;
    const at = nearest(picture.tracks, stateTrack(picture.tracks, one.row), t, Number.POSITIVE_INFINITY);
    if (at >= 0) return picture.tracks.block[at] as number;
    const span = one.levels
      ? nearest(picture.tracks, spanTrack(picture.tracks, one.row, 0), t, Number.POSITIVE_INFINITY)
      : -1;
    if (span >= 0) return picture.tracks.block[span] as number;
  }
  return -1;
}

/** The blocks that begin or lie in a window, line by line, at most `most`: what the table beside the picture lists. */
export function blocksIn(
  picture: Picture,
  from: number,
  to: number,
  firstLine: number,
  lastLine: number,
  most: number,
): number[] {
  const { tracks, lines } = picture;
  const found: number[] = [];
  for (let i = Math.max(firstLine, 0); i <= lastLine && i < lines.lines.length; i++) {
    const line = lines.lines[i] as Line;
    if (line.kind !== "row") continue;
    for (
      let track = stateTrack(tracks, line.row);
      track <= spanTrack(tracks, line.row, line.levels - 1);
      track++
    ) {
      const high = tracks.first[track + 1] as number;
      for (let at = firstAbove(tracks.end, tracks.first[track] as number, high, from); at < high; at++) {
        if ((tracks.start[at] as number) >= to) break;
        if (found.length >= most) return found;
        found.push(tracks.block[at] as number);
      }
    }
  }
  return found;
}

/** Finds the block that an event begins or ends; steps and waits before spans and lives; -1 if none. */
export function blockOfEvent(timeline: Timeline, process: string, seq: number): number {
  const at = timeline.head.processes.findIndex((one) => one.process === process);
  if (at < 0) return -1;
  const { blocks } = timeline;
  let best = -1;
  let bestRank = Number.POSITIVE_INFINITY;
  for (let i = 0; i < blocks.size; i++) {
    const begins = blocks.seq[i] === seq;
    if ((!begins && blocks.end_seq[i] !== seq) || blocks.process[i] !== at || seq === 0) continue;
    const kind = blocks.kind[i] as number;
    const rank = (begins ? 0 : 8) + (kind === BlockKind.ready ? BlockKind.life : kind);
    if (rank < bestRank) {
      best = i;
      bestRank = rank;
    }
  }
  return best;
}
