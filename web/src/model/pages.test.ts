import { describe, expect, it } from "vitest";
import { append, firstPage, type Page, prepend, refreshHead, replaceRows } from "./pages";

interface Row {
  readonly id: number;
  readonly state?: string;
}

const keyOf = (row: Row) => String(row.id);
const ids = (rows: readonly Row[]) => rows.map((row) => row.id);

function page(from: number, to: number, about: Partial<Page<Row>> = {}): Page<Row> {
  const step = from <= to ? 1 : -1;
  const rows = Array.from({ length: Math.abs(to - from) + 1 }, (_, i) => ({ id: from + i * step }));
  return { rows, next: null, previous: null, total: 1000, ...about };
}

describe("pages", () => {
  it("grow at their end, each row once", () => {
    const pages = append(firstPage(page(1, 3, { next: "b" })), page(3, 5, { next: "c" }), keyOf);
    expect(ids(pages.rows)).toEqual([1, 2, 3, 4, 5]);
    expect(pages.next).toBe("c");
    expect(pages.prepended).toBe(0);
  });

  it("grow at their front, and say by how many rows", () => {
    const pages = prepend(firstPage(page(4, 6, { previous: "a", next: "n" })), page(1, 4), keyOf);
    expect(ids(pages.rows)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(pages.prepended).toBe(3);
    expect(pages.previous).toBeNull();
    expect(pages.next).toBe("n");
  });
});

describe("a fresh first page of a list with the newest in front", () => {
  const long = append(firstPage(page(9, 7, { next: "x" })), page(6, 4, { next: "y" }), keyOf);

  it("adds what is new and keeps what was loaded further down", () => {
    const pages = refreshHead(long, page(11, 9, { next: "z", total: 1002 }), keyOf);
    expect(ids(pages.rows)).toEqual([11, 10, 9, 8, 7, 6, 5, 4]);
    expect(pages.prepended).toBe(2);
    expect(pages.next).toBe("y");
    expect(pages.total).toBe(1002);
  });

  it("brings known rows up to date in their places", () => {
    const head = { ...page(9, 7), rows: [{ id: 9 }, { id: 8, state: "failed" }, { id: 7 }] };
    const pages = refreshHead(long, head, keyOf);
    expect(pages.rows[1]).toEqual({ id: 8, state: "failed" });
    expect(pages.prepended).toBe(0);
  });

  it("begins anew where so much is new that it does not touch the old", () => {
    const pages = refreshHead(long, page(30, 28, { next: "q" }), keyOf);
    expect(ids(pages.rows)).toEqual([30, 29, 28]);
    expect(pages.next).toBe("q");
  });

  it("drops rows that are gone where all of the list is in it", () => {
    const pages = refreshHead(
      firstPage(page(3, 1)),
      { ...page(3, 1), rows: [{ id: 4 }, { id: 3 }, { id: 1 }] },
      keyOf,
    );
    expect(ids(pages.rows)).toEqual([4, 3, 1]);
    expect(pages.prepended).toBe(1);
  });

  it("fills a list that was empty", () => {
    expect(ids(refreshHead(firstPage({ ...page(1, 1), rows: [] }), page(2, 1), keyOf).rows)).toEqual([2, 1]);
  });
});

it("rows are replaced in their places, and others are not added", () => {
  const pages = replaceRows(firstPage(page(1, 2)), [{ id: 2, state: "failed" }, { id: 7 }], keyOf);
  expect(pages.rows).toEqual([{ id: 1 }, { id: 2, state: "failed" }]);
});
