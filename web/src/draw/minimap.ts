/** The whole run in one strip: how much ran when, where errors and gaps are, and which part is seen. */

import { MarkKind } from "../api/columns";
import type { Picture } from "./hit";
import type { ThreadStepOnRow } from "./overlay";
import type { Palette } from "./palette";
import { addShares, Pieces, scan } from "./scan";
import { CLASSES, Class, stateTrack } from "./tracks";
import { type Window, wholeOf } from "./window";

/** Where the pointer is on the strip. */
export type Grip = "left" | "right" | "inside" | "outside";
const GRIP = 6;

export class Minimap {
  #context: CanvasRenderingContext2D;
  #width = 0;
  #height = 0;
  #ratio = 1;
  #ground: HTMLCanvasElement | null = null;

  constructor(readonly canvas: HTMLCanvasElement) {
    const context = canvas.getContext("2d", { alpha: false });
    if (!context) throw new Error("this browser draws on no canvas");
    this.#context = context;
  }

  resize(width: number, height: number, ratio: number): void {
    this.#width = width;
    this.#height = height;
    this.#ratio = ratio;
    this.canvas.width = Math.max(1, Math.round(width * ratio));
    this.canvas.height = Math.max(1, Math.round(height * ratio));
    this.#ground = null;
  }

  /** Draws what does not move anew with the next frame: there are other blocks or colours. */
  forget(): void {
    this.#ground = null;
  }

  timeAt(picture: Picture, x: number): number {
    const whole = wholeOfPicture(picture);
    return whole.from + (x / Math.max(this.#width, 1)) * (whole.to - whole.from);
  }

  grip(picture: Picture, window: Window, x: number): Grip {
    const [x0, x1] = this.#edges(picture, window);
    if (Math.abs(x - x0) <= GRIP && x < (x0 + x1) / 2) return "left";
    if (Math.abs(x - x1) <= GRIP) return "right";
    return x > x0 && x < x1 ? "inside" : "outside";
  }

  paint(picture: Picture, window: Window, thread: readonly ThreadStepOnRow[], palette: Palette): void {
    this.#ground ??= this.#drawGround(picture, palette);
    const context = this.#context;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(this.#ground, 0, 0);
    context.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
    const [x0, x1] = this.#edges(picture, window);
    context.globalAlpha = 0.72;
    context.fillStyle = palette.outside;
    context.fillRect(0, 0, x0, this.#height);
    context.fillRect(x1, 0, this.#width - x1, this.#height);
    context.globalAlpha = 1;
    context.fillStyle = palette.thread;
    for (const step of thread)
      context.fillRect(Math.round(this.#xOf(picture, step.t)) - 1, 0, 2, this.#height);
    context.strokeStyle = palette.muted;
    context.lineWidth = 1;
    context.strokeRect(x0 + 0.5, 0.5, Math.max(x1 - x0 - 1, 1), this.#height - 1);
    context.fillStyle = palette.muted;
    context.fillRect(x0 - 1, this.#height / 2 - 6, 3, 12);
    context.fillRect(x1 - 2, this.#height / 2 - 6, 3, 12);
  }

  #xOf(picture: Picture, t: number): number {
    const whole = wholeOfPicture(picture);
    return ((t - whole.from) / (whole.to - whole.from)) * this.#width;
  }

  /** The window on the strip; never too narrow to be taken. */
  #edges(picture: Picture, window: Window): [number, number] {
    const x0 = this.#xOf(picture, window.from);
    const x1 = this.#xOf(picture, window.to);
    const least = 4;
    const middle = (x0 + x1) / 2;
    return x1 - x0 >= least ? [x0, x1] : [middle - least / 2, middle + least / 2];
  }

  #drawGround(picture: Picture, palette: Palette): HTMLCanvasElement {
    const ground = document.createElement("canvas");
    ground.width = this.canvas.width;
    ground.height = this.canvas.height;
    const context = ground.getContext("2d", { alpha: false });
    if (!context) return ground;
    context.fillStyle = palette.background;
    context.fillRect(0, 0, ground.width, ground.height);
    const total = totals(picture, ground.width);
    this.#bars(context, total, ground, palette);
    const { marks } = picture.timeline;
    for (let i = 0; i < marks.size; i++) {
      const kind = marks.kind[i] as number;
      if (kind > MarkKind.dropped) continue;
      context.fillStyle = kind === MarkKind.dropped ? palette.holding : palette.error;
      const x = Math.round(this.#xOf(picture, marks.t[i] as number) * this.#ratio);
      context.fillRect(x - 1, 0, 2, Math.round(5 * this.#ratio));
    }
    return ground;
  }

  #bars(
    context: CanvasRenderingContext2D,
    total: Float32Array,
    ground: HTMLCanvasElement,
    palette: Palette,
  ): void {
    let most = 0;
    const sumAt = (x: number, k: number) =>
      (total[x * CLASSES + k] as number) + (total[x * CLASSES + k + 1] as number);
    for (let x = 0; x < ground.width; x++)
      most = Math.max(most, sumAt(x, Class.running) + sumAt(x, Class.ready));
    const room = ground.height - Math.round(6 * this.#ratio);
    // Colours as they are on the rows: what ran, and on top of it what could have.
    for (const k of [Class.running, Class.ready]) {
      context.fillStyle = k === Class.running ? palette.running : palette.ready;
      for (let x = 0; x < ground.width; x++) {
        const below = k === Class.ready ? sumAt(x, Class.running) : 0;
        const part = sumAt(x, k);
        if (part <= 0 || most <= 0) continue;
        const base = Math.round((below / most) * room);
        const height = Math.max(1, Math.round((part / most) * room));
        context.fillRect(x, ground.height - base - height, 1, height);
      }
    }
  }
}

function totals(picture: Picture, width: number): Float32Array {
  const whole = wholeOfPicture(picture);
  const total = new Float32Array(width * CLASSES);
  const pieces = new Pieces(width + 1);
  for (let row = 0; row < picture.timeline.head.rows; row++) {
    scan(picture.tracks, stateTrack(picture.tracks, row), whole.from, whole.to, width, pieces);
    addShares(picture.tracks, pieces, total, 1);
  }
  return total;
}

export const wholeOfPicture = ({ timeline }: Picture): Window =>
  wholeOf(timeline.head.from_ns, Math.max(timeline.head.to_ns, timeline.head.duration_ns));
