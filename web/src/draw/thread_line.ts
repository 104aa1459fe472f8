/**
 * The thread of causes as one line. It runs along a row while something happens there, and goes down or up
 * to the next row at the moment that enabled it: what was waited for in between is seen as its length.
 */

export interface ThreadPoint {
  /** When it began, and when it enabled what follows. */
  readonly t: number;
  readonly until: number;
  /** Height of its row's middle. */
  readonly y: number;
}

export interface Corner {
  readonly x: number;
  readonly y: number;
}

/** How far beyond the window a corner may stand: far enough not to be seen, near enough for a canvas. */
const BEYOND = 64;

/** The corners of the line, in pixels: steps that fall together become one. */
export function corners(
  points: readonly ThreadPoint[],
  from: number,
  to: number,
  width: number,
): readonly Corner[] {
  const perNs = width / (to - from);
  const xOf = (t: number) => Math.min(Math.max((t - from) * perNs, -BEYOND), width + BEYOND);
  const line: Corner[] = [];
  const add = (x: number, y: number) => {
    const last = line.at(-1);
    const before = line.at(-2);
    if (last && Math.abs(last.x - x) < 0.5 && Math.abs(last.y - y) < 0.5) return;
    // A third corner on one straight line says nothing, unless the line turns back there.
    if (last && before && isBetween(before, last, { x, y })) line.pop();
    line.push({ x, y });
  };
  points.forEach((point, i) => {
    add(xOf(point.t), point.y);
    const next = points[i + 1];
    if (!next) {
      add(xOf(point.until), point.y);
      return;
    }
    // It leaves when it enabled what follows, and not later than that began.
    const leaves = Math.max(point.t, Math.min(point.until, next.t));
    add(xOf(leaves), point.y);
    add(xOf(leaves), next.y);
  });
  return line;
}

function isBetween(a: Corner, b: Corner, c: Corner): boolean {
  if (a.y === b.y && b.y === c.y) return (b.x - a.x) * (c.x - b.x) >= 0;
  return a.x === b.x && b.x === c.x && (b.y - a.y) * (c.y - b.y) >= 0;
}

/** What of a canvas's path the line needs. */
export interface Path {
  moveTo(x: number, y: number): void;
  lineTo(x: number, y: number): void;
  arcTo(x1: number, y1: number, x2: number, y2: number, radius: number): void;
}

/** Draws the line with rounded corners. */
export function trace(path: Path, line: readonly Corner[], radius: number): void {
  line.forEach((corner, i) => {
    const before = line[i - 1];
    const next = line[i + 1];
    if (!before) path.moveTo(corner.x, corner.y);
    else if (!next) path.lineTo(corner.x, corner.y);
    else {
      const room = Math.min(reach(before, corner), reach(corner, next)) / 2;
      path.arcTo(corner.x, corner.y, next.x, next.y, Math.min(radius, room));
    }
  });
}

const reach = (a: Corner, b: Corner): number => Math.abs(a.x - b.x) + Math.abs(a.y - b.y);
