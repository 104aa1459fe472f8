/**
 * Puts pieces into pixels. An image is one Uint32Array that goes to the canvas in one piece: 600,000 blocks
 * never become 600,000 calls of a canvas.
 */

import { BlockState } from "../api/columns";
import type { Pixel } from "./palette";
import { MIXED, type Pieces } from "./scan";
import { CLASSES, Class, type Tracks } from "./tracks";

export interface Raster {
  readonly pixels: Uint32Array;
  readonly width: number;
  readonly height: number;
}

export interface Ink {
  readonly solid: Uint32Array;
  readonly stripe: Uint32Array;
  readonly background: Pixel;
  readonly error: Pixel;
  readonly muted: Pixel;
}

/** Where a band is drawn: rows of pixels from `top` on, cut at `clipTop` and the height of the image. */
export interface Band {
  top: number;
  height: number;
  clipTop: number;
}

/** From the bottom up in a mixed pixel: what runs, what could, what waits. */
const ORDER = [
  Class.running,
  Class.runningOutside,
  Class.ready,
  Class.readyOutside,
  Class.plain,
  Class.waiting,
  Class.waitingOutside,
  Class.dim,
] as const;

/** Least height of a share, so that what is short is seen: two pixels of the screen. */
const LEAST = 2;
/** Period of the stripes in pixels of the page: a power of two. */
const STRIPES = 8;

/** Below this many pixels a loop is faster than a call of `TypedArray.fill` for each row. */
const NARROW = 24;

/** Fills a rectangle, cut to the image. */
export function fill(raster: Raster, x0: number, x1: number, y0: number, y1: number, colour: Pixel): void {
  const { pixels, width } = raster;
  const left = Math.max(x0, 0);
  const right = Math.min(x1, width);
  const bottom = Math.min(y1, raster.height);
  if (right <= left) return;
  const isNarrow = right - left < NARROW;
  for (let y = Math.max(y0, 0), line = y * width; y < bottom; y++, line += width) {
    if (isNarrow) for (let at = line + left; at < line + right; at++) pixels[at] = colour;
    else pixels.fill(colour, line + left, line + right);
  }
}

/** Draws the pieces of a track of states or spans into a band. `phase` moves the stripes along with the time. */
export function paint(
  raster: Raster,
  band: Band,
  pieces: Pieces,
  tracks: Tracks,
  states: Uint8Array,
  ink: Ink,
  phase: number,
  ratio: number,
): void {
  const gap = Math.max(1, Math.round(ratio));
  for (let p = 0; p < pieces.count; p++) {
    const at = pieces.at[p] as number;
    const x0 = pieces.x0[p] as number;
    if (at === MIXED) {
      stack(raster, band, x0, pieces.share, p * CLASSES, ink, phase, ratio);
      notch(raster, band, x0, tracks, pieces.low[p] as number, pieces.high[p] as number, ink, ratio);
      continue;
    }
    const x1 = pieces.x1[p] as number;
    const k = tracks.classOf[at] as number;
    const state = states[tracks.block[at] as number] as number;
    // A hairline of ground tells a block from one of its kind that ends where it begins.
    const before = p > 0 && pieces.x1[p - 1] === x0 ? (pieces.at[p - 1] as number) : MIXED;
    const isApart = before !== MIXED && tracks.classOf[before] === k && x1 - x0 > 3 * gap;
    one(raster, band, isApart ? x0 + gap : x0, x1, k, state, ink, phase, ratio);
  }
}

/** Draws one block. */
function one(
  raster: Raster,
  band: Band,
  x0: number,
  x1: number,
  k: number,
  state: number,
  ink: Ink,
  phase: number,
  ratio: number,
): void {
  const top = Math.max(band.top, band.clipTop);
  const bottom = Math.min(band.top + band.height, raster.height);
  const right = Math.min(x1, raster.width);
  const ground = ink.solid[k] as number;
  const stripes = ink.stripe[k] as number;
  if (ground === stripes) fill(raster, x0, right, top, bottom, ground);
  else stripe(raster, x0, right, top, bottom, ground, stripes, phase, ratio);
  if (state & (BlockState.failed | BlockState.cancelled) && k !== Class.dim)
    bar(raster, band, x0, right, !(state & BlockState.failed), ink, ratio);
  if (state & BlockState.inferred && right - x0 > 6 * ratio) dash(raster, band, x0, right, ink, ratio);
}

