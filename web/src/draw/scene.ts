/**
 * Paints a frame: the visible lines into one image, the image to the canvas in one call, then labels, marks
 * and the axis on top of it. Only what is in the window is looked at.
 */

import { ticksOf } from "./axis";
import type { Picture } from "./hit";
import { blockLabel } from "./labels";
import { type Line, lineAt, MEASURES } from "./lines";
import { drawMark, weight } from "./marks";
import type { Palette } from "./palette";
import { type Band, fill, type Ink, paint, paintShares, type Raster } from "./raster";
import { addShares, MIXED, Pieces, scan } from "./scan";
import { firstNotBelow } from "./search";
import { Texts } from "./texts";
import { CLASSES, lifeTrack, spanTrack, stateTrack } from "./tracks";
import type { Window } from "./window";

/** Height of the time axis, in pixels of the page. */
export const AXIS = 24;
/** Most labels of a frame: what comes after is not drawn. */
const MAX_LABELS = 3000;
/** Least width of a block with a label, in pixels of the page. */
const LABEL_WIDTH = 26;
/** Least distance of two marks of a row. */
const MARK_WIDTH = 8;

export interface View {
  readonly window: Window;
  readonly scrollTop: number;
  /** While a thread is drawn everything else is quiet. */
  readonly isQuiet: boolean;
}

export class Scene {
  width = 0;
  height = 0;
  ratio = 1;
  #context: CanvasRenderingContext2D;
  #image: ImageData | null = null;
  #raster: Raster = { pixels: new Uint32Array(0), width: 0, height: 0 };
  #pieces = new Pieces(0);
  #total = new Float32Array(0);
  #labels = new Int32Array(MAX_LABELS * 5);
  #labelCount = 0;
  #band: Band = { top: 0, height: 0, clipTop: 0 };
  #texts: Texts | null = null;
  #small: Texts | null = null;

  constructor(readonly canvas: HTMLCanvasElement) {
    // No alpha: the compositor need not blend it.
    const context = canvas.getContext("2d", { alpha: false });
    if (!context) throw new Error("this browser draws on no canvas");
    this.#context = context;
  }

