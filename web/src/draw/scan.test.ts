import { describe, expect, test } from "vitest";
import { fakeTimeline, numbers } from "../api/fake_columns";
import { addShares, MIXED, Pieces, scan } from "./scan";
import { CLASSES, Class, classify, levelsOf, spanTrack, stateTrack, type Tracks, tracksOf } from "./tracks";

/** Blocks of one row that do not overlap, dense and sparse by turns, some of no length. */
function randomTrack(seed: number, n: number): Tracks {
  const random = numbers(seed);
  const blocks = [];
  let t = -50;
  for (let i = 0; i < n; i++) {
    t += random() < 0.5 ? 0 : random() * (random() < 0.1 ? 400 : 4);
    const end = t + (random() < 0.1 ? 0 : random() * (random() < 0.05 ? 500 : 5));
    blocks.push({ start: t, end, kind: 1 + Math.floor(random() * 3), state: random() < 0.5 ? 8 : 0 });
    t = end;
  }
  return tracksOf(fakeTimeline(blocks));
}

/** What each class covers of a pixel, found by looking at every block. */
function covered(tracks: Tracks, left: number, right: number): { share: Float64Array; inside: number[] } {
  const share = new Float64Array(CLASSES);
  const inside: number[] = [];
  for (let at = tracks.first[1] as number; at < (tracks.first[2] as number); at++) {
    const from = Math.max(tracks.start[at] as number, left);
    const to = Math.min(tracks.end[at] as number, right);
    if (to < from || (tracks.start[at] as number) >= right) continue;
    if (to > from || tracks.start[at] === tracks.end[at]) inside.push(at);
    const k = tracks.classOf[at] as number;
    share[k] = (share[k] as number) + (to - from) / (right - left);
  }
  return { share, inside };
}

function check(tracks: Tracks, from: number, to: number, width: number): void {
  const pieces = new Pieces(width + 1);
  scan(tracks, stateTrack(tracks, 0), from, to, width, pieces);
  const perPixel = (to - from) / width;
  let x = 0;
  for (let p = 0; p < pieces.count; p++) {
    expect(pieces.x0[p]).toBeGreaterThanOrEqual(x);
    for (; x < (pieces.x0[p] as number); x++) checkEmpty(tracks, from + x * perPixel, perPixel);
    const at = pieces.at[p] as number;
    for (; x < (pieces.x1[p] as number); x++) {
      const left = from + x * perPixel;
      if (at === MIXED) checkMixed(tracks, pieces, p, left, perPixel);
      else checkOne(tracks, at, left, perPixel);
    }
  }
  expect(x).toBeLessThanOrEqual(width);
  for (; x < width; x++) checkEmpty(tracks, from + x * perPixel, perPixel);
}

function checkEmpty(tracks: Tracks, left: number, perPixel: number): void {
  const { share } = covered(tracks, left, left + perPixel);
  expect(share.reduce((a, b) => a + b)).toBeLessThan(0.5 + 1e-6);
}

function checkOne(tracks: Tracks, at: number, left: number, perPixel: number): void {
  const { inside } = covered(tracks, left - 1e-7, left + perPixel + 1e-7);
  expect(inside).toContain(at);
  const share = (one: number) =>
    Math.min(tracks.end[one] as number, left + perPixel) - Math.max(tracks.start[one] as number, left);
  const most = Math.max(...inside.map(share));
  expect(share(at)).toBeGreaterThanOrEqual(most - 1e-6);
}

function checkMixed(tracks: Tracks, pieces: Pieces, p: number, left: number, perPixel: number): void {
  const { share } = covered(tracks, left, left + perPixel);
  for (let k = 0; k < CLASSES; k++) expect(pieces.share[p * CLASSES + k]).toBeCloseTo(share[k] as number, 4);
}

