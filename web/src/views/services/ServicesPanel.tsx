/** Services: the graph of who calls whom, and the same as two tables. */

import { type ReactNode, useState } from "react";
import type { ServiceCall, ServiceRow, Services } from "../../api/types";
import { count } from "../../base/format";
import { duration } from "../../base/time";
import { type Column, Grid } from "../../widgets/Grid";
import { Empty } from "../../widgets/states";
import { ServiceGraph } from "./ServiceGraph";
import "./services.css";

export function ServicesPanel({ services: found }: { services: Services }): ReactNode {
  const [active, setActive] = useState<string | null>(null);
  if (found.services.length === 0) {
    return (
      <Empty title="No services here" command={`clew run --server ${location.origin} app.py`}>
        Services and their calls are told from the spans of recorded programs; there are none in this time.
      </Empty>
    );
  }
  return (
    <div className="services">
      <ServiceGraph services={found} active={active} onActive={setActive} />
      <div className="services-tables">
        <div className="services-table">
          <Grid<ServiceRow>
            id="services"
            label="Services"
            columns={SERVICE_COLUMNS}
            rows={found.services}
            keyOf={(row) => row.name}
            active={active}
            onActive={(row) => setActive(row.name)}
            isPrimary
          />
        </div>
        <div className="services-table">
          <Grid<ServiceCall>
            id="calls"
            label="Calls between services"
            columns={CALL_COLUMNS}
            rows={found.calls}
            keyOf={callKey}
            active={active}
            onActive={(row) => setActive(callKey(row))}
            empty={<p className="muted services-none">No service called another one.</p>}
          />
        </div>
      </div>
    </div>
  );
}

export function callKey(call: Pick<ServiceCall, "from" | "to">): string {
  return `${call.from} → ${call.to}`;
}

interface Numbers {
  readonly errors: number;
  readonly median_ns: number;
  readonly p95_ns: number;
}

function numbers<Row extends Numbers>(): Column<Row>[] {
  const bad = (row: Row) =>
    row.errors ? <span className="is-bad">{count(row.errors)}</span> : <span className="none">0</span>;
  return [
    { id: "errors", title: "Errors", width: "64px", align: "right", cell: bad },
    {
      id: "median",
      from: 520,
      title: "Median",
      width: "76px",
      align: "right",
      cell: (row) => duration(row.median_ns || null),
    },
    { id: "p95", title: "p95", width: "76px", align: "right", cell: (row) => duration(row.p95_ns || null) },
  ];
}

const SERVICE_COLUMNS: readonly Column<ServiceRow>[] = [
  { id: "name", title: "Service", width: "minmax(120px, 1fr)", cell: (row) => row.name },
  { id: "spans", title: "Requests", width: "76px", align: "right", cell: (row) => count(row.spans) },
  ...numbers<ServiceRow>(),
];

const CALL_COLUMNS: readonly Column<ServiceCall>[] = [
  { id: "call", title: "Call", width: "minmax(160px, 1fr)", cell: (row) => callKey(row) },
  { id: "count", title: "Calls", width: "76px", align: "right", cell: (row) => count(row.count) },
  ...numbers<ServiceCall>(),
];
