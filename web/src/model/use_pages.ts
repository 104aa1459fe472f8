/** Fetches the pages of a long list as they are scrolled to, and keeps them up to date. */

import { useCallback, useEffect, useRef, useState } from "react";
import { ApiError } from "../api/errors";
import { live } from "../api/live";
import {
  append,
  EMPTY,
  firstPage,
  type KeyOf,
  type Page,
  type Pages,
  prepend,
  refreshHead,
  replaceRows,
} from "./pages";

export interface PageSource<Row> {
  /** What is listed: another key begins anew. */
  readonly key: string;
  readonly keyOf: KeyOf<Row>;
  readonly fetch: (cursor: string | null, signal: AbortSignal) => Promise<Page<Row>>;
  /** Whether a change on the server may change the list. */
  readonly follows: (runs: readonly string[]) => boolean;
  /** Whether new rows come at the front: then a fresh first page is all it takes. */
  readonly isNewestFirst: boolean;
  /** Fetches rows by their keys: those that changed further down than the first page reaches. */
  readonly fetchRows?: (keys: readonly string[], signal: AbortSignal) => Promise<readonly Row[]>;
}

export interface PagedList<Row> {
  readonly pages: Pages<Row>;
  readonly error: ApiError | null;
  /** Nothing of this list has come yet. */
  readonly isFirst: boolean;
  readonly isLoading: boolean;
  readonly loadNext: () => void;
  readonly loadPrevious: () => void;
  readonly retry: () => void;
}

interface State<Row> {
  readonly key: string;
  readonly pages: Pages<Row>;
  readonly error: ApiError | null;
  readonly isFirst: boolean;
  readonly isLoading: boolean;
}

const LEAST_BETWEEN_MS = 400;

export function usePages<Row>(source: PageSource<Row>): PagedList<Row> {
  const [state, setState] = useState<State<Row>>({
    key: source.key,
    pages: EMPTY,
    error: null,
    isFirst: true,
    isLoading: true,
  });
  const latest = useRef(source);
  latest.current = source;
  const busy = useRef<AbortController | null>(null);

  const load = useCallback(
    (cursor: string | null, take: (pages: Pages<Row>, page: Page<Row>) => Pages<Row>, isQuiet = false) => {
      if (busy.current && isQuiet) return;
      busy.current?.abort();
      const stop = new AbortController();
      busy.current = stop;
      const { key, fetch } = latest.current;
      if (!isQuiet) setState((before) => ({ ...before, isLoading: true, error: null }));
      fetch(cursor, stop.signal)
        .then((page) => {
          if (stop.signal.aborted) return;
          setState((before) => ({
            key,
            pages: take(before.pages, page),
            error: null,
            isFirst: false,
            isLoading: false,
          }));
        })
        .catch((error: unknown) => {
          if (stop.signal.aborted) return;
          const shown = error instanceof ApiError ? error : new ApiError(0, "page-failed", String(error), "");
          setState((before) => ({ ...before, key, error: shown, isLoading: false }));
        })
        .finally(() => {
          if (busy.current === stop) busy.current = null;
        });
    },
    [],
  );

  // biome-ignore lint/correctness/useExhaustiveDependencies: the key says what is listed
  useEffect(() => {
    load(null, (_, page) => firstPage(page));
    return () => {
      busy.current?.abort();
      busy.current = null;
    };
  }, [source.key, load]);

  useFollow(latest, load, state.error !== null);
  useRefresh(latest, setState);

  const { pages } = state;
  const loadNext = useCallback(() => {
    if (busy.current || pages.next === null) return;
    load(pages.next, (before, page) => append(before, page, latest.current.keyOf));
  }, [pages.next, load]);
  const loadPrevious = useCallback(() => {
    if (busy.current || pages.previous === null) return;
    load(pages.previous, (before, page) => prepend(before, page, latest.current.keyOf));
  }, [pages.previous, load]);
  const retry = useCallback(() => load(null, (_, page) => firstPage(page)), [load]);
  return { ...state, loadNext, loadPrevious, retry };
}

type Load<Row> = (
  cursor: string | null,
  take: (pages: Pages<Row>, page: Page<Row>) => Pages<Row>,
  isQuiet?: boolean,
) => void;

/** Takes in what changes on the server, at most every 400 ms. */
function useFollow<Row>(
  latest: { readonly current: PageSource<Row> },
  load: Load<Row>,
  isBroken: boolean,
): void {
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | null = null;
    const off = live.onChange((change) => {
      if (timer !== null || !(isBroken || latest.current.follows(change.runs))) return;
      timer = setTimeout(() => {
        timer = null;
        const { keyOf, isNewestFirst } = latest.current;
        load(
          null,
          (before, page) => (isNewestFirst ? refreshHead(before, page, keyOf) : grown(before, page)),
          !isBroken,
        );
      }, LEAST_BETWEEN_MS);
    });
    return () => {
      off();
      if (timer !== null) clearTimeout(timer);
    };
  }, [latest, load, isBroken]);
}

/** Most rows that are brought up to date at once. */
const MOST_ROWS = 50;

/** Brings rows up to date that changed on the server, wherever in the list they stand. */
function useRefresh<Row>(
  latest: { readonly current: PageSource<Row> },
  setState: (change: (before: State<Row>) => State<Row>) => void,
): void {
  useEffect(() => {
    const stop = new AbortController();
    const changed = new Set<string>();
    let timer: ReturnType<typeof setTimeout> | null = null;
    const refresh = () => {
      timer = null;
      const { fetchRows, keyOf, key } = latest.current;
      const keys = [...changed].slice(0, MOST_ROWS);
      changed.clear();
      // What is asked in vain is asked again with the next change: the list itself says what is wrong.
      fetchRows?.(keys, stop.signal).then(
        (rows) =>
          setState((before) =>
            before.key === key ? { ...before, pages: replaceRows(before.pages, rows, keyOf) } : before,
          ),
        () => undefined,
      );
    };
    const off = live.onChange((change) => {
      if (!latest.current.fetchRows) return;
      for (const run of change.runs) changed.add(run);
      if (changed.size > 0) timer ??= setTimeout(refresh, 2 * LEAST_BETWEEN_MS);
    });
    return () => {
      off();
      stop.abort();
      if (timer !== null) clearTimeout(timer);
    };
  }, [latest, setState]);
}

/** In a list that grows at its end only the first page can be replaced without moving what is looked at. */
function grown<Row>(before: Pages<Row>, page: Page<Row>): Pages<Row> {
  if (before.rows.length <= page.rows.length && before.previous === null)
    return { ...page, prepended: before.prepended };
  return { ...before, total: page.total };
}
