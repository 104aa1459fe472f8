/** What the views ask for, cached. Keys begin with `["run", id]` or `["lists"]`: what `useLive` asks anew. */

import { useQuery } from "@tanstack/react-query";
import { ApiError } from "./errors";
import {
  getEvent,
  getFindings,
  getRun,
  getRunServices,
  getServices,
  getSource,
  getTables,
  getThread,
  getTree,
} from "./requests";

interface Ref {
  readonly process: string;
  readonly seq: number;
}

/** Requests that may go through later are sent again; what is wrong stays wrong. */
export function shouldRetry(failures: number, error: Error): boolean {
  return error instanceof ApiError && error.isRetryable && failures < 3;
}

export const useRun = (run: string) =>
  useQuery({ queryKey: ["run", run], queryFn: ({ signal }) => getRun(run, signal), enabled: run !== "" });

export const useTree = (run: string, everything: boolean) =>
  useQuery({
    queryKey: ["run", run, "tree", everything],
    queryFn: ({ signal }) => getTree(run, everything, signal),
    placeholderData: (before) => before,
  });

export const useEvent = (run: string, event: Ref | null) =>
  useQuery({
    queryKey: ["run", run, "event", event?.process, event?.seq],
    queryFn: ({ signal }) => getEvent(run, event?.process ?? "", event?.seq ?? 0, signal),
    enabled: run !== "" && event !== null,
    placeholderData: (before) => before,
  });

export const useThread = (run: string, event: Ref | null) =>
  useQuery({
    queryKey: ["run", run, "thread", event?.process, event?.seq],
    queryFn: ({ signal }) => getThread(run, event?.process ?? "", event?.seq ?? 0, signal),
    enabled: run !== "" && event !== null,
  });

export const useSource = (run: string, process: string, site: number | null) =>
  useQuery({
    queryKey: ["source", run, process, site],
    queryFn: ({ signal }) => getSource(run, process, site ?? 0, signal),
    enabled: run !== "" && site !== null && site > 0,
    retry: false,
  });

export const useRunServices = (run: string) =>
  useQuery({ queryKey: ["run", run, "services"], queryFn: ({ signal }) => getRunServices(run, signal) });

export const useServices = (since: string) =>
  useQuery({
    queryKey: ["lists", "services", since],
    queryFn: ({ signal }) => getServices(since, signal),
    placeholderData: (before) => before,
  });

export const useFindings = (filter: string) =>
  useQuery({
    queryKey: ["lists", "findings", filter],
    queryFn: ({ signal }) => getFindings({ filter, limit: 500 }, signal),
    placeholderData: (before) => before,
  });

export const useTables = () =>
  useQuery({
    queryKey: ["tables"],
    queryFn: ({ signal }) => getTables(signal),
    staleTime: Number.POSITIVE_INFINITY,
  });
