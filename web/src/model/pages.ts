/**
 * A long list of which some consecutive pages are here: what both ends do, and what a change on the server does
 * to it. Pure: the hook in `use_pages.ts` fetches.
 */

export interface Page<Row> {
  readonly rows: readonly Row[];
  readonly next: string | null;
  readonly previous: string | null;
  readonly total: number;
}

export interface Pages<Row> extends Page<Row> {
  /** Ascends by one with every row that was put in front: a view keeps its place by it. */
  readonly prepended: number;
}

export const EMPTY: Pages<never> = { rows: [], next: null, previous: null, total: 0, prepended: 0 };

export type KeyOf<Row> = (row: Row) => string;

export function firstPage<Row>(page: Page<Row>): Pages<Row> {
  return { ...page, prepended: 0 };
}

/** Adds the page after the last. */
export function append<Row>(pages: Pages<Row>, page: Page<Row>, keyOf: KeyOf<Row>): Pages<Row> {
  const known = new Set(pages.rows.map(keyOf));
  const rows = page.rows.filter((row) => !known.has(keyOf(row)));
  return { ...pages, rows: [...pages.rows, ...rows], next: page.next, total: page.total };
}

/** Adds the page before the first. */
export function prepend<Row>(pages: Pages<Row>, page: Page<Row>, keyOf: KeyOf<Row>): Pages<Row> {
  const known = new Set(pages.rows.map(keyOf));
  const rows = page.rows.filter((row) => !known.has(keyOf(row)));
  return {
    rows: [...rows, ...pages.rows],
    next: pages.next,
    previous: page.previous,
    total: page.total,
    prepended: pages.prepended + rows.length,
  };
}

/**
 * Takes in a fresh first page: what is new in front comes in front, what is known is brought up to date in its
 * place. Where the fresh page and the known rows do not touch, the list begins anew with it.
 */
export function refreshHead<Row>(pages: Pages<Row>, head: Page<Row>, keyOf: KeyOf<Row>): Pages<Row> {
  if (pages.rows.length === 0) return { ...head, prepended: pages.prepended };
  const fresh = new Map(head.rows.map((row) => [keyOf(row), row]));
  const known = new Set(pages.rows.map(keyOf));
  const touches = head.rows.some((row) => known.has(keyOf(row)));
  if (!touches || pages.rows.length <= head.rows.length) {
    // All of the list is in the fresh page: its order holds, rows may have gone.
    const added = leading(head.rows, known, keyOf);
    return { ...head, prepended: pages.prepended + (touches ? added : 0) };
  }
  const added = leading(head.rows, known, keyOf);
  const kept = pages.rows.map((row) => fresh.get(keyOf(row)) ?? row);
  return {
    ...pages,
    rows: [...head.rows.slice(0, added), ...kept],
    total: head.total,
    prepended: pages.prepended + added,
  };
}

/** Brings rows up to date in their places. */
export function replaceRows<Row>(pages: Pages<Row>, rows: readonly Row[], keyOf: KeyOf<Row>): Pages<Row> {
  const fresh = new Map(rows.map((row) => [keyOf(row), row]));
  return { ...pages, rows: pages.rows.map((row) => fresh.get(keyOf(row)) ?? row) };
}

function leading<Row>(rows: readonly Row[], known: ReadonlySet<string>, keyOf: KeyOf<Row>): number {
  const at = rows.findIndex((row) => known.has(keyOf(row)));
  return at < 0 ? rows.length : at;
}
