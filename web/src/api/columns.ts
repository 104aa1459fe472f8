/**
 * Decodes `application/vnd.clew.columns` (docs/reference/http.md, Timeline). The columns are views onto the
 * body, nothing is copied; what they refer to is checked once, so that drawing need not ask again.
 */

const TYPES = {
  f64: Float64Array,
  u32: Uint32Array,
  i32: Int32Array,
  u16: Uint16Array,
  u8: Uint8Array,
} as const;
type TypeName = keyof typeof TYPES;

const BLOCKS = {
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
const MARKS = {
  t: "f64",
  row: "u32",
  kind: "u8",
  label: "u32",
  process: "u16",
  seq: "u32",
  count: "u32",
} as const;

/** `size` rows; the marks have a column called `count`. */
type Table<T extends Readonly<Record<string, TypeName>>> = { readonly size: number } & {
  readonly [K in keyof T]: InstanceType<(typeof TYPES)[T[K]]>;
};
export type BlockColumns = Table<typeof BLOCKS>;
export type MarkColumns = Table<typeof MARKS>;

export const BlockKind = { step: 1, ready: 2, wait: 3, span: 4, life: 5 } as const;
export const BlockState = { open: 1, failed: 2, cancelled: 4, inRun: 8, inferred: 16 } as const;
export const MarkKind = { error: 1, unhandled: 2, dropped: 3, log: 4, custom: 5 } as const;

export interface LaneHead {
  readonly process: number;
  readonly kind: "thread" | "task" | "tasks" | "spans";
  readonly name: string;
  readonly parent: number | null;
  readonly first_row: number;
  readonly rows: number;
  readonly busy_ns: number;
  readonly scopes: number;
  readonly in_run: boolean;
}

export interface ProcessHead {
  readonly process: string;
  readonly service: string;
  readonly label: string;
  readonly pid: number;
  readonly start_ns: number;
  readonly end_ns: number | null;
}

export interface TimelineHead {
  readonly schema: "clew.timeline/1";
  readonly run: string;
  readonly started_at: string;
  readonly duration_ns: number;
  readonly revision: number;
  readonly running: boolean;
  readonly from_ns: number;
  readonly to_ns: number;
  readonly processes: readonly ProcessHead[];
  readonly lanes: readonly LaneHead[];
  readonly rows: number;
  readonly labels: readonly string[];
  readonly places: readonly string[];
}

export interface Timeline {
  readonly head: TimelineHead;
  readonly blocks: BlockColumns;
  readonly marks: MarkColumns;
  readonly size: number;
}

/** The body is not what the contract says: what was found, what was expected. */
export class ColumnsError extends Error {
  override readonly name = "ColumnsError";
}

/** More rows than this no picture has: 80 bytes are kept for each. */
const MAX_ROWS = 1_000_000;

/**
 * Decodes a timeline.
 *
 * Complexity: O(n) checks for n blocks, about 6 ms for a million; no copies.
 * Raises: ColumnsError where the body breaks the contract.
 */
export function decodeTimeline(body: ArrayBuffer): Timeline {
  if (new Uint8Array(new Uint16Array([1]).buffer)[0] !== 1)
    throw new ColumnsError("this machine is big-endian; the columns are little-endian");
  const { head, start } = readHead(body);
  const tables = recordOf(head.tables, "tables");
  const blocks = tableOf(body, start, tables.blocks, BLOCKS, "blocks");
  const marks = tableOf(body, start, tables.marks, MARKS, "marks");
  const checked = checkHead(head);
  checkBlocks(checked, blocks);
  checkMarks(checked, marks);
  return { head: checked, blocks, marks, size: body.byteLength };
}

function readHead(body: ArrayBuffer): { head: Record<string, unknown>; start: number } {
  if (body.byteLength < 4) throw new ColumnsError(`a body of ${body.byteLength} bytes has no head`);
  const length = new DataView(body).getUint32(0, true);
  const start = 4 + length;
  if (start > body.byteLength)
    throw new ColumnsError(`the head has ${length} bytes, the body ${body.byteLength}`);
  if (start % 8) throw new ColumnsError(`the columns begin at byte ${start}, no multiple of 8`);
  let head: unknown;
  try {
    head = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(body, 4, length)));
  } catch (cause) {
    throw new ColumnsError("the head is no JSON", { cause });
  }
  return { head: recordOf(head, "head"), start };
}

function tableOf<T extends Readonly<Record<string, TypeName>>>(
  body: ArrayBuffer,
  start: number,
  described: unknown,
  wanted: T,
  name: string,
): Table<T> {
  const table = recordOf(described, name);
  const count = whole(table.count, `${name}.count`);
  const columns = recordOf(table.columns, `${name}.columns`);
  const found: Record<string, unknown> = { size: count };
  for (const [column, type] of Object.entries(wanted)) {
    const where = `${name}.${column}`;
    const place = recordOf(columns[column], where);
    if (place.type !== type) throw new ColumnsError(`${where} has type ${String(place.type)}, not ${type}`);
    const offset = whole(place.offset, `${where}.offset`);
    const Column = TYPES[type];
    if (offset % 8) throw new ColumnsError(`${where} begins at ${offset}, no multiple of 8`);
    if (start + offset + count * Column.BYTES_PER_ELEMENT > body.byteLength)
      throw new ColumnsError(`${where} reaches beyond the body of ${body.byteLength} bytes`);
    found[column] = new Column(body, start + offset, count);
  }
  return found as Table<T>;
}

