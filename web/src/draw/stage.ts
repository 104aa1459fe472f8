/**
 * The picture on the page: holds what is seen, takes input, and paints at most once a frame. It knows nothing
 * of React; what it must tell goes through `Listeners`.
 */

import { listen } from "./gestures";
import { type Hit, hitAt, type Picture } from "./hit";
import { type Line, lineAt } from "./lines";
import { Minimap, wholeOfPicture } from "./minimap";
import { dragMinimap } from "./minimap_drag";
import { lineOfStep, type Over, Overlay, type ThreadStepOnRow } from "./overlay";
import { type Palette, paletteOf } from "./palette";
import { AXIS, Scene } from "./scene";
import { around, clamp, isSame, pan, type Window, zoomAt } from "./window";

export interface Parts {
  readonly scroller: HTMLElement;
  readonly scene: HTMLCanvasElement;
  readonly overlay: HTMLCanvasElement;
  readonly minimap: HTMLCanvasElement;
  /** The names: moved along with the lines. */
  readonly names: HTMLElement;
}

export interface Listeners {
  /** What is seen has changed; null: everything. */
  readonly onWindow: (window: Window | null) => void;
  readonly onHover: (hit: Hit | null, x: number, y: number) => void;
  readonly onSelect: (hit: Hit | null) => void;
  /** Other lines are seen, or what is seen stands still again: first and last line. */
  readonly onLines: (first: number, last: number) => void;
  /** How many steps of the thread are above and below what is seen. */
  readonly onBeyond: (above: number, below: number) => void;
}

const MOTION_MS = 130;
/** What one key press moves: a share of the window. */
const PAN_SHARE = 0.15;
const ZOOM_STEP = 0.6;

export class Stage {
  #picture: Picture | null = null;
  #window: Window | null = null;
  #palette: Palette;
  #scene: Scene;
  #overlay: Overlay;
  #minimap: Minimap;
  #over: Over = { selected: -1, hovered: -1, focused: -1, pointer: Number.NaN, range: null, thread: [] };
  #frame = 0;
  #isSceneOld = true;
  #motion: { from: Window; to: Window; begun: number } | null = null;
  #stops: (() => void)[] = [];
  #lines = "";
  #beyond = "";
  #pointerAt: { x: number; y: number } | null = null;

  constructor(
    readonly parts: Parts,
    readonly listeners: Listeners,
  ) {
    this.#scene = new Scene(parts.scene);
    this.#overlay = new Overlay(parts.overlay);
    this.#minimap = new Minimap(parts.minimap);
    this.#palette = readPalette(parts.scene);
    this.#listen();
  }

