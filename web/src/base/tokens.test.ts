import { describe, expect, it } from "vitest";
import CSS from "./tokens.css?raw";

/** The colours of a theme, by the names of their tokens. */
function colours(block: RegExp): ReadonlyMap<string, string> {
  const rules = block.exec(CSS)?.[1] ?? "";
  return new Map(
    [...rules.matchAll(/--color-([\w-]+): (#[0-9a-f]{6});/g)].map((m) => [m[1] ?? "", m[2] ?? ""]),
  );
}

/** Of one colour on another (WCAG 2.2, relative luminance). */
function contrast(one: string, two: string): number {
  const luminance = (hex: string) => {
    const [r = 0, g = 0, b = 0] = [1, 3, 5].map((i) => {
      const part = Number.parseInt(hex.slice(i, i + 2), 16) / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [light = 0, dark = 0] = [luminance(one), luminance(two)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

const GROUNDS = ["bg", "panel", "raised", "hover", "selected"];
const MARKS = ["thread", "running", "ready", "waiting", "holding", "error", "accent"];

const LIGHT = colours(/:root \{([\s\S]*?)\n\}/);
const DARK = colours(/\[data-theme="dark"\] \{([\s\S]*?)\n\}/);

it("both themes have every colour", () => {
  expect([...DARK.keys()]).toEqual([...LIGHT.keys()]);
  expect(LIGHT.size).toBeGreaterThan(25);
});

describe.each([
  ["light", LIGHT],
  ["dark", DARK],
])("the %s theme", (_, theme) => {
  const of = (name: string) => theme.get(name) ?? "#000000";
  const texts = ["text", "muted", "accent", ...[...theme.keys()].filter((name) => name.endsWith("-text"))];

  it.each(texts)("has %s that can be read on every ground", (name) => {
    for (const ground of GROUNDS)
      expect(contrast(of(name), of(ground)), `on ${ground}`).toBeGreaterThanOrEqual(4.5);
  });

  it.each([...MARKS, ...[1, 2, 3, 4, 5, 6, 7, 8].map((n) => `process-${n}`)])(
    "has marks of %s that can be told from the ground",
    (name) => {
      expect(contrast(of(name), of("bg"))).toBeGreaterThanOrEqual(3);
    },
  );
});
