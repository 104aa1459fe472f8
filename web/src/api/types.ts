/** The answers of the server, as docs/reference/http.md describes them. */

export type RunStatus = "running" | "succeeded" | "failed" | "cancelled" | "lost";
export type Severity = "info" | "warning" | "error" | "critical";
export type Confidence = "proved" | "likely" | "possible";

export interface Health {
  readonly reason: string;
  readonly text: string;
}

export interface Run {
  readonly id: string;
  readonly name: string;
  readonly service: string;
  readonly services: readonly string[];
  readonly environment: string;
  readonly process: string;
  readonly entry: "process" | "request" | "named";
  readonly status: RunStatus;
  readonly mode: string;
  readonly started_at: string;
  readonly duration_ns: number;
  readonly events: number;
  readonly errors: number;
  readonly spans: number;
  readonly processes: number;
  readonly findings: number;
  readonly health: readonly Health[];
  readonly revision: number;
}

export interface Process {
  readonly process: string;
  readonly service: string;
  readonly label: string;
  readonly pid: number;
  readonly host: string;
  readonly python: string;
  readonly argv: readonly string[];
  readonly state: string;
  readonly exit: number | null;
  readonly signal: string | number | null;
  readonly start_ns: number;
  readonly duration_ns: number;
  readonly events: number;
  readonly dropped: number;
  readonly tasks: number;
  readonly threads: number;
  readonly parent: string | null;
  readonly problems: Readonly<Record<string, unknown>>;
  readonly retention: string;
  readonly hold: boolean;
}

export interface CodePlace {
  readonly file: string;
  readonly line: number;
  readonly function: string;
}

export interface Subject {
  readonly kind: string;
  readonly id: string;
  readonly name: string;
  readonly process: string;
  readonly role: string;
  readonly site: CodePlace | null;
}

export interface Finding {
  readonly kind: string;
  readonly severity: Severity;
  readonly confidence: Confidence;
  readonly title: string;
  readonly explanation: string;
  readonly advice: string;
  readonly fingerprint: string;
  readonly occurrences: number;
  readonly subjects: readonly Subject[];
  readonly evidence: readonly Readonly<Record<string, unknown>>[];
  readonly witness: Readonly<Record<string, unknown>> | null;
}

export interface RunFinding extends Finding {
  /** The run it is of: its id, or the run itself. */
  readonly run: string | { readonly id: string; readonly name?: string } | null;
}

export interface RunDetail extends Run {
  readonly detail: {
    readonly processes: readonly Process[];
    readonly findings: readonly Finding[];
  };
}

export interface RunsPage {
  readonly runs: readonly Run[];
  readonly next_cursor: string | null;
  readonly total: number;
}

export interface EventRow {
  readonly process: string;
  readonly service: string;
  readonly seq: number;
  readonly t_ns: number;
  readonly kind: string;
  readonly op: string | null;
  readonly outcome: string | null;
  readonly scope: string | null;
  readonly scope_id: number | null;
  readonly entity: string | null;
  readonly entity_kind: string | null;
  readonly entity_id: number | null;
  readonly run: string | null;
  readonly span: string | null;
  readonly span_id: number | null;
  readonly file: string | null;
  readonly line: number | null;
  readonly function: string | null;
  readonly wait_ns: number | null;
  readonly duration_ns: number | null;
  readonly arg: number | null;
  readonly cause: { readonly process: string; readonly seq: number } | null;
  readonly attrs: Readonly<Record<string, unknown>> | null;
}

export interface Frame extends CodePlace {
  readonly site: number | null;
}

export interface Effect {
  readonly process: string;
  readonly seq: number;
  readonly t_ns: number;
  readonly kind: string;
  readonly scope: string | null;
  readonly text: string;
}

export interface EventArtifact {
  readonly hash: string;
  readonly name?: string;
  readonly media_type?: string;
  readonly size?: number;
}

export interface EventDetail extends EventRow {
  readonly detail: {
    readonly at: string;
    readonly text: string;
    readonly site_id: number | null;
    readonly stack: readonly Frame[];
    readonly chain: readonly Readonly<Record<string, unknown>>[];
    readonly scope_path: readonly {
      readonly entity_id: number;
      readonly kind: string;
      readonly name: string;
    }[];
    readonly artifacts: readonly (EventArtifact | string)[];
    readonly effects: readonly Effect[];
  };
}

export interface EventsPage {
  readonly events: readonly EventRow[];
  readonly next_cursor: string | null;
  readonly previous_cursor: string | null;
  readonly total: number;
}

export type How = "program-order" | "wake" | "spawn" | "remote" | "cause";

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
  /** Why the next one follows from it; null on the last. */
  readonly how: How | string | null;
  readonly waited_ns: number | null;
  readonly block: number | null;
}

export interface Thread {
  readonly steps: readonly ThreadStep[];
  readonly truncated: boolean;
  readonly begins: string;
}

export interface TreeNode {
  readonly kind: string;
  readonly name: string;
  readonly detail: string;
  readonly process: string;
  readonly service: string;
  readonly seq: number;
  readonly start_ns: number;
  readonly duration_ns: number;
  readonly outcome: string;
  readonly site: string;
  readonly ran_ns: number | null;
  readonly longest_ns: number | null;
  readonly ready_ns: number | null;
  readonly waited_ns: number | null;
  readonly run: string | null;
  readonly woken_by: {
    readonly how: string;
    readonly scope: string;
    readonly did: string;
    readonly service: string;
    readonly site: string;
    readonly at_ns: number;
  } | null;
  readonly count: number;
  readonly total_ns: number;
  readonly first_ns: number;
  readonly omitted: number;
  readonly children: readonly TreeNode[];
}

export interface RunTree {
  readonly schema: "clew.run/1";
  readonly threshold_ns: number;
  readonly items: number;
  readonly tree: TreeNode;
}

export interface ServiceRow {
  readonly name: string;
  readonly spans: number;
  readonly errors: number;
  readonly median_ns: number;
  readonly p95_ns: number;
}

export interface ServiceCall {
  readonly from: string;
  readonly to: string;
  readonly count: number;
  readonly errors: number;
  readonly median_ns: number;
  readonly p95_ns: number;
}

export interface Services {
  readonly services: readonly ServiceRow[];
  readonly calls: readonly ServiceCall[];
}

export interface SourceLines {
  readonly file: string;
  readonly first_line: number;
  readonly lines: readonly string[];
  readonly line: number;
}

export interface SqlColumn {
  readonly name: string;
  readonly type: string;
}

/** A cell: a whole number beyond 2^53 is a bigint. */
export type Cell = string | number | bigint | boolean | null | readonly unknown[] | object;

export interface SqlAnswer {
  readonly columns: readonly SqlColumn[];
  readonly rows: readonly (readonly Cell[])[];
  readonly truncated: boolean;
  readonly elapsed_ms: number;
}

export interface SqlTable {
  readonly name: string;
  readonly columns: readonly SqlColumn[];
}

export interface ServerInfo {
  readonly version: string;
  readonly role: string;
  readonly store: { readonly catalog: string; readonly blobs: string };
  readonly keys_required: boolean;
  readonly time: string;
  readonly features: readonly string[];
}

export interface ErrorBody {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly details: Readonly<Record<string, unknown>>;
    readonly retryable: "yes" | "no";
  };
  readonly request_id: string;
}

export interface LiveChange {
  readonly revision: number;
  readonly runs: readonly string[];
  readonly processes: readonly string[];
  readonly total: number;
}
