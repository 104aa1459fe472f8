/**
 * The answers of the server, as docs/reference/http.md describes them: what `schema.ts` says, narrowed to the
 * words that are in use, and what the OpenAPI document does not describe.
 */

import type * as schema from "./schema";

/** A type of which some members are known more closely. */
type Narrow<T, U extends Partial<Record<keyof T, unknown>>> = Omit<T, keyof U> & Readonly<U>;

export type RunStatus = "running" | "succeeded" | "failed" | "cancelled" | "lost";
export type Severity = "info" | "warning" | "error" | "critical";
export type Confidence = "proved" | "likely" | "possible";

export type Process = schema.Process;
export type Finding = Narrow<schema.RunFinding, { severity: Severity; confidence: Confidence }>;
export type Run = Narrow<schema.Run, { status: RunStatus }>;
export type RunDetail = Run & {
  readonly detail: Narrow<schema.RunDetail, { findings: readonly Finding[] }>;
};
export type RunsPage = Narrow<schema.Runs, { runs: readonly Run[] }>;
export type FindingsPage = Narrow<schema.Findings, { findings: readonly Finding[] }>;
export type EventRow = schema.Event;
export type EventsPage = schema.Events;
export type EventDetail = schema.WholeEvent;
export type Effect = schema.Effect;
export type ErrorLink = schema.Error;
export type TreeNode = schema.TreeNode;
export type RunTree = schema.Tree;
export type ServiceRow = schema.Service;
export type ServiceCall = schema.Call;
export type Services = schema.Services;
export type SqlColumn = schema.SqlColumn;
export type SqlTable = schema.SqlTable;
export type SqlTables = schema.SqlTables;
export type ErrorBody = schema.Failure;

/** A cell: a whole number beyond 2^53 is a bigint. */
export type Cell = string | number | bigint | boolean | null | readonly unknown[] | object;
export type SqlAnswer = Narrow<schema.Rows, { rows: readonly (readonly Cell[])[] }>;

export interface ThreadStep {
  readonly process: string;
  readonly service: string;
  readonly seq: number;
  readonly t_ns: number;
  readonly until_ns: number | null;
  readonly kind: string;
  readonly op: string | null;
  readonly scope: string | null;
  readonly scope_id: number | null;
  readonly entity: string | null;
  readonly file: string | null;
  readonly line: number | null;
  readonly function: string | null;
  readonly text: string;
  /** Why the next one follows from it: `program-order`, `wake`, `spawn`, `remote`, `cause`; null on the last. */
  readonly how: string | null;
  readonly waited_ns: number | null;
  readonly block: number | null;
}

export interface Thread {
  readonly steps: readonly ThreadStep[];
  readonly truncated: boolean;
  readonly begins: string;
}

export interface SourceLines {
  readonly file: string;
  readonly first_line: number;
  readonly lines: readonly string[];
  readonly line: number;
}

export interface LiveChange {
  readonly revision: number;
  readonly runs: readonly string[];
  readonly processes: readonly string[];
  readonly total: number;
}
