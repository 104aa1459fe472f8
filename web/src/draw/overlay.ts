/** What lies over the picture: the thread, what is selected and pointed at, who woke it, the time at the pointer. */

import { BlockKind, BlockState } from "../api/columns";
import { exactMoment } from "../base/time";
import type { Picture } from "./hit";
import { type Line, MEASURES } from "./lines";
import type { Palette } from "./palette";
import { AXIS, type View } from "./scene";
import { type Corner, corners, type ThreadPoint, trace } from "./thread_line";

export interface ThreadStepOnRow {
  readonly t: number;
  readonly until: number;
  readonly row: number;
  /** The block it lies in; -1 if it is not known. */
  readonly block: number;
  /** Where no row is known: the process. */
  readonly process: number;
  readonly isSelected: boolean;
}

export interface Over {
  /** Blocks; -1 for none. */
  selected: number;
  hovered: number;
  /** Where the keyboard is. */
  focused: number;
  /** Time at the pointer; NaN for none. */
  pointer: number;
  /** What is being marked to zoom into. */
  range: { readonly from: number; readonly to: number } | null;
  thread: readonly ThreadStepOnRow[];
}

export class Overlay {
  #context: CanvasRenderingContext2D;
  #width = 0;
  #height = 0;
  #ratio = 1;

  constructor(readonly canvas: HTMLCanvasElement) {
    const context = canvas.getContext("2d");
    if (!context) throw new Error("this browser draws on no canvas");
    this.#context = context;
  }

  resize(width: number, height: number, ratio: number): void {
    this.#width = width;
    this.#height = height;
    this.#ratio = ratio;
    this.canvas.width = Math.max(1, Math.round(width * ratio));
    this.canvas.height = Math.max(1, Math.round(height * ratio));
  }

