/** Moments: each kind has a shape of its own. */

import { MarkKind } from "../api/columns";
import { short } from "../base/format";
import type { Palette } from "./palette";

/** What of a canvas marks need. */
type Context = Pick<
  CanvasRenderingContext2D,
  | "beginPath"
  | "moveTo"
  | "lineTo"
  | "closePath"
  | "fill"
  | "stroke"
  | "fillRect"
  | "fillText"
  | "measureText"
  | "arc"
> & { fillStyle: unknown; strokeStyle: unknown; lineWidth: number; font: string; textBaseline: string };

/** Which of several marks in one place is drawn. */
export function weight(kind: number | undefined): number {
  return [0, 4, 5, 3, 1, 2][kind ?? 0] ?? 0;
}

/** Draws a mark at a time; `y` is the top of its row's band. */
export function drawMark(
  context: Context,
  kind: number,
  x: number,
  y: number,
  dropped: number,
  palette: Palette,
): void {
  switch (kind) {
    case MarkKind.error:
    case MarkKind.unhandled:
      cross(context, x, y + 7, kind === MarkKind.unhandled, palette);
      return;
    case MarkKind.dropped:
      gap(context, x, y, dropped, palette);
      return;
    case MarkKind.log:
      context.fillStyle = palette.background;
      context.fillRect(x - 1.5, y, 3, 6);
      context.fillStyle = palette.text;
      context.fillRect(x - 0.5, y, 1, 5);
      return;
    default:
      diamond(context, x, y + 3, palette);
  }
}

/** A cross on a disc of the ground; of an unhandled error on a disc of its colour. */
function cross(context: Context, x: number, y: number, isUnhandled: boolean, palette: Palette): void {
  context.beginPath();
  context.arc(x, y, 6, 0, 2 * Math.PI);
  context.fillStyle = isUnhandled ? palette.error : palette.background;
  context.fill();
  context.strokeStyle = palette.error;
  context.lineWidth = 1;
  context.stroke();
  context.beginPath();
  context.moveTo(x - 2.5, y - 2.5);
  context.lineTo(x + 2.5, y + 2.5);
  context.moveTo(x + 2.5, y - 2.5);
  context.lineTo(x - 2.5, y + 2.5);
  context.lineWidth = 1.75;
  context.strokeStyle = isUnhandled ? palette.background : palette.error;
  context.stroke();
}

/** A torn line and how many events are missing. */
function gap(context: Context, x: number, y: number, dropped: number, palette: Palette): void {
  context.beginPath();
  for (let i = 0; i <= 4; i++) {
    const at = y - 1 + i * 4;
    if (i) context.lineTo(x + (i % 2 ? 3 : -3), at);
    else context.moveTo(x - 3, at);
  }
  context.lineWidth = 4;
  context.strokeStyle = palette.background;
  context.stroke();
  context.lineWidth = 1.5;
  context.strokeStyle = palette.holding;
  context.stroke();
  const text = `${short(dropped)} dropped`;
  context.font = `10px ${palette.fontUi}`;
  context.fillStyle = palette.background;
  context.fillRect(x + 5, y + 1, context.measureText(text).width + 4, 12);
  context.fillStyle = palette.text;
  context.textBaseline = "middle";
  context.fillText(text, x + 7, y + 7.5);
}

function diamond(context: Context, x: number, y: number, palette: Palette): void {
  context.beginPath();
  context.moveTo(x, y - 4);
  context.lineTo(x + 4, y);
  context.lineTo(x, y + 4);
  context.lineTo(x - 4, y);
  context.closePath();
  context.fillStyle = palette.background;
  context.fill();
  context.strokeStyle = palette.text;
  context.lineWidth = 1.25;
  context.stroke();
}
