import { expect, it } from "vitest";
import { nearest } from "./nearest";

const rows = [10, 20, 20, 40].map((t_ns, i) => ({ t_ns, i }));

it.each([
  [-5, 0],
  [14, 0],
  [16, 1],
  [20, 1],
  [29, 2],
  [31, 3],
  [900, 3],
])("nearest to %d is row %d", (t, row) => {
  expect(nearest(rows, t)?.i).toBe(row);
});

it("nothing is nearest where there is nothing", () => {
  expect(nearest([], 5)).toBeUndefined();
});
