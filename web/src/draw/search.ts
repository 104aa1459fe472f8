/** Binary searches in ascending columns. */

/** The first position from `low` on, before `high`, whose value is greater than `value`; `high` if none is. */
export function firstAbove(values: Float64Array, low: number, high: number, value: number): number {
  let a = low;
  let b = high;
  while (a < b) {
    const middle = (a + b) >>> 1;
    if ((values[middle] as number) > value) b = middle;
    else a = middle + 1;
  }
  return a;
}

/** The first position from `low` on, before `high`, whose value is not less than `value`; `high` if none is. */
export function firstNotBelow(values: Float64Array, low: number, high: number, value: number): number {
  let a = low;
  let b = high;
  while (a < b) {
    const middle = (a + b) >>> 1;
    if ((values[middle] as number) >= value) b = middle;
    else a = middle + 1;
  }
  return a;
}

/** Like `firstNotBelow` where the answer is near `low`: looks in steps that double. */
export function nextNotBelow(values: Float64Array, low: number, high: number, value: number): number {
  let step = 1;
  let a = low;
  while (a < high && (values[a] as number) < value) {
    const next = a + step;
    if (next >= high || (values[next] as number) >= value)
      return firstNotBelow(values, a + 1, Math.min(next, high), value);
    a = next;
    step *= 2;
  }
  return a;
}