  dispose(): void {
    cancelAnimationFrame(this.#frame);
    for (const stop of this.#stops) stop();
  }

  /** How much there is to see. */
  get whole(): Window {
    return this.#picture ? wholeOfPicture(this.#picture) : { from: 0, to: 1 };
  }

  get window(): Window {
    return this.#window ?? this.whole;
  }

  get focused(): number {
    return this.#over.focused;
  }

  /** Shows other blocks or lines; what is seen stays. */
  setPicture(picture: Picture): void {
    if (picture.tracks !== this.#picture?.tracks) this.#minimap.forget();
    this.#picture = picture;
    if (this.#window) this.#window = clamp(this.#window, this.whole);
    this.#over.hovered = -1;
    this.#invalidate();
  }

  /** The classes of the blocks have changed: a filter dims them. */
  repaint(): void {
    this.#minimap.forget();
    this.#invalidate();
  }

  restyle(): void {
    this.#palette = readPalette(this.parts.scene);
    this.#scene.restyle();
    this.#minimap.forget();
    this.#invalidate();
  }

  setSelected(block: number): void {
    this.#over.selected = block;
    this.#request();
  }

  setFocused(block: number): void {
    this.#over.focused = block;
    this.#request();
  }

  setThread(thread: readonly ThreadStepOnRow[]): void {
    const wasQuiet = this.#over.thread.length > 0;
    this.#over.thread = thread;
    if (wasQuiet !== thread.length > 0) this.#isSceneOld = true;
    this.#request();
  }

  /** Goes to a part of the time axis; null: to everything. */
  show(window: Window | null, isMoving = true): void {
    if (!this.#picture) {
      // What there is to see is not known yet: `setPicture` brings it into bounds.
      this.#window = window;
      return;
    }
    const target = window ? clamp(window, this.whole) : this.whole;
    const isStill = !isMoving || matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (isStill) {
      this.#motion = null;
      this.#setWindow(target);
      return;
    }
    this.#motion = { from: this.window, to: target, begun: performance.now() };
    this.#request();
  }

  fitBlock(block: number): void {
    const blocks = this.#picture?.timeline.blocks;
    if (!blocks) return;
    this.show(around(blocks.start[block] as number, blocks.end[block] as number, this.whole));
  }

  fit(): void {
    this.show(null);
  }

  panBy(share: number): void {
    const { from, to } = this.#motion?.to ?? this.window;
    this.show(pan({ from, to }, (to - from) * share * PAN_SHARE, this.whole));
  }

  zoomBy(steps: number): void {
    const now = this.#motion?.to ?? this.window;
    const at = this.#zoomCentre(now);
    this.show(zoomAt(now, steps > 0 ? ZOOM_STEP : 1 / ZOOM_STEP, at, this.whole));
  }

  /** Brings something on a row into view, and moves no more than it must. */
  reveal({ row, from: start, to: end }: { row: number; from: number; to: number }): void {
    const picture = this.#picture;
    const line = picture?.lines.lines[picture.lines.lineOfRow[row] ?? -1];
    if (!picture || !line) return;
    this.#revealHeight(line.y, line.height);
    const { from, to } = this.#motion?.to ?? this.window;
    if (end >= from && start <= to) return;
    const middle = end - start > to - from ? start : (start + end) / 2;
    this.show(pan({ from, to }, middle - (from + to) / 2, this.whole));
  }

  /** Scrolls to the next step of the thread above or below what is seen. */
  scrollToThread(direction: 1 | -1): void {
    const picture = this.#picture;
    if (!picture) return;
    const { scroller } = this.parts;
    const bottom = scroller.scrollTop + this.#scene.height - AXIS;
    const lines = this.#over.thread.flatMap((step) => lineOfStep(picture, step) ?? []);
    const beyond = lines.filter((one) =>
      direction < 0 ? one.y < scroller.scrollTop : one.y + one.height > bottom,
    );
    const nearest = beyond.sort((a, b) => (direction < 0 ? b.y - a.y : a.y - b.y))[0];
    if (nearest) scroller.scrollTop = nearest.y - (this.#scene.height - AXIS) / 2;
  }

  #revealHeight(y: number, height: number): void {
    const { scroller } = this.parts;
    const room = this.#scene.height - AXIS;
    if (y < scroller.scrollTop || y + height > scroller.scrollTop + room)
      scroller.scrollTop = Math.max(0, y - room / 3);
  }

  #zoomCentre({ from, to }: Window): number {
    const { blocks } = this.#picture?.timeline ?? {};
    const block = this.#over.focused >= 0 ? this.#over.focused : this.#over.selected;
    if (blocks && block >= 0) {
      const middle = ((blocks.start[block] as number) + (blocks.end[block] as number)) / 2;
      if (middle > from && middle < to) return middle;
    }
    const pointer = this.#over.pointer;
    return pointer > from && pointer < to ? pointer : (from + to) / 2;
  }

  #setWindow(window: Window): void {
    if (isSame(window, this.window)) return;
    const { from, to } = this.whole;
    // Who sees everything sees what comes later too.
    this.#window = window.from <= from && window.to >= to ? null : window;
    this.#isSceneOld = true;
    this.#request();
    this.listeners.onWindow(this.#window);
  }

  #invalidate(): void {
    this.#isSceneOld = true;
    this.#lines = "";
    this.#request();
  }

  #request(): void {
    if (!this.#frame) this.#frame = requestAnimationFrame((now) => this.#paint(now));
  }

  #paint(now: number): void {
    this.#frame = 0;
    const picture = this.#picture;
    if (!picture || !this.#scene.width) return;
    if (this.#motion) this.#move(now);
    const scrollTop = Math.round(this.parts.scroller.scrollTop);
    const view = { window: this.window, scrollTop, isQuiet: this.#over.thread.length > 0 };
    if (this.#isSceneOld) {
      this.#scene.paint(picture, view, this.#palette);
      this.#minimap.paint(picture, view.window, this.#over.thread, this.#palette);
      this.parts.names.style.transform = `translateY(${-scrollTop}px)`;
      this.#isSceneOld = false;
      this.#tell(picture, scrollTop);
    }
    this.#overlay.paint(picture, view, this.#over, this.#palette);
    this.#tellBeyond(picture, scrollTop);
  }

  #move(now: number): void {
    const motion = this.#motion;
    if (!motion) return;
    const share = Math.min(Math.max((now - motion.begun) / MOTION_MS, 0), 1);
    const eased = 1 - (1 - share) ** 3;
    const between = (a: number, b: number) => a + (b - a) * eased;
    if (share >= 1) this.#motion = null;
    this.#setWindow(
      share >= 1
        ? motion.to
        : { from: between(motion.from.from, motion.to.from), to: between(motion.from.to, motion.to.to) },
    );
    if (this.#motion) this.#request();
  }

  #tell(picture: Picture, scrollTop: number): void {
    const first = Math.max(0, lineAt(picture.lines, scrollTop));
    const bottom = Math.min(scrollTop + this.#scene.height - AXIS, picture.lines.height - 1);
    const last = lineAt(picture.lines, bottom);
    const lines = `${first} ${last} ${picture.lines.lines.length}`;
    if (lines === this.#lines) return;
    this.#lines = lines;
    this.listeners.onLines(first, last);
  }

  #tellBeyond(picture: Picture, scrollTop: number): void {
    let above = 0;
    let below = 0;
    const bottom = scrollTop + this.#scene.height - AXIS;
    for (const step of this.#over.thread) {
      const line = lineOfStep(picture, step);
      if (line && line.y + line.height / 2 < scrollTop) above++;
      else if (line && line.y + line.height / 2 > bottom) below++;
    }
    const beyond = `${above} ${below}`;
    if (beyond === this.#beyond) return;
    this.#beyond = beyond;
    this.listeners.onBeyond(above, below);
  }

  #timeAt(x: number): number {
    const { from, to } = this.window;
    return from + (x / Math.max(this.#scene.width, 1)) * (to - from);
  }

  #hit(x: number, y: number): Hit | null {
    if (!this.#picture || y < AXIS) return null;
    const { from, to } = this.window;
    const perPixel = (to - from) / Math.max(this.#scene.width, 1);
    return hitAt(this.#picture, y - AXIS + this.parts.scroller.scrollTop, this.#timeAt(x), perPixel);
  }

  #hover(x: number, y: number): void {
    this.#pointerAt = { x, y };
    this.#over.pointer = this.#timeAt(x);
    const hit = this.#hit(x, y);
    this.#over.hovered = hit?.type === "block" ? hit.block : -1;
    this.parts.overlay.style.cursor = hit && hit.type !== "line" ? "pointer" : "default";
    this.listeners.onHover(hit, x, y);
    this.#request();
  }

  #leave(): void {
    this.#pointerAt = null;
    this.#over.pointer = Number.NaN;
    this.#over.hovered = -1;
    this.listeners.onHover(null, 0, 0);
    this.#request();
  }

  #listen(): void {
    const { scroller, overlay, minimap } = this.parts;
    this.#stops.push(
      listen(overlay, {
        pan: (dx, dy) => this.#drag(dx, dy),
        zoom: (factor, x) => {
          this.#motion = null;
          this.#setWindow(zoomAt(this.window, factor, this.#timeAt(x), this.whole));
        },
        hover: (x, y) => this.#hover(x, y),
        leave: () => this.#leave(),
        click: (x, y) => {
          // Beside everything: nothing is selected any more. A lane is selected by its name.
          const hit = this.#hit(x, y);
          this.listeners.onSelect(hit?.type === "line" ? null : hit);
        },
        doubleClick: (x, y) => {
          const hit = this.#hit(x, y);
          if (hit?.type === "block") this.fitBlock(hit.block);
        },
        range: (x0, x1, isDone) => this.#range(this.#timeAt(x0), this.#timeAt(x1), isDone),
      }),
    );
    this.#stops.push(
      dragMinimap(minimap, this.#minimap, {
        picture: () => this.#picture,
        window: () => this.window,
        setWindow: (window) => {
          this.#motion = null;
          this.#setWindow(clamp(window, this.whole));
        },
      }),
    );
    const onScroll = () => {
      this.#isSceneOld = true;
      if (this.#pointerAt) this.#hover(this.#pointerAt.x, this.#pointerAt.y);
      this.#request();
    };
    scroller.addEventListener("scroll", onScroll, { passive: true });
    const observer = new ResizeObserver(() => this.#resize());
    observer.observe(overlay.parentElement ?? overlay);
    observer.observe(minimap.parentElement ?? minimap);
    this.#stops.push(
      () => scroller.removeEventListener("scroll", onScroll),
      () => observer.disconnect(),
    );
  }

  #drag(dx: number, dy: number): void {
    this.#motion = null;
    this.listeners.onHover(null, 0, 0);
    this.#over.hovered = -1;
    this.#over.pointer = Number.NaN;
    if (dy) this.parts.scroller.scrollTop -= dy;
    const { from, to } = this.window;
    if (dx)
      this.#setWindow(pan(this.window, (-dx / Math.max(this.#scene.width, 1)) * (to - from), this.whole));
  }

  #range(from: number, to: number, isDone: boolean): void {
    this.#over.range = isDone ? null : { from, to };
    this.#request();
    if (isDone) this.show(clamp({ from: Math.min(from, to), to: Math.max(from, to) }, this.whole));
  }

  #resize(): void {
    const ratio = globalThis.devicePixelRatio || 1;
    const box = (this.parts.overlay.parentElement ?? this.parts.overlay).getBoundingClientRect();
    const strip = (this.parts.minimap.parentElement ?? this.parts.minimap).getBoundingClientRect();
    this.#scene.resize(box.width, box.height, ratio);
    this.#overlay.resize(box.width, box.height, ratio);
    this.#minimap.resize(strip.width, strip.height, ratio);
    this.#invalidate();
    // At once: between the new size and the next frame the canvas would be empty.
    this.#paint(performance.now());
  }
}

function readPalette(element: HTMLElement): Palette {
  const style = getComputedStyle(element);
  return paletteOf((name) => style.getPropertyValue(name));
}

export type { Line };
