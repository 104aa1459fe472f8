/**
 * What stands in each pixel of a track: one block, as wide as it is, or several, as the share of the pixel
 * that each class covers. Exact at every zoom, so nothing flickers while one pans.
 */

import { firstAbove, nextNotBelow } from "./search";
import { CHUNK, CLASSES, type Tracks } from "./tracks";

/** Several blocks share the pixel. */
export const MIXED = -1;

/** Pieces of a line, from left to right; kept from frame to frame, so that drawing makes no garbage. */
export class Pieces {
  count = 0;
  x0: Int32Array;
  x1: Int32Array;
  /** Position of the block in its track, or `MIXED`. */
  at: Int32Array;
  /** First and last position (exclusive) in a mixed pixel. */
  low: Int32Array;
  high: Int32Array;
  /** Of a mixed pixel the share of each class, 0 to 1. */
  share: Float32Array;

  constructor(readonly capacity: number) {
    this.x0 = new Int32Array(capacity);
    this.x1 = new Int32Array(capacity);
    this.at = new Int32Array(capacity);
    this.low = new Int32Array(capacity);
    this.high = new Int32Array(capacity);
    this.share = new Float32Array(capacity * CLASSES);
  }

  /** Adds pixels of one block, to the piece before if that is the same block. */
  add(x0: number, x1: number, at: number): void {
    const last = this.count - 1;
    if (last >= 0 && this.at[last] === at && this.x1[last] === x0) {
      this.x1[last] = x1;
      return;
    }
    this.x0[this.count] = x0;
    this.x1[this.count] = x1;
    this.at[this.count] = at;
    this.count++;
  }
}

/**
 * Finds the pieces of one track.
 *
 * Args: `from`, `to` the window in ns; `width` in pixels, at most the capacity of `pieces`.
 * Complexity: O(width) searches, whatever the number of blocks.
 */
export function scan(
  tracks: Tracks,
  track: number,
  from: number,
  to: number,
  width: number,
  pieces: Pieces,
): void {
  const { start, end } = tracks;
  const high = tracks.first[track + 1] as number;
  const perPixel = (to - from) / width;
  const perNs = width / (to - from);
  let i = firstAbove(end, tracks.first[track] as number, high, from);
  // A block of no length at the left edge ends where it begins.
  if (i > (tracks.first[track] as number) && (start[i - 1] as number) >= from) i--;
  let x = 0;
  pieces.count = 0;
  while (i < high) {
    const begins = start[i] as number;
    if (begins >= to) break;
    const at = Math.floor((begins - from) * perNs);
    if (at > x) x = at;
    if (x >= width) break;
    const left = from + x * perPixel;
    const right = left + perPixel;
    const ends = end[i] as number;
    if (ends <= left && begins < left) {
      i++;
      continue;
    }
    const next =
      i + 1 < high && (start[i + 1] as number) < right ? nextNotBelow(start, i + 1, high, right) : i + 1;
    if (next === i + 1) {
      const last = Math.floor((ends - from) * perNs);
      if (last > x) {
        pieces.add(x, Math.min(last, width), i);
        x = last;
      } else {
        // The last part of a block that is drawn already counts only if it is most of the pixel.
        if (begins >= left || ends - left >= perPixel / 2) pieces.add(x, x + 1, i);
        x++;
        i++;
      }
    } else if (next === i + 2 && begins <= left && (end[i + 1] as number) >= right) {
      // Both go on beyond the pixel: the greater part takes it.
      pieces.add(x, x + 1, ends - left >= right - (start[i + 1] as number) ? i : i + 1);
      x++;
      i++;
    } else {
      mix(tracks, i, next, left, right, pieces, x);
      x++;
      i = (end[next - 1] as number) > right ? next - 1 : next;
    }
  }
}

/** Adds a pixel that several blocks share. */
function mix(
  tracks: Tracks,
  low: number,
  high: number,
  left: number,
  right: number,
  pieces: Pieces,
  x: number,
): void {
  const piece = pieces.count++;
  pieces.x0[piece] = x;
  pieces.x1[piece] = x + 1;
  pieces.at[piece] = MIXED;
  pieces.low[piece] = low;
  pieces.high[piece] = high;
  const { share } = pieces;
  const base = piece * CLASSES;
  for (let k = 0; k < CLASSES; k++) share[base + k] = 0;
  const perNs = 1 / (right - left);
  // The first and the last may reach beyond the pixel; those between lie in it.
  addPart(tracks, low, left, right, perNs, share, base);
  addPart(tracks, high - 1, left, right, perNs, share, base);
  addWhole(tracks, low + 1, high - 1, perNs, share, base);
}

function addPart(
  tracks: Tracks,
  at: number,
  left: number,
  right: number,
  perNs: number,
  share: Float32Array,
  base: number,
): void {
  const from = Math.max(tracks.start[at] as number, left);
  const to = Math.min(tracks.end[at] as number, right);
  const k = base + (tracks.classOf[at] as number);
  // What was there, however short, can be told from what was not.
  share[k] = (share[k] as number) + Math.max(to - from, 0) * perNs + Number.EPSILON;
}

function addWhole(
  tracks: Tracks,
  low: number,
  high: number,
  perNs: number,
  share: Float32Array,
  base: number,
): void {
  const { classOf, start, end, sums } = tracks;
  let i = low;
  if (high - low > 2 * CHUNK) {
    const firstChunk = Math.ceil(low / CHUNK);
    const lastChunk = Math.floor(high / CHUNK);
    for (let k = 0; k < CLASSES; k++) {
      const total = (sums[lastChunk * CLASSES + k] as number) - (sums[firstChunk * CLASSES + k] as number);
      share[base + k] = (share[base + k] as number) + Math.max(total, 0) * perNs;
    }
    for (; i < firstChunk * CHUNK; i++) {
      const k = base + (classOf[i] as number);
      share[k] = (share[k] as number) + ((end[i] as number) - (start[i] as number)) * perNs + Number.EPSILON;
    }
    i = lastChunk * CHUNK;
  }
  for (; i < high; i++) {
    const k = base + (classOf[i] as number);
    share[k] = (share[k] as number) + ((end[i] as number) - (start[i] as number)) * perNs + Number.EPSILON;
  }
}

/**
 * Adds up the shares of several tracks, pixel by pixel, into `total` (`width` × CLASSES): what a folded lane
 * shows of its rows.
 */
export function addShares(tracks: Tracks, pieces: Pieces, total: Float32Array, weight: number): void {
  for (let p = 0; p < pieces.count; p++) {
    const at = pieces.at[p] as number;
    const x0 = pieces.x0[p] as number;
    if (at === MIXED) {
      for (let k = 0; k < CLASSES; k++)
        total[x0 * CLASSES + k] =
          (total[x0 * CLASSES + k] as number) + (pieces.share[p * CLASSES + k] as number) * weight;
      continue;
    }
    const k = tracks.classOf[at] as number;
    for (let x = x0; x < (pieces.x1[p] as number); x++)
      total[x * CLASSES + k] = (total[x * CLASSES + k] as number) + weight;
  }
}