  paint(picture: Picture, view: View, over: Over, palette: Palette): void {
    const context = this.#context;
    context.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
    context.clearRect(0, 0, this.#width, this.#height);
    context.save();
    context.beginPath();
    context.rect(0, AXIS, this.#width, this.#height);
    context.clip();
    if (over.hovered >= 0) this.#outline(picture, view, over.hovered, palette.text, 1, false);
    if (over.hovered >= 0) this.#wake(picture, view, over.hovered, palette);
    if (over.selected >= 0)
      this.#outline(
        picture,
        view,
        over.selected,
        over.thread.length ? palette.thread : palette.text,
        2,
        false,
      );
    if (over.focused >= 0 && over.focused !== over.selected)
      this.#outline(picture, view, over.focused, palette.accent, 2, true);
    this.#thread(picture, view, over, palette);
    context.restore();
    if (over.range) this.#range(view, over.range, palette);
    else if (!Number.isNaN(over.pointer)) this.#pointer(view, over.pointer, palette);
  }

  #xOf(view: View, t: number): number {
    const { from, to } = view.window;
    return Math.min(Math.max(((t - from) / (to - from)) * this.#width, -64), this.#width + 64);
  }

  #outline(
    picture: Picture,
    view: View,
    block: number,
    colour: string,
    thickness: number,
    isBroken: boolean,
  ): void {
    const box = boxOf(picture, block);
    const context = this.#context;
    const { blocks } = picture.timeline;
    const x0 = this.#xOf(view, blocks.start[block] as number);
    const x1 = Math.max(this.#xOf(view, blocks.end[block] as number), x0 + 2);
    const y = AXIS + box.y - view.scrollTop;
    context.setLineDash(isBroken ? [4, 3] : []);
    context.lineWidth = thickness;
    context.strokeStyle = colour;
    const by = thickness / 2;
    context.strokeRect(x0 - by, y - by, x1 - x0 + 2 * by, box.height + 2 * by);
    context.setLineDash([]);
  }

  /** The arrow from what enabled a block to the moment it did. */
  #wake(picture: Picture, view: View, block: number, palette: Palette): void {
    const { blocks } = picture.timeline;
    const waker = blocks.waker[block] as number;
    if (waker < 0) return;
    const isWait = blocks.kind[block] === BlockKind.wait;
    const at = isWait ? (blocks.end[block] as number) : (blocks.start[block] as number);
    const from = boxOf(picture, waker);
    const to = boxOf(picture, block);
    const x0 = this.#xOf(view, Math.min(blocks.end[waker] as number, at));
    const x1 = this.#xOf(view, at);
    const y0 = AXIS + from.y + from.height / 2 - view.scrollTop;
    const y1 = AXIS + to.y + to.height / 2 - view.scrollTop;
    this.#outline(picture, view, waker, palette.muted, 1, true);
    const isInferred = ((blocks.state[block] as number) & BlockState.inferred) !== 0;
    arrow(this.#context, x0, y0, x1, y1, palette, isInferred);
  }

  #thread(picture: Picture, view: View, over: Over, palette: Palette): void {
    if (!over.thread.length) return;
    const context = this.#context;
    const points = pointsOf(picture, view, over.thread);
    const line = corners(points, view.window.from, view.window.to, this.#width);
    stroke(context, line, 6, palette.background);
    stroke(context, line, 2.5, palette.thread);
    let lastX = Number.NEGATIVE_INFINITY;
    let lastY = 0;
    points.forEach((point, i) => {
      const x = this.#xOf(view, point.t);
      const isSelected = over.thread[i]?.isSelected ?? false;
      const isEnd = i === 0 || i === points.length - 1;
      if (x < -8 || x > this.#width + 8) return;
      // Nodes that would hide one another are one, unless it is an end or the selected one.
      if (!isSelected && !isEnd && Math.abs(x - lastX) < 7 && Math.abs(point.y - lastY) < 7) return;
      node(context, x, point.y, isSelected ? 5.5 : i === 0 ? 4.5 : 3.5, isSelected || i === 0, palette);
      lastX = x;
      lastY = point.y;
    });
  }

  #range(view: View, range: { from: number; to: number }, palette: Palette): void {
    const context = this.#context;
    const x0 = this.#xOf(view, Math.min(range.from, range.to));
    const x1 = this.#xOf(view, Math.max(range.from, range.to));
    context.globalAlpha = 0.14;
    context.fillStyle = palette.accent;
    context.fillRect(x0, AXIS, x1 - x0, this.#height);
    context.globalAlpha = 1;
    context.fillRect(x0, 0, 1, this.#height);
    context.fillRect(x1 - 1, 0, 1, this.#height);
  }

  #pointer(view: View, t: number, palette: Palette): void {
    const context = this.#context;
    const x = Math.round(this.#xOf(view, t));
    context.globalAlpha = 0.5;
    context.fillStyle = palette.muted;
    context.fillRect(x, AXIS, 1, this.#height);
    context.globalAlpha = 1;
    const text = exactMoment(t);
    context.font = `11px ${palette.fontMono}`;
    const width = context.measureText(text).width + 10;
    const left = Math.min(Math.max(x - width / 2, 0), Math.max(this.#width - width, 0));
    context.fillStyle = palette.text;
    context.fillRect(left, 2, width, AXIS - 5);
    context.fillStyle = palette.background;
    context.textBaseline = "middle";
    context.fillText(text, left + 5, AXIS / 2);
  }
}

/** Where a block is, in pixels from the top of the picture. */
export function boxOf(picture: Picture, block: number): { readonly y: number; readonly height: number } {
  const { blocks } = picture.timeline;
  const line = picture.lines.lines[picture.lines.lineOfRow[blocks.row[block] as number] as number] as
    | Line
    | undefined;
  if (!line) return { y: 0, height: 0 };
  const isSpan = blocks.kind[block] === BlockKind.span && line.kind === "row";
  if (!isSpan) return { y: line.y + line.band, height: line.bandHeight };
  const level = levelOfBlock(picture, block, line);
  return { y: line.y + MEASURES.padding / 2 + level * MEASURES.level, height: MEASURES.level - 1 };
}

function levelOfBlock({ tracks }: Picture, block: number, line: Line): number {
  const at = tracks.positionOf[block] as number;
  const first = (tracks.firstTrack[line.row] as number) + 2;
  for (let level = 0; level < line.levels; level++)
    if (at < (tracks.first[first + level + 1] as number)) return level;
  return 0;
}

/** The steps of a thread as points; what is folded away stands where it is folded into. */
function pointsOf(picture: Picture, view: View, steps: readonly ThreadStepOnRow[]): ThreadPoint[] {
  return steps.map((step) => {
    const line = lineOfStep(picture, step);
    // Along the lower edge: through the middle it would strike the labels out.
    const y = line ? line.y + line.band + line.bandHeight : 0;
    return { t: step.t, until: step.until, y: AXIS + y - view.scrollTop };
  });
}

export function lineOfStep({ lines }: Picture, step: ThreadStepOnRow): Line | undefined {
  const at = step.row >= 0 ? (lines.lineOfRow[step.row] ?? -1) : -1;
  return lines.lines[at] ?? lines.lines.find((one) => one.kind === "process" && one.process === step.process);
}

function stroke(
  context: CanvasRenderingContext2D,
  line: readonly Corner[],
  thickness: number,
  colour: string,
): void {
  context.beginPath();
  trace(context, line, 6);
  context.lineWidth = thickness;
  context.lineJoin = "round";
  context.lineCap = "round";
  context.strokeStyle = colour;
  context.stroke();
}

function node(
  context: CanvasRenderingContext2D,
  x: number,
  y: number,
  radius: number,
  isFull: boolean,
  palette: Palette,
): void {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = isFull ? palette.thread : palette.background;
  context.fill();
  context.lineWidth = 2;
  context.strokeStyle = isFull ? palette.background : palette.thread;
  context.stroke();
}

function arrow(
  context: CanvasRenderingContext2D,
  x0: number,
  y0: number,
  x1: number,
  y1: number,
  palette: Palette,
  isInferred: boolean,
): void {
  const sag = Math.max(12, Math.min(48, Math.abs(x1 - x0) / 2));
  const draw = (thickness: number, colour: string) => {
    context.beginPath();
    context.moveTo(x0, y0);
    context.bezierCurveTo(x0 + sag, y0, x1 - sag, y1, x1 - 5, y1);
    context.lineWidth = thickness;
    context.strokeStyle = colour;
    context.setLineDash(isInferred ? [4, 3] : []);
    context.stroke();
    context.setLineDash([]);
  };
  draw(4, palette.background);
  draw(1.5, palette.text);
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x1 - 7, y1 - 4);
  context.lineTo(x1 - 7, y1 + 4);
  context.closePath();
  context.fillStyle = palette.text;
  context.fill();
}
