/** The page: its frame, and in it the view that the address names. Views are fetched when first wanted. */

import { QueryClient, QueryClientProvider, useQueryClient } from "@tanstack/react-query";
import { lazy, type ReactNode, Suspense, useEffect } from "react";
import { useLive } from "../api/live";
import { shouldRetry } from "../api/queries";
import { usePlace } from "../model/place";
import type { Page } from "../model/selection";
import { Skeleton } from "../widgets/states";
import { Boundary } from "./Boundary";
import { Frame } from "./Frame";
import { useFrameActions, useKeyboard } from "./keyboard";

const VIEWS: Record<Page, ReturnType<typeof lazy>> = {
  runs: lazy(() => import("../views/runs/RunsView")),
  run: lazy(() => import("../views/run/RunView")),
  findings: lazy(() => import("../views/findings/FindingsView")),
  services: lazy(() => import("../views/services/ServicesView")),
  sql: lazy(() => import("../views/sql/SqlView")),
};

const TITLES: Record<Page, string> = {
  runs: "Runs",
  run: "Run",
  findings: "Findings",
  services: "Services",
  sql: "SQL",
};

const client = new QueryClient({
  defaultOptions: {
    queries: {
      retry: shouldRetry,
      retryDelay: (attempt) => Math.min(500 * 2 ** attempt, 8000),
      staleTime: 30_000,
      refetchOnWindowFocus: false,
    },
  },
});

export function App(): ReactNode {
  return (
    <QueryClientProvider client={client}>
      <Shell />
    </QueryClientProvider>
  );
}

function Shell(): ReactNode {
  useLive(useQueryClient());
  useKeyboard();
  useFrameActions();
  const { page } = usePlace();
  useEffect(() => {
    document.title = page === "run" ? document.title : `${TITLES[page]} · clew`;
  }, [page]);
  const View = VIEWS[page];
  return (
    <Frame>
      <Boundary key={page}>
        <Suspense fallback={<Skeleton label={`Loading ${TITLES[page]}`} />}>
          <View />
        </Suspense>
      </Boundary>
    </Frame>
  );
}
