/** Turns wheel, mouse, pen and fingers into what is meant. Positions in pixels of the element. */

export interface Intents {
  /** Moves what is seen, in pixels. */
  pan(dx: number, dy: number): void;
  /** Zooms around a place; below 1 shows less. */
  zoom(factor: number, x: number): void;
  hover(x: number, y: number): void;
  leave(): void;
  click(x: number, y: number): void;
  doubleClick(x: number, y: number): void;
  /** Marks a range with shift and drag; `isDone` when the button is released. */
  range(x0: number, x1: number, isDone: boolean): void;
}

/** Pixels one may move and still click. */
const STILL = 4;
const DOUBLE_MS = 320;
/** A notch of a wheel is 100 pixels, and zooms by a quarter; a pinch on a touchpad sends far less at a time. */
const PER_NOTCH = 0.0025;
const PER_PINCH = 0.012;
const LEAST_NOTCH = 40;
const MOST_TURN = 200;
const LINE = 16;

interface Down {
  x: number;
  y: number;
  readonly startX: number;
  readonly startY: number;
  hasMoved: boolean;
}

/** Listens to an element until the returned function is called. */
export function listen(element: HTMLElement, intents: Intents): () => void {
  const stop = new AbortController();
  const { signal } = stop;
  const downs = new Map<number, Down>();
  let isRange = false;
  let lastClick = { time: 0, x: 0, y: 0 };
  const place = (event: MouseEvent) => {
    const box = element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };

  element.addEventListener("wheel", (event) => wheel(event, place(event).x, intents), {
    passive: false,
    signal,
  });

  element.addEventListener(
    "pointerdown",
    (event) => {
      if (event.button !== 0) return;
      const { x, y } = place(event);
      element.setPointerCapture(event.pointerId);
      downs.set(event.pointerId, { x, y, startX: x, startY: y, hasMoved: false });
      isRange = event.shiftKey && downs.size === 1;
    },
    { signal },
  );

  element.addEventListener(
    "pointermove",
    (event) => {
      const { x, y } = place(event);
      const down = downs.get(event.pointerId);
      if (!down) {
        if (event.pointerType !== "touch") intents.hover(x, y);
        return;
      }
      if (Math.hypot(x - down.startX, y - down.startY) > STILL) down.hasMoved = true;
      if (downs.size > 1) pinch(downs, event.pointerId, x, y, intents);
      else if (isRange) intents.range(down.startX, x, false);
      else if (down.hasMoved) intents.pan(x - down.x, y - down.y);
      down.x = x;
      down.y = y;
    },
    { signal },
  );

  const up = (event: PointerEvent) => {
    const down = downs.get(event.pointerId);
    if (!downs.delete(event.pointerId) || !down) return;
    if (isRange && down.hasMoved) intents.range(down.startX, down.x, true);
    else if (!down.hasMoved && event.type === "pointerup" && !downs.size) clicked(down, event.timeStamp);
    // Who lifts one of two fingers has not clicked with the other.
    for (const other of downs.values()) other.hasMoved = true;
    isRange = false;
  };
  const clicked = (down: Down, time: number) => {
    const isDouble =
      time - lastClick.time < DOUBLE_MS && Math.hypot(down.x - lastClick.x, down.y - lastClick.y) < 2 * STILL;
    lastClick = { time: isDouble ? 0 : time, x: down.x, y: down.y };
    if (isDouble) intents.doubleClick(down.x, down.y);
    else intents.click(down.x, down.y);
  };
  element.addEventListener("pointerup", up, { signal });
  element.addEventListener("pointercancel", up, { signal });
  element.addEventListener("pointerleave", () => intents.leave(), { signal });
  return () => stop.abort();
}

/** What a turn of the wheel means; a plain one is left to the element that scrolls. */
export function wheel(
  event: Pick<
    WheelEvent,
    "deltaX" | "deltaY" | "deltaMode" | "ctrlKey" | "metaKey" | "shiftKey" | "preventDefault"
  >,
  x: number,
  intents: Pick<Intents, "pan" | "zoom">,
): void {
  const unit = event.deltaMode === 1 ? LINE : event.deltaMode === 2 ? 400 : 1;
  const deltaX = event.deltaX * unit;
  const deltaY = event.deltaY * unit;
  if (event.ctrlKey || event.metaKey) {
    event.preventDefault();
    intents.zoom(turnFactor(deltaY), x);
  } else if (event.shiftKey || Math.abs(deltaX) > Math.abs(deltaY)) {
    event.preventDefault();
    intents.pan(-(event.shiftKey && deltaX === 0 ? deltaY : deltaX), 0);
  }
}

/** How far a turn of the wheel zooms; a pinch on a touchpad comes as many small turns. */
export function turnFactor(deltaY: number): number {
  const turn = Math.min(Math.max(deltaY, -MOST_TURN), MOST_TURN);
  return Math.exp(turn * (Math.abs(deltaY) < LEAST_NOTCH ? PER_PINCH : PER_NOTCH));
}

function pinch(downs: Map<number, Down>, id: number, x: number, y: number, intents: Intents): void {
  const one = downs.get(id);
  const other = [...downs.entries()].find(([key]) => key !== id)?.[1];
  if (!one || !other) return;
  const before = Math.max(Math.abs(one.x - other.x), 16);
  const now = Math.max(Math.abs(x - other.x), 16);
  const middle = (x + other.x) / 2;
  intents.pan(middle - (one.x + other.x) / 2, (y - one.y) / 2);
  if (now !== before) intents.zoom(before / now, middle);
}
