import { describe, expect, test } from "vitest";
import {
  type FakeBlock,
  type FakeMark,
  fakeHead,
  fakeLane,
  fakeTimeline,
  numbers,
} from "../api/fake_columns";
import { blockOfEvent, blocksIn, hitAt, inNextLine, marksOfRows, neighbour, type Picture } from "./hit";
import { type Line, linesOf, MEASURES, NO_FOLDS } from "./lines";
import { tracksOf } from "./tracks";

function pictureOf(blocks: readonly FakeBlock[], marks: readonly FakeMark[] = []): Picture {
  const lanes = [0, 1, 2, 3].map((row) => fakeLane({ first_row: row, name: `thread ${row}` }));
  const timeline = fakeTimeline(blocks, marks, fakeHead({ lanes }));
  const tracks = tracksOf(timeline);
  return { timeline, tracks, lines: linesOf(timeline, tracks, NO_FOLDS), marksOf: marksOfRows(timeline) };
}

/** The height of the middle of a row's steps. */
function stepsOf(picture: Picture, row: number): number {
  const line = picture.lines.lines[picture.lines.lineOfRow[row] as number] as Line;
  return line.y + line.band + line.bandHeight / 2;
}

describe("hitAt", () => {
  test("finds the block at a time, whatever lies beside it", () => {
    const random = numbers(3);
    const blocks: FakeBlock[] = [];
    for (let t = 0; t < 900; t += 1 + random() * 9)
      blocks.push({ start: t, end: t + random() * 5, row: blocks.length % 4 });
    const picture = pictureOf(blocks);
    for (let i = 0; i < 500; i++) {
      const t = random() * 900;
      const row = i % 4;
      // What a later block covers belongs to that.
      const expected = blocks.findLastIndex((one) => one.row === row && one.start <= t && t < one.end);
      const hit = hitAt(picture, stepsOf(picture, row), t, 0);

      expect(hit?.type === "block" ? hit.block : -1).toBe(expected);
    }
  });

  test("reaches the nearest of what is too narrow to point at", () => {
    const picture = pictureOf([
      { start: 100, end: 101 },
      { start: 130, end: 131 },
    ]);

    expect(hitAt(picture, stepsOf(picture, 0), 112, 5)).toMatchObject({ block: 0 });
    expect(hitAt(picture, stepsOf(picture, 0), 120, 5)).toMatchObject({ block: 1 });
    expect(hitAt(picture, stepsOf(picture, 0), 120, 1)).toMatchObject({ type: "line" });
  });

  test("tells spans from the steps below them, and a life from nothing", () => {
    const picture = pictureOf([
      { start: 0, end: 100, kind: 5 },
      { start: 0, end: 90, kind: 4 },
      { start: 10, end: 20 },
    ]);
    const line = picture.lines.lines[1] as Line;

    expect(hitAt(picture, line.y + MEASURES.padding, 15, 0)).toMatchObject({ block: 1 });
    expect(hitAt(picture, stepsOf(picture, 0), 15, 0)).toMatchObject({ block: 2 });
    expect(hitAt(picture, stepsOf(picture, 0), 50, 0)).toMatchObject({ block: 0 });
    expect(hitAt(picture, line.y + MEASURES.padding, 95, 0)).toMatchObject({ type: "line" });
  });

  test("prefers a mark to the block it lies on", () => {
    const picture = pictureOf([{ start: 0, end: 100 }], [{ t: 50 }, { t: 60, row: 1 }]);

    expect(hitAt(picture, stepsOf(picture, 0), 52, 1)).toMatchObject({ type: "mark", mark: 0 });
    expect(hitAt(picture, stepsOf(picture, 0), 70, 1)).toMatchObject({ type: "block" });
  });

  test("finds nothing beyond the lines", () => {
    const picture = pictureOf([{ start: 0, end: 1 }]);

    expect(hitAt(picture, -1, 0, 1)).toBeNull();
    expect(hitAt(picture, picture.lines.height, 0, 1)).toBeNull();
  });
});

describe("moving with keys", () => {
  const picture = pictureOf([
    { start: 0, end: 9 },
    { start: 1, end: 2, row: 2 },
    { start: 10, end: 12 },
    { start: 20, end: 21 },
  ]);

  test("goes to the next block of the row, and stays at its ends", () => {
    expect([neighbour(picture, 0, 1), neighbour(picture, 2, 1), neighbour(picture, 3, 1)]).toEqual([2, 3, 3]);
    expect(neighbour(picture, 0, -1)).toBe(0);
  });

  test("goes to the next line that has a block, and to its nearest one", () => {
    const line = picture.lines.lineOfRow[2] as number;

    expect(inNextLine(picture, line, 19, -1)).toBe(3);
    expect(inNextLine(picture, 1, 19, 1)).toBe(1);
    expect(inNextLine(picture, line, 19, 1)).toBe(-1);
  });
});

describe("blocksIn", () => {
  test("lists what is seen, line by line, and no more than it may", () => {
    const picture = pictureOf([
      { start: 0, end: 5 },
      { start: 4, end: 9, row: 1 },
      { start: 6, end: 8 },
      { start: 50, end: 60 },
    ]);

    expect(blocksIn(picture, 3, 20, 0, 9, 200)).toEqual([0, 2, 1]);
    expect(blocksIn(picture, 3, 20, 0, 9, 2)).toEqual([0, 2]);
    expect(blocksIn(picture, 3, 20, 2, 2, 200)).toEqual([1]);
  });
});

describe("blockOfEvent", () => {
  test("prefers what the event begins to what it ends, and steps to lives", () => {
    const { timeline } = pictureOf([
      { start: 0, end: 9, kind: 5, seq: 4 },
      { start: 0, end: 2, kind: 3, seq: 1, end_seq: 4 },
      { start: 2, end: 5, seq: 4 },
    ]);

    expect(blockOfEvent(timeline, "a".repeat(16), 4)).toBe(2);
    expect(blockOfEvent(timeline, "a".repeat(16), 1)).toBe(1);
    expect(blockOfEvent(timeline, "a".repeat(16), 0)).toBe(-1);
    expect(blockOfEvent(timeline, "b", 4)).toBe(-1);
  });
});
