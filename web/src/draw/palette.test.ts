import { describe, expect, test } from "vitest";
import tokens from "../base/tokens.css?raw";
import { contrast, paletteOf, parseColour, pixelOf } from "./palette";
import { Class } from "./tracks";

/** The custom properties of a theme, read from the style sheet itself. */
function theme(name: "light" | "dark"): (token: string) => string {
  const [light = "", dark = ""] = tokens.split(':root[data-theme="dark"]');
  const read = (text: string) =>
    new Map([...text.matchAll(/(--[\w-]+):\s*([^;]+);/g)].map((one) => [one[1], one[2]]));
  const values = name === "dark" ? new Map([...read(light), ...read(dark)]) : read(light);
  return (token) => values.get(token) ?? "";
}

const rgb = (text: string) => {
  const parts = text.match(/\d+/g)?.map(Number) ?? [];
  return [parts[0] ?? 0, parts[1] ?? 0, parts[2] ?? 0] as const;
};
const ofPixel = (pixel = 0) => [pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255] as const;

describe.each(["light", "dark"] as const)("the palette of the %s theme", (name) => {
  const palette = paletteOf(theme(name));
  const ground = rgb(palette.background);

  test("lets every label be read", () => {
    for (const k of Object.values(Class)) {
      expect(contrast(rgb(palette.ink[k] ?? ""), ofPixel(palette.solid[k]))).toBeGreaterThanOrEqual(4.5);
      expect(contrast(rgb(palette.quietInk[k] ?? ""), ofPixel(palette.quietSolid[k]))).toBeGreaterThanOrEqual(
        4.5,
      );
    }
  });

  test("lets steps, stripes of waits, errors and the thread be told from the ground", () => {
    expect(contrast(ofPixel(palette.solid[Class.running]), ground)).toBeGreaterThanOrEqual(3);
    expect(contrast(ofPixel(palette.errorPixel), ground)).toBeGreaterThanOrEqual(3);
    expect(contrast(rgb(palette.thread), ground)).toBeGreaterThanOrEqual(3);
    expect(contrast(ofPixel(palette.stripe[Class.waiting]), ground)).toBeGreaterThanOrEqual(2);
  });

  test("lets nothing stand out as the thread does while one is drawn", () => {
    const thread = contrast(rgb(palette.thread), ground);
    for (const k of Object.values(Class))
      expect(contrast(ofPixel(palette.quietSolid[k]), ground)).toBeLessThan(thread);
  });
});

describe("colours", () => {
  test("are read as style sheets write them, and nothing else is a colour", () => {
    expect(["#0f8", "#00ff88", "rgb(0, 255, 136)", "rgb(0 255 136 / 50%)"].map(parseColour)).toEqual(
      Array(4).fill([0, 255, 136]),
    );
    expect(["", "red", "#12", "url(x)"].map(parseColour)).toEqual([null, null, null, null]);
  });

  test("are opaque pixels, red first in memory", () => {
    expect([...new Uint8Array(new Uint32Array([pixelOf([1, 2, 3])]).buffer)]).toEqual([1, 2, 3, 255]);
  });
});
