/**
 * The blocks, sorted for drawing: each row has a track of lives, a track of steps, ready intervals and waits,
 * and one for each level of its spans. In a track blocks ascend and do not overlap, so a pixel is found by
 * binary search and costs the same however many blocks lie in it: every 16 positions the durations before
 * them are summed by class.
 *
 * Rejected: a pyramid of levels of detail for each row. It takes four times the memory of the sums, and its
 * pixels change colour when the zoom crosses a level.
 */

import { BlockKind, BlockState, type Timeline } from "../api/columns";

/** What a block is drawn as. */
export const Class = {
  running: 0,
  runningOutside: 1,
  ready: 2,
  readyOutside: 3,
  waiting: 4,
  waitingOutside: 5,
  plain: 6,
  dim: 7,
} as const;
export const CLASSES = 8;

/** Positions between two sums: a power of two. */
export const CHUNK = 16;
/** Most levels of spans in a row: more would be taller than a screen is useful for. */
export const MAX_LEVELS = 6;
const LIFE = 0;
const STATE = 1;
const SPANS = 2;

export interface Tracks {
  /** For each row its first track: that of lives; then that of states, then those of spans. */
  readonly firstTrack: Uint32Array;
  /** For each track its first position. */
  readonly first: Uint32Array;
  readonly start: Float64Array;
  /** Where the next block of the track begins before this one ends, it ends there. */
  readonly end: Float64Array;
  readonly block: Uint32Array;
  /** For each block its position. */
  readonly positionOf: Uint32Array;
  readonly classOf: Uint8Array;
  /** How long the blocks before each chunk last, by class. */
  readonly sums: Float64Array;
  /** How many blocks before each position failed. */
  readonly failed: Uint32Array;
  /** How many blocks before each position were cancelled. */
  readonly cancelled: Uint32Array;
}

export const lifeTrack = (tracks: Tracks, row: number): number => (tracks.firstTrack[row] as number) + LIFE;
export const stateTrack = (tracks: Tracks, row: number): number => (tracks.firstTrack[row] as number) + STATE;
export const spanTrack = (tracks: Tracks, row: number, level: number): number =>
  (tracks.firstTrack[row] as number) + SPANS + level;
/** How many levels of spans a row has. */
export const levelsOf = (tracks: Tracks, row: number): number =>
  (tracks.firstTrack[row + 1] as number) - (tracks.firstTrack[row] as number) - SPANS;

/** Sorts the blocks of a timeline. Complexity: O(n). */
export function tracksOf(timeline: Timeline): Tracks {
  const { blocks, head } = timeline;
  const n = blocks.size;
  const level = levelOfSpans(timeline);
  const firstTrack = new Uint32Array(head.rows + 1);
  for (let i = 0; i < n; i++) {
    if (blocks.kind[i] !== BlockKind.span) continue;
    const row = (blocks.row[i] as number) + 1;
    firstTrack[row] = Math.max(firstTrack[row] as number, (level[i] as number) + 1);
  }
  for (let row = 1; row <= head.rows; row++)
    firstTrack[row] = (firstTrack[row] as number) + SPANS + (firstTrack[row - 1] as number);
  const trackOf = (i: number): number => {
    const kind = blocks.kind[i] as number;
    const track =
      kind === BlockKind.life ? LIFE : kind === BlockKind.span ? SPANS + (level[i] as number) : STATE;
    return (firstTrack[blocks.row[i] as number] as number) + track;
  };
  const first = new Uint32Array((firstTrack[head.rows] as number) + 1);
  for (let i = 0; i < n; i++) first[trackOf(i) + 1] = (first[trackOf(i) + 1] as number) + 1;
  for (let t = 1; t < first.length; t++) first[t] = (first[t] as number) + (first[t - 1] as number);
  const next = first.slice();
  const start = new Float64Array(n);
  const end = new Float64Array(n);
  const block = new Uint32Array(n);
  const positionOf = new Uint32Array(n);
  for (let i = 0; i < n; i++) {
    const track = trackOf(i);
    const at = next[track] as number;
    next[track] = at + 1;
    start[at] = blocks.start[i] as number;
    end[at] = blocks.end[i] as number;
    block[at] = i;
    positionOf[i] = at;
    if (at > (first[track] as number) && (end[at - 1] as number) > (start[at] as number))
      end[at - 1] = start[at] as number;
  }
  const failed = new Uint32Array(n + 1);
  const cancelled = new Uint32Array(n + 1);
  for (let at = 0; at < n; at++) {
    const state = blocks.state[block[at] as number] as number;
    failed[at + 1] = (failed[at] as number) + (state & BlockState.failed ? 1 : 0);
    cancelled[at + 1] = (cancelled[at] as number) + (state & BlockState.cancelled ? 1 : 0);
  }
  const classOf = new Uint8Array(n);
  const sums = new Float64Array((Math.floor(n / CHUNK) + 1) * CLASSES);
  const tracks = { firstTrack, first, start, end, block, positionOf, classOf, sums, failed, cancelled };
  classify(tracks, timeline, null);
  return tracks;
}

/**
 * Says anew what the blocks are drawn as.
 *
 * `matches`, by block, says which stay as they are; the others are dimmed. Null: all stay.
 */
export function classify(tracks: Tracks, timeline: Timeline, matches: Uint8Array | null): void {
  const { blocks } = timeline;
  const { classOf, block, start, end, sums } = tracks;
  const running = new Float64Array(CLASSES);
  for (let at = 0; at < classOf.length; at++) {
    if (at % CHUNK === 0) sums.set(running, (at / CHUNK) * CLASSES);
    const i = block[at] as number;
    const kind = blocks.kind[i] as number;
    const outside = (blocks.state[i] as number) & BlockState.inRun ? 0 : 1;
    const one =
      matches && !matches[i]
        ? Class.dim
        : kind <= BlockKind.wait
          ? (kind - 1) * 2 + outside
          : kind === BlockKind.span && outside
            ? Class.dim
            : Class.plain;
    classOf[at] = one;
    running[one] = (running[one] as number) + (end[at] as number) - (start[at] as number);
  }
  if (classOf.length % CHUNK === 0) sums.set(running, (classOf.length / CHUNK) * CLASSES);
}

/**
 * Which level each span is drawn on: its depth, or the next below that is free. Spans of one depth overlap
 * where one scope opened several at a time.
 */
function levelOfSpans({ blocks, head }: Timeline): Uint8Array {
  const level = new Uint8Array(blocks.size);
  const ends = new Float64Array(head.rows * MAX_LEVELS).fill(Number.NEGATIVE_INFINITY);
  for (let i = 0; i < blocks.size; i++) {
    if (blocks.kind[i] !== BlockKind.span) continue;
    const base = (blocks.row[i] as number) * MAX_LEVELS;
    let at = Math.min(blocks.depth[i] as number, MAX_LEVELS - 1);
    while (at < MAX_LEVELS - 1 && (ends[base + at] as number) > (blocks.start[i] as number)) at++;
    level[i] = at;
    ends[base + at] = blocks.end[i] as number;
  }
  return level;
}
