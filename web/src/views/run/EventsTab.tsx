/** Every event of the run, by time; the selected one and its thread are marked in it. */

import { type ReactNode, useCallback, useEffect, useMemo, useState } from "react";
import { useEvent } from "../../api/queries";
import { getEvents } from "../../api/requests";
import type { EventRow } from "../../api/types";
import { count } from "../../base/format";
import { nearest } from "../../model/nearest";
import { go, usePlace } from "../../model/place";
import { type EventRef, eventOf } from "../../model/selection";
import { threadClass, threadMarks } from "../../model/thread_rows";
import { usePages } from "../../model/use_pages";
import { FilterBox } from "../../widgets/FilterBox";
import { Grid } from "../../widgets/Grid";
import { Empty, Failure, Skeleton } from "../../widgets/states";
import { useRunState } from "./context";
import { eventColumns } from "./event_columns";

const PAGE = 300;
const keyOf = (row: EventRef) => `${row.process}:${row.seq}`;

export function EventsTab(): ReactNode {
  const { run, steps, show, hues } = useRunState();
  const { filter, selection } = usePlace();
  const selected = eventOf(selection);
  // The event around which the table was asked for: another one when what is selected is not in it.
  const [around, setAround] = useState<EventRef | null>(selected);
  const list = usePages<EventRow>({
    key: `${run.id}\n${filter}\n${around ? keyOf(around) : ""}`,
    keyOf,
    fetch: async (cursor, signal) => {
      const place = cursor === null && around ? { around: keyOf(around) } : { cursor };
      const page = await getEvents(run.id, { filter, limit: PAGE, ...place }, signal);
      return { rows: page.events, next: page.next_cursor, previous: page.previous_cursor, total: page.total };
    },
    follows: (runs) => runs.includes(run.id),
    isNewestFirst: false,
  });
  const { rows, total, prepended } = list.pages;
  const wanted = selected ? keyOf(selected) : null;
  const isHere = useMemo(() => wanted !== null && rows.some((row) => keyOf(row) === wanted), [rows, wanted]);
  // An event that led to the run, or that a filter hides, has no row: the table shows what happened about then.
  const { data: event } = useEvent(run.id, selected);
  const near = !isHere && event && rows.length > 0 ? nearest(rows, event.t_ns) : undefined;
  // biome-ignore lint/correctness/useExhaustiveDependencies: only another selection may move the table
  useEffect(() => {
    if (selected && !isHere && !list.isLoading) setAround(selected);
  }, [wanted]);
  const marks = useMemo(() => threadMarks(rows, steps), [rows, steps]);
  const columns = useMemo(() => eventColumns(hues), [hues]);
  const known = useMemo(
    () => ({ service: run.services, process: run.detail.processes.map((one) => one.process) }),
    [run],
  );
  const setFilter = useCallback((next: string) => go({ filter: next }), []);
  const isFilterWrong = list.error?.status === 400 || list.error?.status === 422;
  return (
    <div className="page">
      <div className="page-bar">
        <FilterBox
          subject="events"
          value={filter}
          onChange={setFilter}
          error={isFilterWrong ? list.error : null}
          label="Filter events"
          placeholder="kind:sync.* wait:>10ms scope:Task-1"
          known={known}
          isPrimary
        />
        <span className="page-count muted" role="status">
          {near && !list.isLoading && "the selected one is not among "}
          {list.isFirst ? "" : `${count(total)} ${total === 1 ? "event" : "events"}`}
        </span>
      </div>
      <div className="page-list">
        <Grid<EventRow>
          id="events"
          label="Events of the run"
          columns={columns}
          rows={rows}
          keyOf={keyOf}
          total={total}
          active={wanted}
          reveal={near ? keyOf(near) : null}
          onActive={show}
          onNearEnd={list.loadNext}
          onNearStart={list.loadPrevious}
          prepended={prepended}
          staysAtTop
          isPrimary
          rowHeight={24}
          rowProps={(_, i) => ({ className: threadClass(marks, i) })}
          empty={
            <NoEvents
              filter={filter}
              isFirst={list.isFirst}
              error={isFilterWrong ? null : list.error}
              retry={list.retry}
            />
          }
        />
      </div>
    </div>
  );
}

interface NoEventsProps {
  readonly filter: string;
  readonly isFirst: boolean;
  readonly error: Error | null;
  readonly retry: () => void;
}

function NoEvents({ filter, isFirst, error, retry }: NoEventsProps): ReactNode {
  if (error) return <Failure error={error} onRetry={retry} />;
  if (isFirst) return <Skeleton label="Loading events" />;
  if (!filter) return <Empty title="No events yet">They appear here as the program runs.</Empty>;
  return (
    <Empty title="No event fits this filter">
      <button type="button" className="button" onClick={() => go({ filter: "" })}>
        Show all events
      </button>
    </Empty>
  );
}
