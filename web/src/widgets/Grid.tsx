/**
 * A table of any length: rows of one height, of which only those in sight are in the document. One line of the
 * table is active; keys move it. A grid, or a treegrid where rows have levels (ARIA 1.2).
 */

import {
  type HTMLAttributes,
  type KeyboardEvent,
  memo,
  type ReactNode,
  useEffect,
  useId,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import { useActions } from "../model/keys";
import "./grid.css";
import { GridHead } from "./GridHead";
import { columnTemplate, shownColumns, useColumnWidths } from "./grid_columns";

export interface Column<Row> {
  readonly id: string;
  readonly title: string;
  /** A track of CSS grid: `80px`, `minmax(160px, 1fr)`. */
  readonly width: string;
  readonly align?: "right";
  /** Left out where the table is narrower than this many pixels. */
  readonly from?: number;
  /** The name to sort by. */
  readonly sort?: string;
  readonly cell: (row: Row, index: number) => ReactNode;
}

export interface GridProps<Row> {
  /** Names it where the widths of its columns are kept. */
  readonly id: string;
  readonly label: string;
  readonly isTree?: boolean;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string;
  /** How many rows there are in all, here or not. */
  readonly total?: number;
  readonly active: string | null;
  /** A row to bring in sight while none is active. */
  readonly reveal?: string | null;
  readonly onActive: (row: Row, index: number) => void;
  readonly onOpen?: (row: Row, index: number) => void;
  readonly opensOnClick?: boolean;
  readonly rowProps?: (row: Row, index: number) => HTMLAttributes<HTMLDivElement>;
  readonly sort?: string;
  readonly onSort?: (sort: string) => void;
  readonly onNearEnd?: () => void;
  readonly onNearStart?: () => void;
  /** Ascends with rows put in front: what is in sight stays where it is. */
  readonly prepended?: number;
  /** Whether that holds at the very top too; else new rows are shown there. */
  readonly staysAtTop?: boolean;
  readonly rowHeight?: number;
  /** Keys of a special table; true: it was one. */
  readonly onKey?: (event: KeyboardEvent, row: Row | undefined, index: number) => boolean;
  /** Answers `j`, `k` and `enter` wherever the focus is. */
  readonly isPrimary?: boolean;
  /** Instead of rows, where there are none. */
  readonly empty?: ReactNode;
}

const OVERSCAN = 10;
/** How many rows from an end more are asked for. */
const NEAR = 40;
const HEAD = 28;

export function Grid<Row>(props: GridProps<Row>): ReactNode {
  const { rows, keyOf, active, rowHeight = 28, empty } = props;
  const box = useRef<HTMLDivElement>(null);
  const id = useId();
  const view = useView(box, rowHeight);
  const widths = useColumnWidths(props.id);
  const columns = shownColumns(props.columns, view.width);
  const template = columnTemplate(columns, widths.of);
  const at = active === null ? -1 : rows.findIndex((row) => keyOf(row) === active);

  const first = Math.max(0, Math.min(view.first - OVERSCAN, rows.length));
  const last = Math.min(rows.length, view.first + view.count + OVERSCAN);
  useAnchor(box, props.prepended ?? 0, rowHeight, props.staysAtTop ?? false);
  const shownKey = at >= 0 ? active : (props.reveal ?? null);
  const shownAt = at >= 0 || shownKey === null ? at : rows.findIndex((row) => keyOf(row) === shownKey);
  useInSight(box, shownAt, shownKey, rowHeight);
  useEnds(first, last, rows.length, props);

  const move = (to: number) => {
    const next = Math.max(0, Math.min(rows.length - 1, to));
    const row = rows[next];
    if (row !== undefined) props.onActive(row, next);
  };
  const open = () => {
    const row = rows[at];
    if (row !== undefined) props.onOpen?.(row, at);
  };
  usePrimaryKeys(props.isPrimary ?? false, at, move, props.onOpen ? open : undefined);

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const to = destination(event.key, at, Math.max(1, view.count - 1), rows.length);
    const isTaken = props.onKey?.(event, rows[at], at) ?? false;
    if (!isTaken && to !== null) move(to);
    else if (!isTaken && event.key === "Enter") open();
    else if (!isTaken) return;
    event.preventDefault();
    event.stopPropagation();
  };

  const shown = rows.slice(first, last);
  return (
    // biome-ignore lint/a11y/useAriaPropsSupportedByRole: its role is one of two, both with a name
    // biome-ignore lint/a11y/noStaticElementInteractions: its role is one of two, both interactive
    <div
      className="grid"
      ref={box}
      role={props.isTree ? "treegrid" : "grid"}
      aria-label={props.label}
      aria-rowcount={Math.max(props.total ?? 0, rows.length) + 1}
      aria-colcount={columns.length}
      aria-activedescendant={at >= first && at < last ? `${id}-${at}` : undefined}
      tabIndex={0}
      onKeyDown={onKeyDown}
    >
      <GridHead
        columns={columns}
        template={template}
        sort={props.sort}
        onSort={props.onSort}
        widths={widths}
      />
      {rows.length === 0 ? (
        <div className="grid-empty">{empty}</div>
      ) : (
        <div className="grid-body" role="rowgroup" style={{ height: rows.length * rowHeight }}>
          {shown.map((row, i) => (
            <GridRow
              key={keyOf(row)}
              row={row}
              index={first + i}
              id={`${id}-${first + i}`}
              columns={columns}
              template={template}
              height={rowHeight}
              isActive={first + i === at}
              extra={props.rowProps?.(row, first + i)}
              onClick={props.opensOnClick && props.onOpen ? props.onOpen : props.onActive}
              onDoubleClick={props.onOpen}
            />
          ))}
        </div>
      )}
    </div>
  );
}