  /** Sets the size in pixels of the page, and how many pixels of the screen one of them is. */
  resize(width: number, height: number, ratio: number): void {
    this.width = width;
    this.height = height;
    this.ratio = ratio;
    const across = Math.max(1, Math.round(width * ratio));
    const down = Math.max(1, Math.round(height * ratio));
    this.canvas.width = across;
    this.canvas.height = down;
    this.#image = new ImageData(across, down);
    const pixels = new Uint32Array(this.#image.data.buffer);
    this.#raster = { pixels, width: across, height: down };
    this.#pieces = new Pieces(across + 1);
    this.#total = new Float32Array(across * CLASSES);
  }

  /** Forgets widths of texts: the fonts changed. */
  restyle(): void {
    this.#texts = null;
    this.#small = null;
  }

  paint(picture: Picture, view: View, palette: Palette): void {
    if (!this.#image) return;
    const ink: Ink = {
      solid: view.isQuiet ? palette.quietSolid : palette.solid,
      stripe: view.isQuiet ? palette.quietStripe : palette.stripe,
      background: palette.backgroundPixel,
      error: palette.errorPixel,
      muted: palette.mutedPixel,
    };
    const ticks = ticksOf(view.window.from, view.window.to, this.width);
    this.#ground(picture, view.window, palette);
    for (const tick of ticks) this.#column(this.#xOf(view.window, tick.t), palette);
    this.#labelCount = 0;
    const first = Math.max(0, lineAt(picture.lines, view.scrollTop));
    const bottom = view.scrollTop + this.height - AXIS;
    const { lines } = picture.lines;
    let last = first;
    for (; last < lines.length && (lines[last] as Line).y < bottom; last++)
      this.#line(picture, lines[last] as Line, view, palette, ink);
    this.#context.putImageData(this.#image, 0, 0);
    this.#context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    this.#drawLabels(picture, view, palette);
    for (let i = first; i < last; i++) {
      const line = lines[i] as Line;
      if (line.kind === "row") this.#marks(picture, line, view, palette);
    }
    this.#axis(ticks, view, palette);
  }

  #xOf(window: Window, t: number): number {
    return ((t - window.from) / (window.to - window.from)) * this.#raster.width;
  }

  /** The ground; what is before and after the run is shaded. */
  #ground({ timeline }: Picture, window: Window, palette: Palette): void {
    const { pixels, width, height } = this.#raster;
    pixels.fill(palette.backgroundPixel);
    const { duration_ns, running } = timeline.head;
    const begin = Math.round(Math.min(Math.max(this.#xOf(window, 0), 0), width));
    const end = running ? width : Math.round(Math.min(Math.max(this.#xOf(window, duration_ns), 0), width));
    if (begin > 0) fill(this.#raster, 0, begin, 0, height, palette.outsidePixel);
    if (end < width) fill(this.#raster, end, width, 0, height, palette.outsidePixel);
  }

  #column(x: number, palette: Palette): void {
    const at = Math.round(x);
    fill(
      this.#raster,
      at,
      at + Math.max(1, Math.floor(this.ratio)),
      0,
      this.#raster.height,
      palette.linePixel,
    );
  }

  #line(picture: Picture, line: Line, view: View, palette: Palette, ink: Ink): void {
    const { ratio } = this;
    const top = Math.round((AXIS + line.y - view.scrollTop) * ratio);
    const clip = Math.round(AXIS * ratio);
    const band = this.#band;
    band.clipTop = clip;
    if (line.kind === "process") {
      const y = Math.max(top, clip);
      fill(this.#raster, 0, this.#raster.width, y, y + Math.max(1, Math.floor(ratio)), palette.linePixel);
    }
    if (line.kind === "more") return;
    band.top = top + Math.round(line.band * ratio);
    band.height = Math.round(line.bandHeight * ratio);
    if (line.kind === "row") {
      this.#row(picture, line, view, palette, ink, top);
      return;
    }
    if (line.kind === "summary" || line.isFolded) this.#summary(picture, line, view, ink);
  }

  #row(picture: Picture, line: Line, view: View, palette: Palette, ink: Ink, top: number): void {
    const { ratio } = this;
    const { tracks, timeline } = picture;
    const { from, to } = view.window;
    const band = this.#band;
    const width = this.#raster.width;
    const phase = this.#phase(view.window);
    const pieces = this.#pieces;
    scan(tracks, lifeTrack(tracks, line.row), from, to, width, pieces);
    const bottom = band.top + band.height;
    for (let p = 0; p < pieces.count; p++) {
      const y = Math.max(band.top, band.clipTop);
      fill(this.#raster, pieces.x0[p] as number, pieces.x1[p] as number, y, bottom, palette.lifePixel);
    }
    scan(tracks, stateTrack(tracks, line.row), from, to, width, pieces);
    paint(this.#raster, band, pieces, tracks, timeline.blocks.state, ink, phase, ratio);
    this.#collect(line.y + line.band, line.bandHeight);
    for (let level = 0; level < line.levels; level++) {
      scan(tracks, spanTrack(tracks, line.row, level), from, to, width, pieces);
      const y = MEASURES.padding / 2 + level * MEASURES.level;
      band.top = top + Math.round(y * ratio);
      band.height = Math.round((MEASURES.level - 1) * ratio);
      paint(this.#raster, band, pieces, tracks, timeline.blocks.state, ink, phase, ratio);
      this.#collect(line.y + y, MEASURES.level - 1);
    }
  }

  #summary(picture: Picture, line: Line, view: View, ink: Ink): void {
    const { tracks } = picture;
    const { from, to } = view.window;
    const { width } = this.#raster;
    this.#total.fill(0);
    for (const row of line.rows) {
      scan(tracks, stateTrack(tracks, row), from, to, width, this.#pieces);
      addShares(tracks, this.#pieces, this.#total, 1 / line.rows.length);
    }
    paintShares(this.#raster, this.#band, this.#total, width, ink, this.#phase(view.window), this.ratio);
  }

  /** Stripes stand still on what they are drawn on while one pans. */
  #phase(window: Window): number {
    const pixels = Math.round((window.from / (window.to - window.from)) * this.#raster.width);
    const period = 8 * Math.max(1, Math.round(this.ratio));
    return (((pixels % period) + period) % period) + period;
  }

  #collect(y: number, height: number): void {
    const least = LABEL_WIDTH * this.ratio;
    const pieces = this.#pieces;
    for (let p = 0; p < pieces.count && this.#labelCount < MAX_LABELS; p++) {
      const at = pieces.at[p] as number;
      const x0 = pieces.x0[p] as number;
      const x1 = pieces.x1[p] as number;
      if (at === MIXED || x1 - x0 < least) continue;
      const base = this.#labelCount++ * 5;
      this.#labels[base] = at;
      this.#labels[base + 1] = x0;
      this.#labels[base + 2] = x1;
      this.#labels[base + 3] = y;
      this.#labels[base + 4] = height;
    }
  }

  #drawLabels(picture: Picture, view: View, palette: Palette): void {
    const context = this.#context;
    const measure = (text: string, font: string) => {
      context.font = font;
      return context.measureText(text).width;
    };
    this.#texts ??= new Texts(`11px ${palette.fontUi}`, measure);
    this.#small ??= new Texts(`10.5px ${palette.fontUi}`, measure);
    context.textBaseline = "middle";
    context.save();
    context.beginPath();
    context.rect(0, AXIS, this.width, this.height);
    context.clip();
    const inks = view.isQuiet ? palette.quietInk : palette.ink;
    const grounds = view.isQuiet ? palette.quietGround : palette.ground;
    for (let i = 0; i < this.#labelCount; i++) {
      const base = i * 5;
      const at = this.#labels[base] as number;
      const height = this.#labels[base + 4] as number;
      const texts = height < MEASURES.band ? this.#small : this.#texts;
      const x = (this.#labels[base + 1] as number) / this.ratio + 4;
      const room = (this.#labels[base + 2] as number) / this.ratio - x - 3;
      const text = texts.fit(blockLabel(picture, picture.tracks.block[at] as number), room);
      if (!text) continue;
      const y = AXIS + (this.#labels[base + 3] as number) - view.scrollTop;
      const k = picture.tracks.classOf[at] as number;
      const isStriped = palette.solid[k] !== palette.stripe[k];
      if (isStriped) {
        context.fillStyle = grounds[k] as string;
        context.fillRect(x - 2, y + 1, texts.width(text) + 4, height - 2);
      }
      context.font = texts.font;
      context.fillStyle = inks[k] as string;
      context.fillText(text, x, y + height / 2 + 1);
    }
    context.restore();
  }

  #marks(picture: Picture, line: Line, view: View, palette: Palette): void {
    const { marksOf, timeline } = picture;
    const low = marksOf.first[line.row] as number;
    const high = marksOf.first[line.row + 1] as number;
    if (low === high) return;
    const { from, to } = view.window;
    const perPixel = (to - from) / this.width;
    const y = AXIS + line.y + line.band - view.scrollTop;
    if (y < AXIS - 2) return;
    let at = firstNotBelow(marksOf.t, low, high, from - MARK_WIDTH * perPixel);
    while (at < high) {
      const t = marksOf.t[at] as number;
      if (t > to + MARK_WIDTH * perPixel) break;
      const next = firstNotBelow(marksOf.t, at, high, t + MARK_WIDTH * perPixel);
      let mark = marksOf.mark[at] as number;
      // Of several in one place the worst is drawn; few are looked at, they are of one place.
      for (let i = at + 1; i < Math.min(next, at + 50); i++) {
        const other = marksOf.mark[i] as number;
        if (weight(timeline.marks.kind[other]) > weight(timeline.marks.kind[mark])) mark = other;
      }
      const x = (t - from) / perPixel;
      const dropped = timeline.marks.count[mark] as number;
      drawMark(this.#context, timeline.marks.kind[mark] as number, x, y, dropped, palette);
      at = Math.max(next, at + 1);
    }
  }

  #axis(ticks: readonly { t: number; label: string }[], view: View, palette: Palette): void {
    const context = this.#context;
    context.fillStyle = palette.background;
    context.fillRect(0, 0, this.width, AXIS);
    context.fillStyle = palette.line;
    context.fillRect(0, AXIS - 1, this.width, 1);
    context.font = `11px ${palette.fontMono}`;
    context.textBaseline = "middle";
    const { from, to } = view.window;
    for (const tick of ticks) {
      const x = Math.round(((tick.t - from) / (to - from)) * this.width);
      context.fillStyle = palette.lineStrong;
      context.fillRect(x, AXIS - 7, 1, 7);
      context.fillStyle = palette.muted;
      context.fillText(tick.label, x + 4, AXIS / 2 - 1);
    }
  }
}
