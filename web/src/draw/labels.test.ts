import { expect, test } from "vitest";
import { fakeHead, fakeLane, fakeTimeline } from "../api/fake_columns";
import { find } from "./highlight";
import { marksOfRows, type Picture } from "./hit";
import { blockLabel, blockSentence, blockText, markText, pathOf } from "./labels";
import { linesOf, NO_FOLDS } from "./lines";
import { weight } from "./marks";
import { tracksOf } from "./tracks";

const timeline = fakeTimeline(
  [
    { start: 0, end: 5, label: 1, place: 1, row: 1 },
    { start: 5, end: 2_000_005, label: 2, kind: 3, row: 1, state: 8 | 4 },
    { start: 6, end: 7, label: 1, row: 0, state: 8 | 2 },
    { start: 8, end: 9, kind: 2, row: 1 },
    { start: 10, end: 11, label: 1, kind: 5, row: 1 },
  ],
  [
    { t: 1, kind: 3, count: 1 },
    { t: 2, kind: 2, label: 1 },
  ],
  fakeHead({
    lanes: [fakeLane(), fakeLane({ name: "main", kind: "task", parent: 0, first_row: 1 })],
    rows: 2,
    to_ns: 3_000_000,
  }),
);
const tracks = tracksOf(timeline);
const picture: Picture = {
  timeline,
  tracks,
  lines: linesOf(timeline, tracks, NO_FOLDS),
  marksOf: marksOfRows(timeline),
};

test("a step of a lane with its own name says where it went on; others say their name", () => {
  expect(blockLabel(picture, 0)).toBe("main");
  expect(blockLabel(picture, 2)).toBe("✕ main");
  expect(blockText(picture, 0)).toBe("main ran");
});

test("a wait is called by what it was for, and how it ended stands before it", () => {
  expect(blockLabel(picture, 1)).toBe("⊘ lock Account.lock");
  expect(blockText(picture, 1)).toBe("waited for lock Account.lock");
  expect(blockText(picture, 3)).toBe("could run, and did not yet");
});

test("a sentence for a screen reader says what, how long, when, how it ended and where", () => {
  expect(blockSentence(picture, 1)).toBe(
    "waited for lock Account.lock, 2.00 ms at +5 ns, cancelled or timed out; bank, MainThread, main",
  );
  expect(pathOf(picture, 0)).toEqual(["bank", "MainThread"]);
});

test("marks say what they are, and drops how many", () => {
  expect([0, 1].map((mark) => markText(picture, mark))).toEqual([
    "1 event dropped here",
    "unhandled error main",
  ]);
  expect([2, 1, 3, 5, 4].map((kind, i, all) => i === 0 || weight(kind) < weight(all[i - 1]))).toEqual(
    Array(5).fill(true),
  );
});

test("a text is found in labels, places and names of lanes, in any case", () => {
  const matches = (text: string) => [...(find(timeline, text)?.matches ?? [])];

  expect(matches("ACCOUNT")).toEqual([0, 1, 0, 0, 0]);
  expect(matches("app.py")).toEqual([1, 0, 0, 0, 0]);
  expect(matches("mainthread")).toEqual([0, 0, 1, 0, 0]);
  expect(find(timeline, "  ")).toBeNull();
  expect(find(timeline, "nowhere")?.count).toBe(0);
});
