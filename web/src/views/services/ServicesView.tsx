/** All services, over a span of time. */

import type { ReactNode } from "react";
import { useServices } from "../../api/queries";
import { go, usePlace } from "../../model/place";
import { Failure, Skeleton } from "../../widgets/states";
import { ServicesPanel } from "./ServicesPanel";

const SPANS: readonly [string, string][] = [
  ["15m", "15 minutes"],
  ["1h", "hour"],
  ["", "day"],
  ["7d", "week"],
  ["1970-01-01T00:00:00Z", "all"],
];

export default function ServicesView(): ReactNode {
  const { filter: since } = usePlace();
  const { data, error, refetch } = useServices(since || "24h");
  return (
    <div className="page">
      <div className="page-bar choices" role="group" aria-label="How far back">
        <span className="muted">Last</span>
        {SPANS.map(([value, title]) => (
          <button
            key={title}
            type="button"
            aria-pressed={since === value}
            onClick={() => go({ filter: value })}
          >
            {title}
          </button>
        ))}
      </div>
      <div className="page-list">
        {error && !data ? <Failure error={error} onRetry={() => void refetch()} /> : null}
        {!error && !data ? <Skeleton label="Loading services" /> : null}
        {data && <ServicesPanel services={data} />}
      </div>
    </div>
  );
}
