import { describe, expect, test } from "vitest";
import { ColumnsError, decodeTimeline } from "./columns";
import { fakeBody, fakeHead, fakeLane, numbers } from "./fake_columns";

const BLOCKS = [
  { start: 0, end: 10, label: 1 },
  { start: 12, end: 20, kind: 3, waker: 0, seq: 4, end_seq: 5 },
];

describe("decodeTimeline", () => {
  test("reads blocks, marks and the head as they were written", () => {
    const timeline = decodeTimeline(fakeBody(BLOCKS, [{ t: 5, kind: 3, count: 12 }]));

    expect([...timeline.blocks.start]).toEqual([0, 12]);
    expect([...timeline.blocks.waker]).toEqual([-1, 0]);
    expect(timeline.blocks.size).toBe(2);
    expect(timeline.marks.count[0]).toBe(12);
    expect(timeline.head.lanes[0]?.name).toBe("MainThread");
  });

  test("copies nothing: the columns are views onto the body", () => {
    const body = fakeBody(BLOCKS);

    expect(decodeTimeline(body).blocks.start.buffer).toBe(body);
  });

  test("reads a run in which nothing is drawn", () => {
    expect(decodeTimeline(fakeBody([])).blocks.size).toBe(0);
  });

  const whole = (change: (head: Record<string, unknown>) => unknown) =>
    fakeBody(BLOCKS, [], fakeHead(), change);
  /** A body in whose head one member is another: `lanes.0.process`. */
  const head = (path: string, value: unknown) =>
    whole((one) => {
      const names = path.split(".");
      const last = names.pop() ?? "";
      // biome-ignore lint/suspicious/noExplicitAny: a head that is broken on purpose has no type
      const parent = names.reduce((inner: any, name) => inner[name], one);
      parent[last] = value;
      return one;
    });
  const wrong: readonly [string, ArrayBuffer, RegExp][] = [
    ["an empty body", new ArrayBuffer(0), /0 bytes has no head/],
    ["a head longer than the body", new Uint8Array([255, 255, 255, 127, 1, 2]).buffer, /the body 6/],
    ["a head that ends between words", new Uint8Array([2, 0, 0, 0, 123, 125]).buffer, /no multiple of 8/],
    ["a head that is no JSON", new Uint8Array([4, 0, 0, 0, 120, 120, 120, 120]).buffer, /no JSON/],
    ["a head that is a list", whole(() => [1]), /head is no object/],
    ["another schema", head("schema", "clew.timeline/2"), /schema is clew.timeline\/2/],
    ["no tables", head("tables", null), /tables is no object/],
    ["a column that is missing", head("tables.blocks.columns.end", undefined), /blocks.end is no object/],
    ["a column of another type", head("tables.blocks.columns.row.type", "u16"), /type u16, not u32/],
    ["a type that every object has", head("tables.blocks.columns.row.type", "constructor"), /not u32/],
    ["a column beyond the end", head("tables.blocks.columns.end.offset", 1 << 20), /beyond the body/],
    ["a column between words", head("tables.blocks.columns.end.offset", 4), /no multiple of 8/],
    ["an offset before the columns", head("tables.blocks.columns.end.offset", -8), /whole number/],
    ["a count that is no number", head("tables.blocks.count", "2"), /whole number/],
    ["more blocks than the body holds", head("tables.blocks.count", 2 ** 40), /beyond the body/],
    ["a lane of no process", head("lanes.0.process", 3), /process is 3 of 1/],
    ["a lane that is its own parent", head("lanes.0.parent", 0), /not a lane before it/],
    ["a lane beyond the rows", head("lanes.0.rows", 9), /beyond the 4 rows/],
    ["a lane of an unknown kind", head("lanes.0.kind", "fibre"), /kind is fibre/],
    ["far too many rows", head("rows", 2 ** 31), /at most 1000000/],
    ["a label that is no text", head("labels", ["", 3, ""]), /labels holds/],
    ["a run that ends before it begins", head("to_ns", -1), /before from_ns/],
    ["a process without a start", head("processes.0.start_ns", null), /start_ns is null/],
    ["a block on no row", fakeBody([{ start: 0, end: 1, row: 4 }]), /block 0 refers/],
    ["a block without its label", fakeBody([{ start: 0, end: 1, label: 3 }]), /block 0 refers/],
    ["a block at no place", fakeBody([{ start: 0, end: 1, place: 2 }]), /block 0 refers/],
    ["a block of no process", fakeBody([{ start: 0, end: 1, process: 1 }]), /block 0 refers/],
    ["a block of no kind", fakeBody([{ start: 0, end: 1, kind: 0 }]), /block 0 refers/],
    ["a block woken by none", fakeBody([{ start: 0, end: 1, waker: 1 }]), /block 0 refers/],
    ["a block woken before all", fakeBody([{ start: 0, end: 1, waker: -2 }]), /block 0 refers/],
    ["a block that ends before it begins", fakeBody([{ start: 2, end: 1 }]), /block 0 is from 2 to 1/],
    [
      "blocks out of order",
      fakeBody([
        { start: 2, end: 3 },
        { start: 1, end: 2 },
      ]),
      /after one from 2/,
    ],
    ["a block that begins at no number", fakeBody([{ start: Number.NaN, end: 1 }]), /from NaN/],
    ["a block without an end", fakeBody([{ start: 0, end: Number.POSITIVE_INFINITY }]), /to Infinity/],
    ["a mark at no number", fakeBody([], [{ t: Number.NaN }]), /mark 0 is at NaN/],
    ["a mark on no row", fakeBody([], [{ t: 0, row: 7 }]), /mark 0 refers/],
  ];
  test.each(wrong)("refuses %s and says what is wrong", (_, body, message) => {
    expect(() => decodeTimeline(body)).toThrow(ColumnsError);
    expect(() => decodeTimeline(body)).toThrow(message);
  });

  test("raises nothing but its own error, wherever a body is cut or changed", () => {
    const random = numbers(7);
    const whole = new Uint8Array(fakeBody(BLOCKS, [{ t: 3 }], fakeHead({ lanes: [fakeLane({ rows: 4 })] })));
    for (let i = 0; i < 3000; i++) {
      const body = whole.slice(0, i % 3 ? whole.length : Math.floor(random() * whole.length));
      for (let k = 0; k < 3 && body.length; k++)
        body[Math.floor(random() * body.length)] = Math.floor(random() * 256);
      try {
        decodeTimeline(body.buffer);
      } catch (error) {
        expect(error).toBeInstanceOf(ColumnsError);
      }
    }
  });
});
