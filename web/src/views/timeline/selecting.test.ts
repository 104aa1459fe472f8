import { describe, expect, test } from "vitest";
import { fakeHead, fakeLane, fakeTimeline } from "../../api/fake_columns";
import type { ThreadStep } from "../../api/types";
import { marksOfRows, type Picture } from "../../draw/hit";
import { linesOf, NO_FOLDS } from "../../draw/lines";
import { tracksOf } from "../../draw/tracks";
import { shortName } from "./Names";
import { blockOf, selectionOf, spotOf, threadOnRows } from "./selecting";

const PROCESS = "a".repeat(16);
const lanes = [0, 1].map((row) => fakeLane({ first_row: row, name: `thread ${row}` }));
const timeline = fakeTimeline(
  [
    { start: 0, end: 50, seq: 1 },
    { start: 10, end: 40, row: 1, kind: 3, seq: 2, end_seq: 3 },
    { start: 40, end: 60, row: 1, seq: 3 },
    { start: 60, end: 90, row: 1, kind: 3, seq: 5 },
    { start: 95, end: 99, row: 1 },
  ],
  [{ t: 45, row: 1, seq: 4 }],
  fakeHead({ lanes, rows: 2 }),
);
const tracks = tracksOf(timeline);
const picture: Picture = {
  timeline,
  tracks,
  lines: linesOf(timeline, tracks, NO_FOLDS),
  marksOf: marksOfRows(timeline),
};
const event = (seq: number) => ({ type: "event", process: PROCESS, seq }) as const;
const block = (at: number) => ({ type: "block", block: at, line: 0 }) as const;
const step = (change: Partial<ThreadStep>): ThreadStep => ({
  process: PROCESS,
  service: "bank",
  seq: 1,
  t_ns: 0,
  until_ns: null,
  kind: "",
  op: null,
  scope: null,
  scope_id: null,
  entity: null,
  file: null,
  line: null,
  function: null,
  text: "",
  how: null,
  waited_ns: null,
  block: null,
  ...change,
});

describe("selectionOf", () => {
  test("is what began a step, and what ended a wait: its causes say why it took so long", () => {
    expect(selectionOf(picture, block(0))).toEqual(event(1));
    expect(selectionOf(picture, block(1))).toEqual(event(3));
  });

  test("is what began a wait that has not ended, and nothing for a block without events", () => {
    expect(selectionOf(picture, block(3))).toEqual(event(5));
    expect(selectionOf(picture, block(4))).toBeNull();
  });

  test("is the event of a mark, and the lane of a line", () => {
    expect(selectionOf(picture, { type: "mark", mark: 0, line: 0 })).toEqual(event(4));
    expect(selectionOf(picture, { type: "line", line: 2 })).toEqual({
      type: "lane",
      process: PROCESS,
      lane: "thread 1",
    });
    expect(selectionOf(picture, { type: "line", line: 0 })).toBeNull();
  });
});

describe("blockOf", () => {
  test("stays with the block that was selected, where two share an event", () => {
    expect(blockOf(picture, event(3), 1)).toBe(1);
    expect(blockOf(picture, event(3), -1)).toBe(2);
    expect(blockOf(picture, event(1), 1)).toBe(0);
    expect(blockOf(picture, event(3), 999)).toBe(2);
    expect(blockOf(picture, null, 1)).toBe(-1);
  });
});

describe("threadOnRows and spotOf", () => {
  test("put steps on the rows of their blocks, and those without one at their process", () => {
    const steps = threadOnRows(
      timeline,
      [step({ block: 2, t_ns: 45, until_ns: 41, seq: 4 }), step({ block: 77 }), step({ process: "b" })],
      event(4),
    );

    expect(steps.map((one) => [one.row, one.process, one.t, one.until, one.isSelected])).toEqual([
      [1, 0, 45, 45, true],
      [-1, 0, 0, 0, false],
      [-1, -1, 0, 0, false],
    ]);
    expect(spotOf(picture, event(4), 2, steps)).toEqual({ row: 1, from: 45, to: 45 });
  });

  test("find a selection that is on no thread by its block or its mark", () => {
    expect(spotOf(picture, event(1), 0, [])).toEqual({ row: 0, from: 0, to: 50 });
    expect(spotOf(picture, event(4), -1, [])).toEqual({ row: 1, from: 45, to: 45 });
    expect(spotOf(picture, event(99), -1, [])).toBeNull();
  });
});

describe("shortName", () => {
  test("keeps the end of a qualified name, and says who made it", () => {
    expect(shortName("anyio._core._sockets.connect_tcp.<locals>.try_connect")).toBe(
      "connect_tcp.try_connect",
    );
    expect(shortName("TaskHandle._run_coro from examples/bank/agent.py:83 LoanAgent.retrieve")).toBe(
      "LoanAgent.retrieve → TaskHandle._run_coro",
    );
    expect(shortName("Server.serve (Task-1)")).toBe("Server.serve (Task-1)");
    expect(shortName("main")).toBe("main");
  });
});
