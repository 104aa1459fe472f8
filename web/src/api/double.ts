/**
 * A server for tests: answers `fetch` from a list of runs, as `clew serve` would: pages, the one error shape,
 * keys. What it was asked stands in `asked`.
 */

import type { ErrorBody, Run } from "./types";

export interface ServerDouble {
  readonly fetch: typeof fetch;
  readonly asked: Request[];
}

interface DoubleOptions {
  readonly runs?: readonly Run[];
  /** Other answers, by path: JSON, or a whole response. */
  readonly answers?: Readonly<Record<string, unknown>>;
  readonly key?: string;
}

export function serverDouble({ runs = [], answers = {}, key = "" }: DoubleOptions): ServerDouble {
  const asked: Request[] = [];
  const answer = (request: Request): Response => {
    const url = new URL(request.url);
    if (key && request.headers.get("Authorization") !== `Bearer ${key}`) {
      return refused(401, "key-missing", "The request has no key; this server wants one; make one.");
    }
    const other = answers[url.pathname];
    if (other instanceof Response) return other;
    if (other !== undefined) return json(other);
    if (url.pathname === "/api/v1/runs") return json(pageOf(runs, url.searchParams));
    return refused(404, "no-route", `There is no ${url.pathname}.`);
  };
  const fetched = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const request = new Request(new URL(String(input), "http://clew.test"), init);
    asked.push(request);
    return answer(request);
  };
  return { fetch: fetched as typeof fetch, asked };
}

/** A run with everything that is not told of it as usual. */
export function aRun(about: Partial<Run> & Pick<Run, "id">): Run {
  return {
    name: "POST /transfer",
    service: "bank",
    services: ["bank"],
    environment: "",
    process: "00000000000000aa",
    entry: "request",
    status: "succeeded",
    mode: "live",
    started_at: "2026-11-27T11:20:06.123456789Z",
    duration_ns: 1_000_000,
    events: 10,
    errors: 0,
    spans: 1,
    processes: 1,
    findings: 0,
    health: [],
    revision: 1,
    ...about,
  };
}

function pageOf(runs: readonly Run[], query: URLSearchParams) {
  const at = Number(query.get("cursor") ?? 0);
  const end = at + Number(query.get("limit") ?? 100);
  return {
    runs: runs.slice(at, end),
    next_cursor: end < runs.length ? String(end) : null,
    total: runs.length,
  };
}

function json(body: unknown, status = 200): Response {
  const headers = { "Content-Type": "application/json", "X-Request-Id": "req-1" };
  return new Response(JSON.stringify(body), { status, headers });
}

function refused(status: number, code: string, message: string): Response {
  const body: ErrorBody = { error: { code, message, details: {}, retryable: "no" }, request_id: "req-1" };
  return json(body, status);
}
