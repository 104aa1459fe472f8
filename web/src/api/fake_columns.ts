/** Bodies of columns for tests, made as docs/reference/http.md says. */

import { BlockKind, decodeTimeline, type Timeline, type TimelineHead } from "./columns";

export interface FakeBlock {
  readonly start: number;
  readonly end: number;
  readonly row?: number;
  readonly kind?: number;
  readonly state?: number;
  readonly label?: number;
  readonly place?: number;
  readonly process?: number;
  readonly scope?: number;
  readonly seq?: number;
  readonly end_seq?: number;
  readonly waker?: number;
  readonly depth?: number;
}

export interface FakeMark {
  readonly t: number;
  readonly row?: number;
  readonly kind?: number;
  readonly label?: number;
  readonly process?: number;
  readonly seq?: number;
  readonly count?: number;
}

const BLOCK_TYPES = {
  start: "f64",
  end: "f64",
  row: "u32",
  kind: "u8",
  state: "u8",
  label: "u32",
  place: "u32",
  process: "u16",
  scope: "u32",
  seq: "u32",
  end_seq: "u32",
  waker: "i32",
  depth: "u8",
} as const;
const MARK_TYPES = {
  t: "f64",
  row: "u32",
  kind: "u8",
  label: "u32",
  process: "u16",
  seq: "u32",
  count: "u32",
} as const;
const ARRAYS = { f64: Float64Array, u32: Uint32Array, i32: Int32Array, u16: Uint16Array, u8: Uint8Array };
const DEFAULTS: Readonly<Record<string, number>> = { kind: BlockKind.step, state: 8, waker: -1 };

export function fakeHead(change: Partial<TimelineHead> = {}): TimelineHead {
  return {
    schema: "clew.timeline/1",
    run: "1".repeat(32),
    started_at: "2026-11-27T11:20:06.123456789Z",
    duration_ns: 1000,
    revision: 1,
    running: false,
    from_ns: 0,
    to_ns: 1000,
    processes: [
      { process: "a".repeat(16), service: "bank", label: "bank", pid: 7, start_ns: 0, end_ns: 1000 },
    ],
    lanes: [fakeLane({ rows: 4 })],
    rows: 4,
    labels: ["", "main", "wait lock Account.lock"],
    places: ["", "app.py:3 main"],
    ...change,
  };
}

export function fakeLane(change: Partial<TimelineHead["lanes"][number]> = {}): TimelineHead["lanes"][number] {
  return {
    process: 0,
    kind: "thread",
    name: "MainThread",
    parent: null,
    first_row: 0,
    rows: 1,
    busy_ns: 10,
    scopes: 1,
    in_run: true,
    ...change,
  };
}

/** Encodes a body. `change` is told the head as it will be sent, tables included. */
export function fakeBody(
  blocks: readonly FakeBlock[],
  marks: readonly FakeMark[] = [],
  head: TimelineHead = fakeHead(),
  change: (head: Record<string, unknown>) => unknown = (same) => same,
): ArrayBuffer {
  const columns: { at: number; values: InstanceType<(typeof ARRAYS)[keyof typeof ARRAYS]> }[] = [];
  let at = 0;
  const table = (rows: readonly object[], types: Readonly<Record<string, keyof typeof ARRAYS>>) => {
    const places: Record<string, { type: string; offset: number }> = {};
    for (const [name, type] of Object.entries(types)) {
      const values = new ARRAYS[type](
        rows.map((row) => (row as Record<string, number>)[name] ?? DEFAULTS[name] ?? 0),
      );
      places[name] = { type, offset: at };
      columns.push({ at, values });
      at = Math.ceil((at + values.byteLength) / 8) * 8;
    }
    return { count: rows.length, columns: places };
  };
  const tables = { blocks: table(blocks, BLOCK_TYPES), marks: table(marks, MARK_TYPES) };
  const text = new TextEncoder().encode(JSON.stringify(change({ ...structuredClone(head), tables })));
  const start = Math.ceil((4 + text.length) / 8) * 8;
  const body = new Uint8Array(start + at).fill(32, 4, start);
  new DataView(body.buffer).setUint32(0, start - 4, true);
  body.set(text, 4);
  for (const { at: offset, values } of columns)
    body.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), start + offset);
  return body.buffer;
}

export function fakeTimeline(
  blocks: readonly FakeBlock[],
  marks: readonly FakeMark[] = [],
  head: TimelineHead = fakeHead(),
): Timeline {
  return decodeTimeline(fakeBody(blocks, marks, head));
}

/** Numbers that look random and are the same in every run (mulberry32). */
export function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