/** The row a key goes to from row *at*; null where the key is none that goes anywhere. */
function destination(key: string, at: number, page: number, length: number): number | null {
  switch (key) {
    case "ArrowDown":
      return at + 1;
    case "ArrowUp":
      return Math.max(at, 0) - 1;
    case "PageDown":
      return at + page;
    case "PageUp":
      return at - page;
    case "Home":
      return 0;
    case "End":
      return length - 1;
    default:
      return null;
  }
}

interface GridRowProps<Row> {
  readonly row: Row;
  readonly index: number;
  readonly id: string;
  readonly columns: readonly Column<Row>[];
  readonly template: string;
  readonly height: number;
  readonly isActive: boolean;
  readonly extra: HTMLAttributes<HTMLDivElement> | undefined;
  readonly onClick: (row: Row, index: number) => void;
  readonly onDoubleClick: ((row: Row, index: number) => void) | undefined;
}

function PlainRow<Row>(props: GridRowProps<Row>): ReactNode {
  const { row, index, columns, extra } = props;
  const { className, ...more } = extra ?? {};
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: keys are the grid's, which has the focus
    <div
      {...more}
      id={props.id}
      role="row"
      aria-rowindex={index + 2}
      aria-selected={props.isActive}
      className={`grid-row${props.isActive ? " is-active" : ""}${className ? ` ${className}` : ""}`}
      style={{
        ...more.style,
        gridTemplateColumns: props.template,
        height: props.height,
        top: index * props.height,
      }}
      onClick={(event) => {
        // A link in a cell goes its own way, and text that was just marked stays marked.
        if (event.target instanceof Element && event.target.closest("a,button")) return;
        if (!getSelection()?.toString()) props.onClick(row, index);
      }}
      onDoubleClick={() => props.onDoubleClick?.(row, index)}
    >
      {columns.map((column) => (
        <div
          key={column.id}
          role="gridcell"
          className={column.align === "right" ? "cell is-right" : "cell"}
          tabIndex={-1}
        >
          {column.cell(row, index)}
        </div>
      ))}
    </div>
  );
}

const GridRow = memo(PlainRow) as typeof PlainRow;

interface View {
  readonly first: number;
  readonly count: number;
  readonly width: number;
}

/** Which rows are in sight. Scrolling within a row changes nothing. */
function useView(box: { readonly current: HTMLDivElement | null }, rowHeight: number): View {
  const [view, setView] = useState<View>({ first: 0, count: 40, width: 10_000 });
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const measure = () => {
      const next = {
        first: Math.floor(element.scrollTop / rowHeight),
        count: Math.ceil(element.clientHeight / rowHeight),
        width: element.clientWidth,
      };
      setView((before) =>
        before.first === next.first && before.count === next.count && before.width === next.width
          ? before
          : next,
      );
    };
    measure();
    element.addEventListener("scroll", measure, { passive: true });
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => {
      element.removeEventListener("scroll", measure);
      observer.disconnect();
    };
  }, [box, rowHeight]);
  return view;
}

/** Keeps what is in sight where it is as rows come in front of it. */
function useAnchor(
  box: { readonly current: HTMLDivElement | null },
  prepended: number,
  rowHeight: number,
  staysAtTop: boolean,
): void {
  const before = useRef(prepended);
  useLayoutEffect(() => {
    const added = prepended - before.current;
    before.current = prepended;
    const element = box.current;
    if (element && added > 0 && (staysAtTop || element.scrollTop > rowHeight / 2)) {
      element.scrollTop += added * rowHeight;
    }
  }, [box, prepended, rowHeight, staysAtTop]);
}

/** Scrolls to the active row when another one becomes active, as little as needed. */
function useInSight(
  box: { readonly current: HTMLDivElement | null },
  at: number,
  active: string | null,
  rowHeight: number,
): void {
  const isKnown = at >= 0;
  const position = useRef(at);
  position.current = at;
  // biome-ignore lint/correctness/useExhaustiveDependencies: `active` is the trigger; rows that come in front are not
  useLayoutEffect(() => {
    const element = box.current;
    if (!element || !isKnown) return;
    const top = position.current * rowHeight;
    const space = element.clientHeight - HEAD;
    if (top < element.scrollTop) element.scrollTop = top < element.scrollTop - space ? top - space / 2 : top;
    else if (top + rowHeight > element.scrollTop + space) {
      const isFar = top > element.scrollTop + 2 * space;
      element.scrollTop = isFar ? top - space / 2 : top + rowHeight - space;
    }
  }, [box, active, isKnown, rowHeight]);
}

function useEnds<Row>(first: number, last: number, length: number, props: GridProps<Row>): void {
  const { onNearEnd, onNearStart } = props;
  const isNearEnd = length > 0 && last >= length - NEAR;
  const isNearStart = length > 0 && first <= NEAR;
  // biome-ignore lint/correctness/useExhaustiveDependencies: asked again when the list has grown
  useEffect(() => {
    if (isNearEnd) onNearEnd?.();
  }, [isNearEnd, length, onNearEnd]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: asked again when the list has grown
  useEffect(() => {
    if (isNearStart) onNearStart?.();
  }, [isNearStart, length, onNearStart]);
}

function usePrimaryKeys(isPrimary: boolean, at: number, move: (to: number) => void, open?: () => void): void {
  useActions(
    isPrimary
      ? [
          { id: "list.next", title: "Next line", key: "j", group: "Select", run: () => move(at + 1) },
          {
            id: "list.previous",
            title: "Previous line",
            key: "k",
            group: "Select",
            run: () => move(Math.max(at, 0) - 1),
          },
          ...(open
            ? [{ id: "list.open", title: "Open the line", key: "enter", group: "Select" as const, run: open }]
            : []),
        ]
      : [],
  );
}
