/** The colours of the picture, from the tokens of the page; read again when the theme changes. */

import { CLASSES, Class } from "./tracks";

/** A pixel of ImageData as one number: little-endian RGBA. */
export type Pixel = number;

export interface Palette {
  /** Ground and text of the canvas, as CSS. */
  readonly background: string;
  readonly outside: string;
  readonly line: string;
  readonly lineStrong: string;
  readonly text: string;
  readonly muted: string;
  readonly thread: string;
  readonly error: string;
  readonly accent: string;
  readonly holding: string;
  readonly running: string;
  readonly ready: string;
  /** Ground of each class, as CSS; and while a thread is drawn. */
  readonly ground: readonly string[];
  readonly quietGround: readonly string[];
  /** Text on each class, as CSS; and while a thread is drawn. */
  readonly ink: readonly string[];
  readonly quietInk: readonly string[];
  readonly processes: readonly string[];
  readonly fontUi: string;
  readonly fontMono: string;
  /** The same as pixels. */
  readonly backgroundPixel: Pixel;
  readonly outsidePixel: Pixel;
  readonly linePixel: Pixel;
  readonly lifePixel: Pixel;
  readonly errorPixel: Pixel;
  readonly mutedPixel: Pixel;
  /** Of each class: its colour, and that of its stripes (the same where it has none). */
  readonly solid: Uint32Array;
  readonly stripe: Uint32Array;
  /** The classes while a thread is drawn: quiet, so that nothing competes with it. */
  readonly quietSolid: Uint32Array;
  readonly quietStripe: Uint32Array;
}

type Rgb = readonly [number, number, number];

/** Reads `#rgb`, `#rrggbb` and `rgb(…)`; null for anything else. */
export function parseColour(text: string): Rgb | null {
  const value = text.trim();
  const hex = /^#([0-9a-f]{3}|[0-9a-f]{6})$/i.exec(value)?.[1];
  if (hex) {
    const digits = hex.length === 3 ? [...hex].map((d) => d + d) : (hex.match(/../g) ?? []);
    return [0, 1, 2].map((i) => Number.parseInt(digits[i] ?? "0", 16)) as unknown as Rgb;
  }
  const parts = /^rgba?\(\s*([\d.]+)[\s,]+([\d.]+)[\s,]+([\d.]+)/.exec(value);
  return parts ? [Number(parts[1]), Number(parts[2]), Number(parts[3])] : null;
}

export function mix(one: Rgb, two: Rgb, share: number): Rgb {
  return [0, 1, 2].map((i) =>
    Math.round((one[i] as number) * (1 - share) + (two[i] as number) * share),
  ) as unknown as Rgb;
}

export const pixelOf = ([r, g, b]: Rgb): Pixel => (0xff000000 | (b << 16) | (g << 8) | r) >>> 0;
const css = ([r, g, b]: Rgb): string => `rgb(${r} ${g} ${b})`;

/** Relative luminance, as WCAG defines it. */
export function luminance(colour: Rgb): number {
  const [r, g, b] = colour.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as unknown as Rgb;
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

export function contrast(one: Rgb, two: Rgb): number {
  const [high = 0, low = 0] = [luminance(one), luminance(two)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
}

/**
 * The one of two text colours that is read better on a ground; black or white where neither reads well enough:
 * on any ground one of those two has a contrast of 4.58 or more.
 */
function inkOn(ground: Rgb, one: Rgb, two: Rgb): string {
  const better = (a: Rgb, b: Rgb) => (contrast(ground, a) >= contrast(ground, b) ? a : b);
  const wanted = better(one, two);
  return css(contrast(ground, wanted) >= 4.5 ? wanted : better([255, 255, 255], [0, 0, 0]));
}

/** How far colours go towards the ground while a thread is drawn. */
const QUIET = 0.55;

/** Builds the palette. `token` returns the value of a CSS custom property. */
export function paletteOf(token: (name: string) => string): Palette {
  const rgb = (name: string, otherwise: Rgb): Rgb => parseColour(token(`--color-${name}`)) ?? otherwise;
  const bg = rgb("bg", [255, 255, 255]);
  const text = rgb("text", [27, 28, 32]);
  const muted = rgb("muted", [97, 100, 110]);
  const line = rgb("line", [227, 228, 232]);
  const running = rgb("running", [0, 158, 115]);
  const ready = rgb("ready", [201, 168, 0]);
  const waiting = rgb("waiting", [63, 155, 212]);
  const error = rgb("error", [184, 82, 140]);
  const span = mix(bg, text, 0.11);
  const dim = mix(bg, text, 0.045);
  const outside = 0.55;
  const solid: Rgb[] = [];
  const stripe: Rgb[] = [];
  const put = (k: number, ground: Rgb, stripes: Rgb) => {
    solid[k] = ground;
    stripe[k] = stripes;
  };
  put(Class.running, running, running);
  put(Class.runningOutside, mix(running, bg, outside), mix(running, bg, outside));
  put(Class.ready, ready, ready);
  put(Class.readyOutside, mix(ready, bg, outside), mix(ready, bg, outside));
  put(Class.waiting, mix(bg, waiting, 0.28), mix(bg, waiting, 0.75));
  put(Class.waitingOutside, mix(bg, waiting, 0.14), mix(bg, waiting, 0.36));
  put(Class.plain, span, span);
  put(Class.dim, dim, dim);
  const pixels = (colours: readonly Rgb[], quiet: number): Uint32Array =>
    Uint32Array.from({ length: CLASSES }, (_, k) => pixelOf(mix(colours[k] ?? bg, bg, quiet)));
  return {
    background: css(bg),
    outside: css(rgb("panel", mix(bg, text, 0.03))),
    line: css(line),
    lineStrong: css(rgb("line-strong", mix(bg, text, 0.25))),
    text: css(text),
    muted: css(muted),
    thread: css(rgb("thread", [213, 94, 0])),
    error: css(rgb("error-text", error)),
    accent: css(rgb("accent", [47, 91, 208])),
    holding: css(rgb("holding", [209, 143, 0])),
    running: css(running),
    ready: css(ready),
    ground: solid.map(css),
    quietGround: solid.map((ground) => css(mix(ground, bg, QUIET))),
    ink: solid.map((ground, k) => (k === Class.dim ? css(muted) : inkOn(ground, text, bg))),
    quietInk: solid.map((ground) => inkOn(mix(ground, bg, QUIET), mix(text, muted, 0.6), bg)),
    processes: Array.from({ length: 8 }, (_, i) => css(rgb(`process-${i + 1}`, muted))),
    fontUi: token("--font-ui").trim() || "system-ui, sans-serif",
    fontMono: token("--font-mono").trim() || "monospace",
    backgroundPixel: pixelOf(bg),
    outsidePixel: pixelOf(rgb("panel", mix(bg, text, 0.03))),
    linePixel: pixelOf(mix(bg, line, 0.7)),
    lifePixel: pixelOf(mix(bg, text, 0.055)),
    errorPixel: pixelOf(error),
    mutedPixel: pixelOf(muted),
    solid: pixels(solid, 0),
    stripe: pixels(stripe, 0),
    quietSolid: pixels(solid, QUIET),
    quietStripe: pixels(stripe, QUIET),
  };
}
