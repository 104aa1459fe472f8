import { describe, expect, it } from "vitest";
import type { ThreadStep } from "../api/types";
import { isLongWait, MEASURES, threadPath } from "./thread_path";

function step(scope: number, t_ns: number, waited_ns: number | null = 0): ThreadStep {
  return {
    process: "aa", service: "bank", seq: t_ns + 1, t_ns, until_ns: null, kind: "life.step", op: null, scope: `task-${scope}`,
    scope_id: scope, entity: null, file: null, line: null, function: null, text: "", how: "wake", waited_ns, block: null,
  }; // biome-ignore format: plain facts
}

/** The numbers of a path. */
const numbers = (line: string) => line.match(/-?\d+(\.\d+)?/g)?.map(Number) ?? [];

describe("the thread's line", () => {
  it("is straight within one task", () => {
    const path = threadPath([step(1, 0), step(1, 10), step(1, 20)]);
    expect(path.line).toBe("M6 22V66V110");
    expect(path.height).toBe(3 * MEASURES.row);
    expect(path.nodes.map((node) => node.isCrossing)).toEqual([false, false, false]);
  });

  it("gives each task a column, and comes back to it", () => {
    const path = threadPath([step(1, 0), step(2, 10), step(1, 20), step(3, 30)]);
    expect(path.nodes.map((node) => node.column)).toEqual([0, 1, 0, 2]);
    expect(path.nodes.map((node) => node.isCrossing)).toEqual([false, true, true, true]);
    expect(path.width).toBe(3 * MEASURES.column);
  });

  it("is one line: every piece ends where its node is, and the next begins there", () => {
    const steps = [
      step(1, 0, 5_000_000),
      step(2, 5_000_000),
      step(2, 5_000_100, 9_000_000),
      step(3, 14_000_100),
    ];
    const path = threadPath(steps);
    expect(path.line.match(/M/g)).toHaveLength(1);
    const last = path.nodes.at(-1);
    expect(numbers(path.line).slice(-2)).toEqual([last?.x, last?.y]);
    path.nodes.slice(1).forEach((node, i) => {
      expect(node.top).toBe((path.nodes[i]?.top ?? 0) + (path.nodes[i]?.height ?? 0));
    });
  });

  it("is longer where time went by, and says along which part", () => {
    const path = threadPath([step(1, 0, 5_000_000), step(1, 5_000_000, 10), step(1, 5_000_010)]);
    expect(path.nodes.map((node) => node.height)).toEqual([
      MEASURES.row + MEASURES.wait,
      MEASURES.row,
      MEASURES.row,
    ]);
    expect(path.waits).toEqual([{ step: 0, line: "M6 22V90" }]);
  });

  it("lets scopes share columns where there are more than fit", () => {
    const path = threadPath(Array.from({ length: 9 }, (_, i) => step(i, i)));
    expect(Math.max(...path.nodes.map((node) => node.column))).toBe(MEASURES.columns - 1);
  });

  it("of nothing is nothing", () => {
    expect(threadPath([])).toMatchObject({ line: "", height: 0, nodes: [] });
  });
});

it("a wait is drawn from a hundredth of the thread and a microsecond", () => {
  expect(isLongWait(10_000, 1_000_000)).toBe(true);
  expect(isLongWait(9_999, 1_000_000)).toBe(false);
  expect(isLongWait(999, 1000)).toBe(false);
  expect(isLongWait(null, 0)).toBe(false);
});
