/** Below the timeline: the run as a tree, as a table of events, as services. */

import { type KeyboardEvent, lazy, type ReactNode, Suspense } from "react";
import { go, usePlace } from "../../model/place";
import { TABS, type Tab } from "../../model/selection";
import { Skeleton } from "../../widgets/states";
import { EventsTab } from "./EventsTab";
import { TreeTab } from "./TreeTab";

const RunServices = lazy(() => import("../services/RunServices"));
const TITLES: Record<Tab, string> = { tree: "Tree", events: "Events", services: "Services" };

export function Drawer(): ReactNode {
  const { tab } = usePlace();
  const onKeyDown = (event: KeyboardEvent) => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!step) return;
    event.preventDefault();
    const next = TABS[(TABS.indexOf(tab) + step + TABS.length) % TABS.length] ?? "tree";
    go({ tab: next });
    document.getElementById(`tab-${next}`)?.focus();
  };
  return (
    <section className="drawer" aria-label="Details of the run">
      <div className="tabs" role="tablist" aria-label="How the run is shown" onKeyDown={onKeyDown}>
        {TABS.map((name) => (
          <button
            key={name}
            type="button"
            id={`tab-${name}`}
            role="tab"
            className="tab"
            aria-selected={tab === name}
            aria-controls="drawer-panel"
            tabIndex={tab === name ? 0 : -1}
            onClick={() => go({ tab: name })}
          >
            {TITLES[name]}
          </button>
        ))}
      </div>
      <div className="drawer-panel" id="drawer-panel" role="tabpanel" aria-labelledby={`tab-${tab}`}>
        {tab === "tree" && <TreeTab />}
        {tab === "events" && <EventsTab />}
        {tab === "services" && (
          <Suspense fallback={<Skeleton />}>
            <RunServices />
          </Suspense>
        )}
      </div>
    </section>
  );
}
