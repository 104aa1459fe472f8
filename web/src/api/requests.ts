/** One function for each route the page uses. */

import { ask, askJson, path, sendJson } from "./client";
import type {
  EventDetail,
  EventsPage,
  FindingsPage,
  RunDetail,
  RunsPage,
  RunTree,
  Services,
  SourceLines,
  SqlAnswer,
  SqlTables,
  Thread,
} from "./types";

export interface PageRequest {
  readonly filter?: string | undefined;
  readonly sort?: string | undefined;
  readonly cursor?: string | null | undefined;
  readonly limit?: number | undefined;
}

const word = encodeURIComponent;

export const getRuns = (page: PageRequest, signal?: AbortSignal) =>
  askJson<RunsPage>(path("runs", { ...page }), signal);

export const getRun = (run: string, signal?: AbortSignal) =>
  askJson<RunDetail>(path(`runs/${word(run)}`), signal);

export const getTree = (run: string, everything: boolean, signal?: AbortSignal) =>
  askJson<RunTree>(path(`runs/${word(run)}/tree`, { everything: everything ? "true" : "" }), signal);

export const getEvents = (
  run: string,
  page: PageRequest & { around?: string | undefined },
  signal?: AbortSignal,
) => askJson<EventsPage>(path(`runs/${word(run)}/events`, { ...page }), signal);

export const getEvent = (run: string, process: string, seq: number, signal?: AbortSignal) =>
  askJson<EventDetail>(path(`runs/${word(run)}/events/${word(process)}/${seq}`), signal);

export const getThread = (run: string, process: string, seq: number, signal?: AbortSignal) =>
  askJson<Thread>(path(`runs/${word(run)}/events/${word(process)}/${seq}/thread`), signal);

export const getSource = (run: string, process: string, site: number, signal?: AbortSignal) =>
  askJson<SourceLines>(path(`runs/${word(run)}/source/${word(process)}/${site}`), signal);

export const getRunServices = (run: string, signal?: AbortSignal) =>
  askJson<Services>(path(`runs/${word(run)}/services`), signal);

export const getServices = (since: string, signal?: AbortSignal) =>
  askJson<Services>(path("services", { since }), signal);

export const getFindings = (page: PageRequest, signal?: AbortSignal) =>
  askJson<FindingsPage>(path("findings", { ...page }), signal);

export const getTables = (signal?: AbortSignal) => askJson<SqlTables>(path("sql/tables"), signal);

export const runSql = (query: string, run: string | null, limit: number, signal?: AbortSignal) =>
  sendJson<SqlAnswer>("POST", path("sql"), { query, run, limit }, signal);

/** Fetches an artifact's bytes: a link alone could not carry the key. */
export const getArtifact = async (hash: string): Promise<Blob> =>
  (await ask(path(`artifacts/${word(hash)}`))).blob();
