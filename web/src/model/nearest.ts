/** Finds a place in what is sorted by time. */

interface Timed {
  readonly t_ns: number;
}

/** The row nearest in time, of rows ascending by time; undefined where there are none. */
export function nearest<Row extends Timed>(rows: readonly Row[], t_ns: number): Row | undefined {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((rows[middle]?.t_ns ?? 0) < t_ns) low = middle + 1;
    else high = middle;
  }
  const [before, after] = [rows[low - 1], rows[low]];
  if (!before || !after) return before ?? after;
  return t_ns - before.t_ns <= after.t_ns - t_ns ? before : after;
}
