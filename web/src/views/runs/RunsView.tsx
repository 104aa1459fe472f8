/** All runs, the latest first; new ones come in by themselves. */

import { type ReactNode, useCallback, useMemo } from "react";
import { getRuns } from "../../api/requests";
import type { Run } from "../../api/types";
import { count } from "../../base/format";
import { go, openRun, select, usePlace } from "../../model/place";
import { usePages } from "../../model/use_pages";
import { FilterBox } from "../../widgets/FilterBox";
import { Grid } from "../../widgets/Grid";
import { Empty, Failure, Skeleton } from "../../widgets/states";
import { runColumns } from "./columns";
import { longestByName } from "./longest";
import "./runs.css";

const PAGE = 200;
const keyOf = (run: Run) => run.id;

export default function RunsView(): ReactNode {
  const { filter, sort: asked, selection } = usePlace();
  const sort = asked || "-started";
  const list = usePages<Run>({
    key: `${filter}\n${sort}`,
    keyOf,
    fetch: async (cursor, signal) => {
      const page = await getRuns({ filter, sort, cursor, limit: PAGE }, signal);
      return { rows: page.runs, next: page.next_cursor, previous: null, total: page.total };
    },
    fetchRows: async (keys, signal) =>
      (await getRuns({ filter: `id:${keys.join(",")}`, limit: keys.length }, signal)).runs,
    follows: () => true,
    isNewestFirst: sort === "-started",
  });
  const { rows, total } = list.pages;
  const longest = useMemo(() => longestByName(rows), [rows]);
  const columns = useMemo(() => runColumns(longest), [longest]);
  const services = useMemo(() => ({ service: [...new Set(rows.map((run) => run.service))].sort() }), [rows]);
  const setFilter = useCallback((next: string) => go({ filter: next, selection: null }), []);
  const isFilterWrong = list.error?.status === 400 || list.error?.status === 422;
  return (
    <div className="page">
      <div className="page-bar">
        <FilterBox
          subject="runs"
          value={filter}
          onChange={setFilter}
          error={isFilterWrong ? list.error : null}
          label="Filter runs"
          placeholder="service:bank status:failed dur:>1s transfer"
          known={services}
          isPrimary
        />
        <span className="page-count muted" role="status">
          {list.isFirst ? "" : `${count(total)} ${total === 1 ? "run" : "runs"}`}
        </span>
      </div>
      <div className="page-list">
        <Grid<Run>
          id="runs"
          label="Runs"
          columns={columns}
          rows={rows}
          keyOf={keyOf}
          total={total}
          active={selection?.type === "run" ? selection.run : null}
          onActive={(run) => select({ type: "run", run: run.id })}
          onOpen={(run) => openRun(run.id)}
          opensOnClick
          sort={sort}
          onSort={(next) => go({ sort: next === "-started" ? "" : next })}
          onNearEnd={list.loadNext}
          prepended={list.pages.prepended}
          rowProps={(run) => ({ className: `run-${run.status}` })}
          isPrimary
          empty={
            <NoRuns
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

interface NoRunsProps {
  readonly filter: string;
  readonly isFirst: boolean;
  readonly error: Error | null;
  readonly retry: () => void;
}

function NoRuns({ filter, isFirst, error, retry }: NoRunsProps): ReactNode {
  if (error) return <Failure error={error} onRetry={retry} />;
  if (isFirst) return <Skeleton lines={14} label="Loading runs" />;
  if (filter) {
    return (
      <Empty title="No run fits this filter">
        Free text matches names; <code>status:failed</code>, <code>dur:&gt;1s</code> and <code>since:1h</code>{" "}
        narrow it.{" "}
        <button type="button" className="button" onClick={() => go({ filter: "" })}>
          Show all runs
        </button>
      </Empty>
    );
  }
  return (
    <Empty title="No runs yet" command={`clew run --server ${location.origin} app.py`}>
      Run a program under clew, and it appears here while it runs:
    </Empty>
  );
}