describe("scan", () => {
  test.each([1, 2, 3, 4, 5, 6])("says of every pixel what looking at every block says (seed %i)", (seed) => {
    const random = numbers(seed * 101);
    const tracks = randomTrack(seed, 900);
    const end = tracks.end[tracks.end.length - 1] as number;
    check(tracks, -60, end + 10, 97);
    check(tracks, -60, end + 10, 640);
    for (let i = 0; i < 30; i++) {
      const from = -60 + random() * end;
      check(tracks, from, from + 10 ** (random() * 4 - 1), 1 + Math.floor(random() * 300));
    }
  });

  test("draws a block that is far shorter than a pixel", () => {
    const tracks = tracksOf(fakeTimeline([{ start: 500, end: 500 }]));
    const pieces = new Pieces(11);

    scan(tracks, stateTrack(tracks, 0), 0, 1000, 10, pieces);

    expect([pieces.count, pieces.x0[0], pieces.x1[0], pieces.at[0]]).toEqual([1, 5, 6, 0]);
  });

  test("draws one piece for a block that is wider than the window", () => {
    const tracks = tracksOf(fakeTimeline([{ start: 0, end: 1000 }]));
    const pieces = new Pieces(101);

    scan(tracks, stateTrack(tracks, 0), 400, 500, 100, pieces);

    expect([pieces.count, pieces.x0[0], pieces.x1[0]]).toEqual([1, 0, 100]);
  });

  test("looks at few blocks where very many lie in a pixel", () => {
    const blocks = Array.from({ length: 50_000 }, (_, i) => ({ start: i, end: i + 0.5 }));
    const tracks = tracksOf(fakeTimeline(blocks));
    let looks = 0;
    const counted = {
      ...tracks,
      classOf: new Proxy(tracks.classOf, {
        get: (target, key) => {
          looks++;
          return Reflect.get(target, key);
        },
      }),
    };
    const pieces = new Pieces(11);

    scan(counted, stateTrack(tracks, 0), 0, 50_000, 10, pieces);

    expect(pieces.share[Class.running]).toBeCloseTo(0.5, 4);
    expect(looks).toBeLessThan(10 * 40);
  });
});

describe("tracksOf", () => {
  test("ends a block where the next of its row begins", () => {
    const tracks = tracksOf(
      fakeTimeline([
        { start: 0, end: 10 },
        { start: 4, end: 6 },
      ]),
    );

    expect([...tracks.end]).toEqual([4, 6]);
  });

  test("keeps the position of each block by its number", () => {
    const tracks = tracksOf(
      fakeTimeline([
        { start: 0, end: 1, row: 2 },
        { start: 1, end: 2, row: 0 },
        { start: 2, end: 3, row: 2 },
      ]),
    );

    expect([...tracks.block].map((block) => tracks.positionOf[block])).toEqual([0, 1, 2]);
    expect([...tracks.block]).toEqual([1, 0, 2]);
  });

  test("puts spans of one depth that overlap on levels of their own", () => {
    const span = { kind: 4, row: 1 };
    const tracks = tracksOf(
      fakeTimeline([
        { ...span, start: 0, end: 9 },
        { ...span, start: 1, end: 9 },
        { ...span, start: 9, end: 10 },
      ]),
    );

    expect(levelsOf(tracks, 1)).toBe(2);
    expect(levelsOf(tracks, 0)).toBe(0);
    const at = (level: number) => [
      ...tracks.block.slice(
        tracks.first[spanTrack(tracks, 1, level)],
        tracks.first[spanTrack(tracks, 1, level) + 1],
      ),
    ];
    expect([at(0), at(1)]).toEqual([[0, 2], [1]]);
  });

  test("draws no more levels than fit, however deep spans are", () => {
    const blocks = Array.from({ length: 40 }, (_, i) => ({ start: i, end: 1000 - i, kind: 4, depth: i }));

    expect(levelsOf(tracksOf(fakeTimeline(blocks)), 0)).toBe(6);
  });

  test("dims what does not match, also in the sums", () => {
    const timeline = fakeTimeline(Array.from({ length: 100 }, (_, i) => ({ start: i, end: i + 1 })));
    const tracks = tracksOf(timeline);
    classify(
      tracks,
      timeline,
      Uint8Array.from({ length: 100 }, (_, i) => (i % 4 === 0 ? 1 : 0)),
    );
    const pieces = new Pieces(2);

    scan(tracks, stateTrack(tracks, 0), 0, 100, 1, pieces);

    expect(pieces.share[Class.running]).toBeCloseTo(0.25, 5);
    expect(pieces.share[Class.dim]).toBeCloseTo(0.75, 5);
  });
});

describe("addShares", () => {
  test("sums the rows of a folded lane up", () => {
    const tracks = tracksOf(
      fakeTimeline([
        { start: 0, end: 500, row: 0 },
        { start: 0, end: 1000, row: 1, kind: 3 },
      ]),
    );
    const pieces = new Pieces(11);
    const total = new Float32Array(10 * CLASSES);
    for (const row of [0, 1]) {
      scan(tracks, stateTrack(tracks, row), 0, 1000, 10, pieces);
      addShares(tracks, pieces, total, 0.5);
    }

    expect([total[Class.running], total[Class.waiting]]).toEqual([0.5, 0.5]);
    expect([total[9 * CLASSES + Class.running], total[9 * CLASSES + Class.waiting]]).toEqual([0, 0.5]);
  });
});
