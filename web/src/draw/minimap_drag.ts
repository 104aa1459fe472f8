/** What one does to the strip with the whole run: takes the window or one of its ends, or turns the wheel. */

import { turnFactor } from "./gestures";
import type { Picture } from "./hit";
import type { Grip, Minimap } from "./minimap";
import type { Window } from "./window";

export interface Moved {
  readonly picture: () => Picture | null;
  readonly window: () => Window;
  /** Shows a part of the run, or as much of it as there is. */
  readonly setWindow: (window: Window) => void;
}

const CURSORS: Readonly<Record<Grip, string>> = {
  left: "ew-resize",
  right: "ew-resize",
  inside: "grab",
  outside: "pointer",
};
/** How near the ends of the window can be moved to one another, in ns. */
const LEAST_NS = 100;

/** The window after one of its parts was moved from a time to another. */
export function dragged({ from, to }: Window, grip: Grip, last: number, t: number): Window {
  if (grip === "left") return { from: Math.min(t, to - LEAST_NS), to };
  if (grip === "right") return { from, to: Math.max(t, from + LEAST_NS) };
  return { from: from + t - last, to: to + t - last };
}

/** Listens to the strip until the returned function is called. */
export function dragMinimap(canvas: HTMLCanvasElement, minimap: Minimap, moved: Moved): () => void {
  const stop = new AbortController();
  const { signal } = stop;
  let grip: Grip | null = null;
  let last = 0;
  const xOf = (event: MouseEvent) => event.clientX - canvas.getBoundingClientRect().left;
  const down = (event: PointerEvent) => {
    const picture = moved.picture();
    if (!picture || event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    grip = minimap.grip(picture, moved.window(), xOf(event));
    last = minimap.timeAt(picture, xOf(event));
    if (grip !== "outside") return;
    // Beside the window: it comes to the pointer, and goes along with it.
    const { from, to } = moved.window();
    moved.setWindow(dragged({ from, to }, "inside", (from + to) / 2, last));
    grip = "inside";
  };
  const move = (event: PointerEvent) => {
    const picture = moved.picture();
    if (!picture) return;
    if (!grip) {
      canvas.style.cursor = CURSORS[minimap.grip(picture, moved.window(), xOf(event))];
      return;
    }
    const t = minimap.timeAt(picture, xOf(event));
    moved.setWindow(dragged(moved.window(), grip, last, t));
    last = t;
  };
  const up = () => {
    grip = null;
  };
  const wheel = (event: WheelEvent) => {
    event.preventDefault();
    const { from, to } = moved.window();
    const middle = (from + to) / 2;
    const half = ((to - from) / 2) * turnFactor(event.deltaY);
    moved.setWindow({ from: middle - half, to: middle + half });
  };
  canvas.addEventListener("pointerdown", down, { signal });
  canvas.addEventListener("pointermove", move, { signal });
  canvas.addEventListener("lostpointercapture", up, { signal });
  canvas.addEventListener("wheel", wheel, { passive: false, signal });
  return () => stop.abort();
}
