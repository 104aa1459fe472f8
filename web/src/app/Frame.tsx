/** The frame of the page: the rail at the left (below, on a phone), the bar on top, the view. */

import type { MouseEvent, ReactNode } from "react";
import { useLiveState } from "../api/live";
import { useRun } from "../api/queries";
import { keyLabel } from "../model/keys";
import { go, pagePlace, usePlace } from "../model/place";
import { type Page, placeAddress } from "../model/selection";
import { Help } from "./Help";
import { ICONS, SEARCH_ICON } from "./icons";
import { KeyEntry } from "./KeyEntry";
import { showOverlay } from "./overlay";
import { Palette } from "./Palette";
import { ThemeSwitch } from "./ThemeSwitch";
import "./frame.css";

const RAIL: readonly { readonly page: Page; readonly title: string; readonly key: string }[] = [
  { page: "runs", title: "Runs", key: "g r" },
  { page: "findings", title: "Findings", key: "g f" },
  { page: "services", title: "Services", key: "g s" },
  { page: "sql", title: "SQL", key: "g q" },
];

export function Frame({ children }: { children: ReactNode }): ReactNode {
  return (
    <div className="frame">
      <a className="skip" href="#view">
        Skip to the view
      </a>
      <Rail />
      <Bar />
      <main id="view" className="frame-view" tabIndex={-1}>
        {children}
      </main>
      <KeyEntry />
      <Palette />
      <Help />
    </div>
  );
}

function Rail(): ReactNode {
  const { page } = usePlace();
  return (
    <nav className="rail" aria-label="Pages">
      <PageLink page="runs" className="rail-mark" label="clew: all runs">
        <img src="/favicon.svg" width="18" height="18" alt="" />
      </PageLink>
      {RAIL.map((item) => (
        <PageLink
          key={item.page}
          page={item.page}
          className="rail-item"
          label={`${item.title} (${item.key})`}
          isCurrent={page === item.page || (item.page === "runs" && page === "run")}
        >
          {ICONS[item.page]}
          <span>{item.title}</span>
        </PageLink>
      ))}
      <span className="rail-space" />
      <ThemeSwitch />
    </nav>
  );
}

interface PageLinkProps {
  readonly page: Page;
  readonly className: string;
  readonly label: string;
  readonly isCurrent?: boolean;
  readonly children: ReactNode;
}

function PageLink({ page, className, label, isCurrent = false, children }: PageLinkProps): ReactNode {
  const to = pagePlace({ page });
  return (
    <a
      className={className}
      href={placeAddress(to)}
      title={label}
      aria-label={label}
      aria-current={isCurrent ? "page" : undefined}
      onClick={(event) => follow(event, () => go(to))}
    >
      {children}
    </a>
  );
}

/** Follows a link within the page, unless a new tab is asked for. */
function follow(event: MouseEvent, run: () => void): void {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  run();
}

const TITLES: Record<Page, string> = {
  runs: "Runs",
  run: "Runs",
  findings: "Findings",
  services: "Services",
  sql: "SQL",
};

function Bar(): ReactNode {
  const { page, run } = usePlace();
  const runs = pagePlace({ page: "runs" });
  return (
    <header className="top">
      <nav className="crumbs" aria-label="Where you are">
        {page === "run" ? (
          <>
            <a
              href={placeAddress(runs)}
              className="crumb-up"
              onClick={(event) => follow(event, () => go(runs))}
            >
              Runs
            </a>
            <RunCrumbs run={run} />
          </>
        ) : (
          <h1 className="crumb">{TITLES[page]}</h1>
        )}
      </nav>
      <button
        type="button"
        className="top-search"
        aria-label="Go to a run, or do something"
        onClick={() => showOverlay("palette")}
      >
        {SEARCH_ICON}
        <span>Go to, do …</span>
        <kbd>{keyLabel("mod+k")}</kbd>
      </button>
      <LiveMark />
    </header>
  );
}

function RunCrumbs({ run }: { run: string }): ReactNode {
  const { data } = useRun(run);
  const step = (
    <span className="crumb-step" aria-hidden="true">
      ›
    </span>
  );
  return (
    <>
      {data && data.service !== data.name && (
        <>
          {step}
          <span className="crumb crumb-service">{data.service}</span>
        </>
      )}
      {step}
      <h1 className="crumb crumb-name">{data?.name ?? "Run"}</h1>
      {step}
      <code className="crumb-id" title={run}>
        {run.slice(0, 8)}
      </code>
    </>
  );
}

const LIVE_WORDS = {
  live: ["live", "The page hears of changes as they happen"],
  connecting: ["connecting", "Connecting to the server"],
  away: ["away", "The server does not answer; trying again"],
} as const;

function LiveMark(): ReactNode {
  const state = useLiveState();
  const [word, title] = LIVE_WORDS[state];
  return (
    <span className={`live live-${state}`} role="status" title={title}>
      <span className="live-dot" aria-hidden="true" />
      {word}
    </span>
  );
}
