import { describe, expect, test } from "vitest";
import { roundStep, ticksOf } from "./axis";

const labels = (from: number, to: number, width = 500) =>
  ticksOf(from, to, width, 100).map((tick) => tick.label);

describe("ticksOf", () => {
  test("counts from the run's start in a unit that fits", () => {
    expect(labels(0, 5e9)).toEqual(["0", "+1 s", "+2 s", "+3 s", "+4 s", "+5 s"]);
    expect(labels(0, 5e6)).toEqual(["0", "+1 ms", "+2 ms", "+3 ms", "+4 ms", "+5 ms"]);
    expect(labels(0, 500)).toEqual(["0", "+100 ns", "+200 ns", "+300 ns", "+400 ns", "+500 ns"]);
  });

  test("shows what is before the start as negative", () => {
    expect(labels(-2e9, 2e9)).toEqual(["-2 s", "-1 s", "0", "+1 s", "+2 s"]);
  });

  test("shows as many digits as tell ticks apart, and no more", () => {
    expect(labels(1.2e9, 1.2005e9)).toEqual(
      ["+1.2000 s", "+1.2001 s", "+1.2002 s", "+1.2003 s", "+1.2004 s", "+1.2005 s"].map(thin),
    );
    expect(labels(1.2e9, 1.7e9)).toEqual(["+1.2 s", "+1.3 s", "+1.4 s", "+1.5 s", "+1.6 s", "+1.7 s"]);
  });

  test("reads long runs as minutes and hours", () => {
    expect(labels(0, 600e9)).toEqual(["0", "+2:00", "+4:00", "+6:00", "+8:00", "+10:00"]);
    expect(labels(7200e9, 7200e9 + 300e9)[0]).toBe("+2:00:00");
  });

  test.each([1, 37, 1e3, 12_345, 1e9, 86_400e9, 1e16])(
    "is legible at a width of %d ns: few ticks, all different",
    (width) => {
      for (const from of [0, -width / 3, 12.34567e9]) {
        const found = labels(from, from + width, 1000);
        expect(found.length).toBeLessThanOrEqual(11);
        expect(new Set(found).size).toBe(found.length);
      }
    },
  );

  test("never runs away, whatever it is asked for", () => {
    expect(ticksOf(0, 1e18, 100_000, 1).length).toBeLessThanOrEqual(200);
    expect(ticksOf(0, 0, 0).length).toBeLessThanOrEqual(1);
  });
});

describe("roundStep", () => {
  test("is 1, 2 or 5 of a power of ten, and of seconds what clocks count in", () => {
    expect([3, 11, 90, 600].map(roundStep)).toEqual([5, 20, 100, 1000]);
    expect(roundStep(12e9)).toBe(15e9);
    expect(roundStep(2000e9)).toBe(3600e9);
  });
});

/** Fractions stand in groups of three. */
function thin(text: string): string {
  return text.replace(/\.(\d{3})(\d+)/, ".$1\u2009$2");
}
