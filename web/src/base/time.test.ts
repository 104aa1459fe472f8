import { describe, expect, it } from "vitest";
import { absolute, age, duration, exactMoment, moment, rowMoment, timeOfDay } from "./time";

describe("duration", () => {
  it.each([
    [0, "0 ns"],
    [7, "7 ns"],
    [999, "999 ns"],
    [1_284, "1.28 µs"],
    [15_320, "15.3 µs"],
    [412_400_000, "412 ms"],
    [1_284_316_004, "1.28 s"],
    [-2_500_000, "-2.50 ms"],
    [119_400_000_000, "119 s"],
    [252_000_000_000, "4 min 12 s"],
    [7_200_000_000_000, "2 h"],
    [90_061_000_000_000, "1 d 1 h"],
  ])("writes %d ns as %s", (ns, text) => {
    expect(duration(ns)).toBe(text);
  });

  it("goes to the next unit where rounding would make a thousand", () => {
    expect(duration(999_700)).toBe("1.00 ms");
    expect(duration(999_960_000)).toBe("1.00 s");
  });

  it("goes from two to one to no decimals without a fourth digit", () => {
    expect(duration(9_996)).toBe("10.0 µs");
    expect(duration(99_960)).toBe("100 µs");
  });

  it("writes nothing for what is not known", () => {
    expect(duration(null)).toBe("");
  });
});

describe("moments", () => {
  it("count from the start of the run", () => {
    expect(moment(1_284_316_004)).toBe("+1.284 s");
    expect(moment(-2_000_000)).toBe("-0.002 s");
  });

  it("have no negative zero", () => {
    expect(moment(-4_000)).toBe("+0.000 s");
  });

  it("are exact where they are copied", () => {
    expect(exactMoment(1_284_316_004)).toBe("+1.284 316 004 s");
    expect(exactMoment(-5)).toBe("-0.000 000 005 s");
  });

  it("are ages in a fitting unit", () => {
    expect(age(12_300_000)).toBe("+12.3 ms");
    expect(age(-12_300_000)).toBe("-12.3 ms");
  });
});

describe("times of day", () => {
  it("keep every nanosecond, also over the second and backwards", () => {
    expect(absolute("2026-11-27T11:20:06.999999999Z", 2)).toBe("2026-11-27T11:20:07.000000001Z");
    expect(absolute("2026-11-27T11:20:06Z", -1)).toBe("2026-11-27T11:20:05.999999999Z");
  });

  it("stay as they are where they are none", () => {
    expect(absolute("yesterday", 1)).toBe("yesterday");
    expect(timeOfDay("yesterday")).toBe("yesterday");
  });

  it("name the day only where it is another one", () => {
    const now = new Date(2026, 10, 27, 12, 0, 0);
    expect(timeOfDay(new Date(2026, 10, 27, 9, 5, 3).toISOString(), now)).toBe("09:05:03");
    expect(timeOfDay(new Date(2026, 10, 26, 9, 5, 3).toISOString(), now)).toBe("Nov 26 09:05:03");
    expect(timeOfDay(new Date(2025, 10, 26, 9, 5, 3).toISOString(), now)).toBe("Nov 26 2025 09:05:03");
  });
});

describe("rowMoment", () => {
  it.each([
    [0, "+0.000 000 s"],
    [1_234_567, "+0.001 235 s"],
    [-400, "+0.000 000 s"],
    [-1_500, "-0.000 002 s"],
    [61_284_316_004, "+61.284 316 s"],
  ])("writes %d ns as %s", (ns, text) => {
    expect(rowMoment(ns)).toBe(text);
  });
});
