import { describe, expect, test } from "vitest";
import { type FakeBlock, fakeTimeline } from "../api/fake_columns";
import { type Ink, paint, type Raster } from "./raster";
import { Pieces, scan } from "./scan";
import { CLASSES, Class, stateTrack, tracksOf } from "./tracks";

const GROUND = 9;
const ERROR = 99;
const solid = Uint32Array.from({ length: CLASSES }, (_, k) => 10 + k);
const INK: Ink = { solid, stripe: solid, background: GROUND, error: ERROR, muted: 98 };

/** Draws blocks of one row from 0 to 100 ns, and returns the image. */
function draw(
  blocks: readonly FakeBlock[],
  width = 10,
  height = 10,
  top = 0,
  ink = INK,
  clipTop = 0,
): Raster {
  const timeline = fakeTimeline(blocks);
  const tracks = tracksOf(timeline);
  const raster = { pixels: new Uint32Array(width * 20).fill(GROUND), width, height: 20 };
  const pieces = new Pieces(width + 1);
  scan(tracks, stateTrack(tracks, 0), 0, 100, width, pieces);
  paint(raster, { top, height, clipTop }, pieces, tracks, timeline.blocks.state, ink, 0, 1);
  return raster;
}

const column = ({ pixels, width }: Raster, x: number, rows = 20) =>
  Array.from({ length: rows }, (_, y) => pixels[y * width + x]);
const line = ({ pixels, width }: Raster, y: number) => [...pixels.slice(y * width, (y + 1) * width)];

describe("paint", () => {
  test("fills the pixels of a block over the height of its band, and no others", () => {
    const raster = draw([{ start: 20, end: 50 }], 10, 3, 1);

    expect(line(raster, 0)).toEqual(Array(10).fill(GROUND));
    for (const y of [1, 2, 3]) expect(line(raster, y)).toEqual([9, 9, 10, 10, 10, 9, 9, 9, 9, 9]);
    expect(line(raster, 4)).toEqual(Array(10).fill(GROUND));
  });

  test("stacks what shares a pixel by how much of it each covers", () => {
    const raster = draw(
      [
        { start: 10, end: 50 },
        { start: 50, end: 60, kind: 2 },
        { start: 60, end: 90, kind: 3 },
      ],
      1,
      10,
    );

    expect(column(raster, 0, 10)).toEqual([9, 14, 14, 14, 12, 12, 10, 10, 10, 10]);
  });

  test("shows what is too short for its share, and keeps within the band", () => {
    const raster = draw(
      [
        { start: 0, end: 99, kind: 3 },
        { start: 99, end: 99.5 },
        { start: 99.5, end: 100, kind: 2 },
      ],
      1,
      8,
    );

    expect(column(raster, 0, 9)).toEqual([14, 14, 14, 14, 12, 12, 10, 10, GROUND]);
  });

  test("marks failure with a bar, and cancellation with a broken one", () => {
    expect(line(draw([{ start: 0, end: 100, state: 8 | 2 }]), 0)).toEqual(Array(10).fill(ERROR));
    expect(line(draw([{ start: 0, end: 100, state: 8 | 4 }]), 0)).toEqual([
      99, 99, 10, 10, 99, 99, 10, 10, 99, 99,
    ]);
  });

  test("breaks the lower edge of what is inferred", () => {
    const raster = draw([{ start: 0, end: 100, state: 8 | 16 }], 12);

    expect(line(raster, 9)).toEqual([10, 10, 10, 9, 9, 9, 10, 10, 10, 9, 9, 9]);
    expect(line(raster, 5)).toEqual(Array(12).fill(10));
  });

  test("hatches waits", () => {
    const stripe = solid.slice();
    stripe[Class.waiting] = 77;
    const raster = draw([{ start: 0, end: 100, kind: 3 }], 16, 10, 0, { ...INK, stripe });

    expect(line(raster, 0)).toEqual([77, 77, 77, 14, 14, 14, 14, 14, 77, 77, 77, 14, 14, 14, 14, 14]);
    expect(line(raster, 1).slice(0, 3)).toEqual([77, 77, 14]);
  });

  test("leaves a line between blocks of one kind", () => {
    expect(
      line(
        draw([
          { start: 0, end: 50 },
          { start: 50, end: 100 },
        ]),
        0,
      ),
    ).toEqual([10, 10, 10, 10, 10, 9, 10, 10, 10, 10]);
  });

  test("draws nothing outside of the image or above where it is cut", () => {
    const raster = draw([{ start: 0, end: 100, state: 8 | 2 | 16 }], 10, 10, -4, INK, 2);

    expect(line(raster, 1)).toEqual(Array(10).fill(GROUND));
    expect(line(raster, 2)).toEqual(Array(10).fill(10));
    expect(() =>
      draw(
        [
          { start: 0, end: 100 },
          { start: 100, end: 100 },
        ],
        10,
        10,
        18,
      ),
    ).not.toThrow();
  });
});
