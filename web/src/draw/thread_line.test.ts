import { describe, expect, test } from "vitest";
import { corners, type Path, trace } from "./thread_line";

describe("corners", () => {
  test("run along a row while something happens, and change rows at the moment that enabled the next", () => {
    const line = corners(
      [
        { t: 10, until: 30, y: 5 },
        { t: 50, until: 60, y: 25 },
      ],
      0,
      100,
      100,
    );

    expect(line).toEqual([
      { x: 10, y: 5 },
      { x: 30, y: 5 },
      { x: 30, y: 25 },
      { x: 60, y: 25 },
    ]);
  });

  test("are one line: each corner shares a coordinate with the next, whatever the order of times", () => {
    const points = [
      { t: 10, until: 90, y: 5 },
      { t: 40, until: 45, y: 25 },
      { t: 42, until: 42, y: 5 },
      { t: 80, until: 81, y: 65 },
    ];
    const line = corners(points, 0, 100, 1000);
    for (let i = 1; i < line.length; i++) {
      const [a, b] = [line[i - 1], line[i]];
      expect(a?.x === b?.x || a?.y === b?.y).toBe(true);
    }

    expect(line[0]).toEqual({ x: 100, y: 5 });
    expect(line.at(-1)).toEqual({ x: 810, y: 65 });
  });

  test("stay near the picture, however far one zooms in", () => {
    const line = corners(
      [
        { t: 0, until: 1, y: 5 },
        { t: 1e12, until: 2e12, y: 9 },
      ],
      5e11,
      5e11 + 50,
      800,
    );

    expect(line.every(({ x }) => x >= -64 && x <= 864)).toBe(true);
  });

  test("leave out what falls together", () => {
    const points = Array.from({ length: 500 }, (_, i) => ({ t: i * 1e-6, until: i * 1e-6, y: 5 }));

    expect(corners(points, 0, 100, 100).length).toBeLessThanOrEqual(2);
    expect(corners([], 0, 100, 100)).toEqual([]);
  });
});

describe("trace", () => {
  test("draws one path through all corners, with no arc wider than there is room for", () => {
    const calls: [string, ...number[]][] = [];
    const path: Path = {
      moveTo: (...at) => void calls.push(["move", ...at]),
      lineTo: (...at) => void calls.push(["line", ...at]),
      arcTo: (...at) => void calls.push(["arc", ...at]),
    };
    trace(
      path,
      [
        { x: 0, y: 0 },
        { x: 10, y: 0 },
        { x: 10, y: 4 },
        { x: 30, y: 4 },
      ],
      6,
    );

    expect(calls).toEqual([
      ["move", 0, 0],
      ["arc", 10, 0, 10, 4, 2],
      ["arc", 10, 4, 30, 4, 2],
      ["line", 30, 4],
    ]);
  });
});
