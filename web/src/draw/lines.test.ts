import { describe, expect, test } from "vitest";
import { fakeHead, fakeLane, fakeTimeline } from "../api/fake_columns";
import {
  type Folds,
  laneOfRow,
  lineAt,
  linesOf,
  MEASURES,
  NO_FOLDS,
  revealing,
  showing,
  toggled,
} from "./lines";
import { tracksOf } from "./tracks";

const PROCESS = { service: "bank", pid: 7, start_ns: 0, end_ns: 9 };
const HEAD = fakeHead({
  processes: [
    { ...PROCESS, process: "a", label: "bank" },
    { ...PROCESS, process: "b", label: "app" },
  ],
  lanes: [
    fakeLane({ name: "MainThread" }),
    fakeLane({ name: "handle", kind: "tasks", parent: 0, first_row: 1, rows: 6, scopes: 90 }),
    fakeLane({ name: "settle", kind: "task", parent: 0, first_row: 7 }),
    fakeLane({ process: 1, name: "MainThread", first_row: 8, in_run: false }),
    fakeLane({ process: 1, name: "serve", kind: "task", parent: 3, first_row: 9, in_run: false }),
    fakeLane({ process: 1, name: "run_asgi", kind: "task", parent: 3, first_row: 10 }),
  ],
  rows: 11,
});
const TIMELINE = fakeTimeline([{ start: 0, end: 5, row: 7, kind: 4 }], [], HEAD);
const shape = (folds: Folds) =>
  linesOf(TIMELINE, tracksOf(TIMELINE), folds).lines.map((line) =>
    line.lane >= 0 ? `${line.kind} ${HEAD.lanes[line.lane]?.name}` : line.kind,
  );
const keyOf = "a\nthread MainThread";

describe("linesOf", () => {
  test("has a head for each process; wide lanes are one line; what is not of the run stands behind more", () => {
    expect(shape(NO_FOLDS)).toEqual([
      "process",
      "row MainThread",
      "summary handle",
      "row settle",
      "process",
      "row MainThread",
      "row run_asgi",
      "more",
    ]);
  });

  test("gives each row of an unfolded lane a line", () => {
    const folds = toggled(NO_FOLDS, `${keyOf}\ntasks handle`, true);

    expect(shape(folds).filter((line) => line === "row handle")).toHaveLength(6);
  });

  test("folds the tasks of a thread, and all of a process", () => {
    expect(shape(toggled(NO_FOLDS, keyOf, false)).slice(0, 3)).toEqual([
      "process",
      "row MainThread",
      "process",
    ]);
    expect(shape(toggled(NO_FOLDS, "a", false)).slice(0, 2)).toEqual(["process", "process"]);
  });

  test("shows the lanes that are not of the run when asked to, and hides them again", () => {
    const shown = showing(NO_FOLDS, "b", true);

    expect(shape(shown)).toContain("row serve");
    expect(shape(showing(shown, "b", false))).toEqual(shape(NO_FOLDS));
  });

  test("keeps folds when new columns bring more lanes in another order", () => {
    const folds = toggled(NO_FOLDS, `${keyOf}\ntasks handle`, true);
    const later = fakeTimeline([], [], {
      ...HEAD,
      lanes: [
        fakeLane({ name: "MainThread" }),
        fakeLane({ name: "new", kind: "task", parent: 0, first_row: 1 }),
        fakeLane({ name: "handle", kind: "tasks", parent: 0, first_row: 2, rows: 9 }),
      ],
    });
    const { lines } = linesOf(later, tracksOf(later), folds);

    expect(lines.filter((line) => line.lane === 2)).toHaveLength(9);
  });

  test("makes room above the steps for spans, and finds every row somewhere", () => {
    const { lines, lineOfRow, height } = linesOf(TIMELINE, tracksOf(TIMELINE), NO_FOLDS);
    const settle = lines[lineOfRow[7] as number];

    expect(settle?.height).toBe(MEASURES.band + MEASURES.level + MEASURES.padding);
    expect(lines[lineOfRow[3] as number]?.kind).toBe("summary");
    expect(lines[lineOfRow[9] as number]?.kind).toBe("process");
    expect(height).toBe(lines.reduce((sum, line) => sum + line.height, 0));
  });
});

describe("revealing", () => {
  test("unfolds what hides a row, and nothing else", () => {
    const folded = toggled(toggled(NO_FOLDS, keyOf, false), "b", false);
    const folds = revealing(TIMELINE, folded, [3, 9], true);

    expect(shape(folds)).toContain("row handle");
    expect(shape(folds)).toContain("row serve");
  });

  test("leaves a lane summed up when that is enough, and the folds alone when nothing hides", () => {
    expect(revealing(TIMELINE, NO_FOLDS, [3, 7], false)).toBe(NO_FOLDS);
  });
});

describe("lineAt and laneOfRow", () => {
  test("find lines by height and lanes by row", () => {
    const lines = linesOf(TIMELINE, tracksOf(TIMELINE), NO_FOLDS);

    expect(
      [-1, 0, MEASURES.process - 1, MEASURES.process, lines.height].map((y) => lineAt(lines, y)),
    ).toEqual([-1, 0, 0, 1, -1]);
    expect([0, 6, 7, 10, 11].map((row) => laneOfRow(HEAD.lanes, row))).toEqual([0, 1, 2, 5, -1]);
  });
});