function checkHead(head: Record<string, unknown>): TimelineHead {
  if (head.schema !== "clew.timeline/1")
    throw new ColumnsError(`the schema is ${String(head.schema)}, not clew.timeline/1`);
  for (const name of ["run", "started_at"])
    if (typeof head[name] !== "string") throw new ColumnsError(`${name} is no text`);
  for (const name of ["duration_ns", "from_ns", "to_ns", "revision"]) finite(head[name], name);
  if ((head.to_ns as number) < (head.from_ns as number)) throw new ColumnsError("to_ns is before from_ns");
  const rows = whole(head.rows, "rows");
  if (rows > MAX_ROWS) throw new ColumnsError(`there are ${rows} rows, at most ${MAX_ROWS} are drawn`);
  const processes = listOf(head.processes, "processes");
  processes.forEach((one, i) => {
    checkProcess(recordOf(one, `processes[${i}]`), i);
  });
  for (const name of ["labels", "places"])
    if (!listOf(head[name], name).every((text) => typeof text === "string"))
      throw new ColumnsError(`${name} holds what is no text`);
  const lanes = listOf(head.lanes, "lanes");
  lanes.forEach((lane, i) => {
    checkLane(recordOf(lane, `lanes[${i}]`), i, processes.length, rows);
  });
  return head as unknown as TimelineHead;
}

function checkProcess(one: Record<string, unknown>, i: number): void {
  for (const name of ["process", "service", "label"])
    if (typeof one[name] !== "string") throw new ColumnsError(`processes[${i}].${name} is no text`);
  finite(one.start_ns, `processes[${i}].start_ns`);
  if (one.end_ns !== null) finite(one.end_ns, `processes[${i}].end_ns`);
}

function checkLane(lane: Record<string, unknown>, i: number, processes: number, rows: number): void {
  const where = `lanes[${i}]`;
  if (!["thread", "task", "tasks", "spans"].includes(lane.kind as string))
    throw new ColumnsError(`${where}.kind is ${String(lane.kind)}`);
  if (typeof lane.name !== "string") throw new ColumnsError(`${where}.name is no text`);
  if (whole(lane.process, `${where}.process`) >= processes)
    throw new ColumnsError(`${where}.process is ${String(lane.process)} of ${processes}`);
  // A parent stands before its children: so there can be no circle.
  if (lane.parent !== null && whole(lane.parent, `${where}.parent`) >= i)
    throw new ColumnsError(`${where}.parent is ${String(lane.parent)}, not a lane before it`);
  if (whole(lane.first_row, `${where}.first_row`) + whole(lane.rows, `${where}.rows`) > rows)
    throw new ColumnsError(`${where} reaches beyond the ${rows} rows`);
  finite(lane.busy_ns, `${where}.busy_ns`);
  whole(lane.scopes, `${where}.scopes`);
}

function checkBlocks(head: TimelineHead, blocks: BlockColumns): void {
  const { size: count, start, end, row, kind, label, place, process, waker } = blocks;
  const { rows } = head;
  const labels = head.labels.length;
  const places = head.places.length;
  const processes = head.processes.length;
  let before = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < count; i++) {
    const from = start[i] as number;
    // Written so that what is no number fails too.
    if (!(from >= before && (end[i] as number) >= from && (end[i] as number) < Number.POSITIVE_INFINITY))
      throw new ColumnsError(`block ${i} is from ${from} to ${end[i]}, after one from ${before}`);
    before = from;
    if (
      (row[i] as number) >= rows ||
      (label[i] as number) >= labels ||
      ((place[i] as number) >= places && place[i] !== 0) ||
      (process[i] as number) >= processes ||
      (waker[i] as number) >= count ||
      (waker[i] as number) < -1 ||
      (kind[i] as number) < 1 ||
      (kind[i] as number) > 5
    )
      throw new ColumnsError(`block ${i} refers to what is not there`);
  }
  if (count && before === Number.NEGATIVE_INFINITY) throw new ColumnsError("blocks begin at no time");
}

function checkMarks(head: TimelineHead, marks: MarkColumns): void {
  let before = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < marks.size; i++) {
    const t = marks.t[i] as number;
    if (!(t >= before && Number.isFinite(t))) throw new ColumnsError(`mark ${i} is at ${t}, after ${before}`);
    before = t;
    if (
      (marks.row[i] as number) >= head.rows ||
      (marks.label[i] as number) >= head.labels.length ||
      (marks.process[i] as number) >= head.processes.length
    )
      throw new ColumnsError(`mark ${i} refers to what is not there`);
  }
}

function recordOf(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new ColumnsError(`${name} is no object`);
  return value as Record<string, unknown>;
}

function listOf(value: unknown, name: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new ColumnsError(`${name} is no list`);
  return value;
}

function whole(value: unknown, name: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
    throw new ColumnsError(`${name} is ${String(value)}, not a whole number from 0 on`);
  return value;
}

function finite(value: unknown, name: string): void {
  if (typeof value !== "number" || !Number.isFinite(value))
    throw new ColumnsError(`${name} is ${String(value)}, not a number`);
}