function stripe(
  raster: Raster,
  x0: number,
  x1: number,
  y0: number,
  y1: number,
  ground: Pixel,
  stripes: Pixel,
  phase: number,
  ratio: number,
): void {
  const { pixels, width } = raster;
  const scale = Math.max(1, Math.round(ratio));
  const mask = STRIPES * scale - 1;
  const thick = 3 * scale;
  const isWhole = (mask & (mask + 1)) === 0;
  const period = mask + 1;
  for (let y = y0; y < y1; y++) {
    const line = y * width;
    for (let x = x0; x < x1; x++) {
      const at = x + y + phase;
      pixels[line + x] = (isWhole ? at & mask : at % period) < thick ? stripes : ground;
    }
  }
}

/** Draws the bar over what failed, broken where it was only cancelled. */
function bar(
  raster: Raster,
  band: Band,
  x0: number,
  x1: number,
  isBroken: boolean,
  ink: Ink,
  ratio: number,
): void {
  const height = Math.max(2, Math.round(2 * ratio));
  const y0 = Math.max(band.top, band.clipTop);
  const y1 = Math.min(band.top + height, raster.height);
  if (!isBroken) {
    fill(raster, x0, x1, y0, y1, ink.error);
    return;
  }
  const step = Math.round(4 * ratio);
  for (let x = x0; x < x1; x += step) fill(raster, x, Math.min(x + step / 2, x1), y0, y1, ink.error);
}

/** Breaks the lower edge of what was inferred. */
function dash(raster: Raster, band: Band, x0: number, x1: number, ink: Ink, ratio: number): void {
  const height = Math.max(1, Math.round(2 * ratio));
  const y1 = Math.min(band.top + band.height, raster.height);
  const y0 = Math.max(y1 - height, band.clipTop);
  const step = Math.round(6 * ratio);
  for (let x = x0; x < x1; x += step)
    fill(raster, x + Math.round(step / 2), Math.min(x + step, x1), y0, y1, ink.background);
}

function notch(
  raster: Raster,
  band: Band,
  x: number,
  tracks: Tracks,
  low: number,
  high: number,
  ink: Ink,
  ratio: number,
): void {
  const failed = tracks.failed[high] !== tracks.failed[low];
  if (failed || tracks.cancelled[high] !== tracks.cancelled[low])
    if (failed || x % 2) bar(raster, band, x, x + 1, false, ink, ratio);
}

/** Heights of the shares of one pixel, in the order in which they are drawn. */
const heights = new Int32Array(CLASSES);

/** Shares out the height of a band; what the least heights took too much, the greatest share gives. */
function shareOut(share: Float32Array, base: number, height: number, least: number): void {
  let wanted = 0;
  let most = 0;
  for (let o = 0; o < CLASSES; o++) {
    const part = share[base + (ORDER[o] as number)] as number;
    const rows = part <= 0 ? 0 : Math.max(least, (part * height + 0.5) | 0);
    heights[o] = rows;
    wanted += rows;
    if (rows > (heights[most] as number)) most = o;
  }
  if (wanted > height) heights[most] = Math.max(1, (heights[most] as number) - (wanted - height));
}

/** Draws one pixel that several blocks share: their shares one above the other. */
export function stack(
  raster: Raster,
  band: Band,
  x: number,
  share: Float32Array,
  base: number,
  ink: Ink,
  phase: number,
  ratio: number,
): void {
  const { pixels, width, height } = raster;
  const scale = Math.max(1, Math.round(ratio));
  const top = Math.max(band.top, band.clipTop);
  shareOut(share, base, band.height, LEAST * scale);
  let y = band.top + band.height;
  for (let o = 0; o < CLASSES; o++) {
    const rows = heights[o] as number;
    if (rows === 0) continue;
    const ground = ink.solid[ORDER[o] as number] as number;
    const stripes = ink.stripe[ORDER[o] as number] as number;
    const stop = Math.max(y - rows, top);
    const last = Math.min(y, height) - 1;
    y -= rows;
    let at = last * width + x;
    if (ground === stripes) {
      for (let row = last; row >= stop; row--, at -= width) pixels[at] = ground;
      continue;
    }
    const period = STRIPES * scale;
    for (let row = last; row >= stop; row--, at -= width)
      pixels[at] = (x + row + phase) % period < 3 * scale ? stripes : ground;
  }
}

/** Draws the shares of `width` pixels, as `addShares` made them. */
export function paintShares(
  raster: Raster,
  band: Band,
  total: Float32Array,
  width: number,
  ink: Ink,
  phase: number,
  ratio: number,
): void {
  for (let x = 0; x < width; x++) stack(raster, band, x, total, x * CLASSES, ink, phase, ratio);
}
