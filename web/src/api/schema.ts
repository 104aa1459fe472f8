/** The server's answers. Written by tools/write_web_types.py from its OpenAPI document: do not edit. */

/** How one service called another. */
export interface Call {
  readonly from: string;
  readonly to: string;
  readonly count: number;
  readonly errors: number;
  readonly median_ns: number;
  readonly p95_ns: number;
}

/** An event that another one enabled. */
export interface Effect {
  readonly process: string;
  readonly seq: number;
  readonly t_ns: number;
  readonly kind: string;
  readonly scope: string;
  readonly text: string;
}

/** An error that another one followed from, or that a group holds. */
export interface Error {
  readonly type: string;
  readonly message: string;
  readonly relation: string;
  readonly stack: readonly Frame[];
}

/** An event of a run. */
export interface Event {
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
  readonly wait_ns: number;
  readonly duration_ns: number | null;
  readonly arg: number;
  readonly cause: Ref | null;
  readonly attrs: Readonly<Record<string, unknown>> | null;
}

/** What is told of one event only. */
export interface EventDetail {
  readonly at: string;
  readonly text: string;
  readonly site_id: number | null;
  readonly stack: readonly Frame[];
  readonly chain: readonly Error[];
  readonly scope_path: readonly Scope[];
  readonly artifacts: readonly string[];
  readonly effects: readonly Effect[];
}

/** A page of events, by time. */
export interface Events {
  readonly events: readonly Event[];
  readonly next_cursor: string | null;
  readonly previous_cursor: string | null;
  readonly total: number;
}

/** The answer to a request that failed. */
export interface Failure {
  readonly error: Problem;
  readonly request_id: string;
}

/** A page of findings. */
export interface Findings {
  readonly findings: readonly RunFinding[];
  readonly next_cursor: string | null;
}

/** A frame of a stack. */
export interface Frame {
  readonly file: string;
  readonly line: number;
  readonly function: string;
  readonly site: number;
}

/** What a key is to be. */
export interface NewKey {
  readonly name: string;
  readonly role: string;
}

/** A place in the code. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly function: string;
}

/** What went wrong. */
export interface Problem {
  readonly code: string;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly retryable: string;
}

/** A process that has a part in a run. */
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
  readonly signal: string | null;
  readonly start_ns: number;
  readonly duration_ns: number;
  readonly events: number;
  readonly dropped: number;
  readonly tasks: number;
  readonly threads: number;
  readonly parent: string | null;
  readonly problems: Readonly<Record<string, string>>;
  readonly retention: string;
  readonly hold: boolean;
}

/** What is asked. */
export interface Question {
  readonly query: string;
  readonly run?: string | null;
  readonly limit?: number;
}

/** Why a run is incomplete. */
export interface Reason {
  readonly reason: string;
  readonly text: string;
}

/** An event. */
export interface Ref {
  readonly process: string;
  readonly seq: number;
}

/** How long the processes of a run are to stay. */
export interface Retention {
  readonly class: string;
  readonly hold?: boolean;
}

/** The answer to a query. */
export interface Rows {
  readonly columns: readonly SqlColumn[];
  readonly rows: readonly (readonly unknown[])[];
  readonly truncated: boolean;
  readonly elapsed_ms: number;
}

/** A run, as lists have it. */
export interface Run {
  readonly id: string;
  readonly name: string;
  readonly service: string;
  readonly services: readonly string[];
  readonly environment: string;
  readonly process: string;
  readonly entry: string;
  readonly status: string;
  readonly mode: string;
  readonly started_at: string;
  readonly duration_ns: number;
  readonly events: number;
  readonly errors: number;
  readonly spans: number;
  readonly processes: number;
  readonly findings: number;
  readonly health: readonly Reason[];
  readonly revision: number;
}

/** What is told of one run only. */
export interface RunDetail {
  readonly processes: readonly Process[];
  readonly findings: readonly RunFinding[];
}

/** A finding, and the run it was found in. */
export interface RunFinding {
  readonly kind: string;
  readonly severity: string;
  readonly confidence: string;
  readonly title: string;
  readonly explanation: string;
  readonly advice: string;
  readonly fingerprint: string;
  readonly occurrences: number;
  readonly subjects: readonly Subject[];
  readonly evidence: readonly Readonly<Record<string, unknown>>[];
  readonly witness: Readonly<Record<string, unknown>> | null;
  readonly run: string | null;
  readonly process: string;
}

/** A page of runs. */
export interface Runs {
  readonly runs: readonly Run[];
  readonly next_cursor: string | null;
  readonly total: number;
}

/** Where something ran. */
export interface Scope {
  readonly entity_id: number;
  readonly kind: string;
  readonly name: string;
}

/** A service, and what it did for others. */
export interface Service {
  readonly name: string;
  readonly spans: number;
  readonly errors: number;
  readonly median_ns: number;
  readonly p95_ns: number;
}

/** Services and the calls between them. */
export interface Services {
  readonly services: readonly Service[];
  readonly calls: readonly Call[];
}

/** A column. */
export interface SqlColumn {
  readonly name: string;
  readonly type: string;
}

/** A table that can be asked. */
export interface SqlTable {
  readonly name: string;
  readonly columns: readonly SqlColumn[];
}

/** All of them. */
export interface SqlTables {
  readonly tables: readonly SqlTable[];
}

/** An entity that a finding is about. */
export interface Subject {
  readonly type: string;
  readonly kind: string;
  readonly id: string;
  readonly name: string;
  readonly process: string;
  readonly role: string;
  readonly site: Place | null;
}

/** A run as a tree: ``clew.run/1``. */
export interface Tree {
  readonly schema: string;
  readonly run: TreeRun;
  readonly threshold_ns: number;
  readonly items: number;
  readonly tree: TreeNode;
}

/** One line of a run as a tree. */
export interface TreeNode {
  readonly kind: string;
  readonly name: string;
  readonly detail: string;
  readonly process: string;
  readonly service: string;
  readonly seq: number;
  readonly start_ns: number;
  readonly duration_ns: number | null;
  readonly outcome: string;
  readonly site: string;
  readonly ran_ns: number | null;
  readonly longest_ns: number | null;
  readonly ready_ns: number | null;
  readonly waited_ns: number | null;
  readonly run: string | null;
  readonly woken_by: Woken | null;
  readonly count: number;
  readonly total_ns: number;
  readonly first_ns: number;
  readonly omitted: number;
  readonly children: readonly TreeNode[];
}

/** A run, as its tree has it. */
export interface TreeRun {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly entry: string;
  readonly service: string;
  readonly process: string;
  readonly start_ns: number;
  readonly duration_ns: number;
  readonly events: number;
  readonly errors: number;
  readonly spans: number;
}

/** An event with its detail. */
export interface WholeEvent {
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
  readonly wait_ns: number;
  readonly duration_ns: number | null;
  readonly arg: number;
  readonly cause: Ref | null;
  readonly attrs: Readonly<Record<string, unknown>> | null;
  readonly detail: EventDetail;
}

/** A run with its detail. */
export interface WholeRun {
  readonly id: string;
  readonly name: string;
  readonly service: string;
  readonly services: readonly string[];
  readonly environment: string;
  readonly process: string;
  readonly entry: string;
  readonly status: string;
  readonly mode: string;
  readonly started_at: string;
  readonly duration_ns: number;
  readonly events: number;
  readonly errors: number;
  readonly spans: number;
  readonly processes: number;
  readonly findings: number;
  readonly health: readonly Reason[];
  readonly revision: number;
  readonly detail: RunDetail;
}

/** Who ended a wait or cancelled a task. */
export interface Woken {
  readonly how: string;
  readonly scope: string;
  readonly did: string;
  readonly service: string;
  readonly site: string;
  readonly at_ns: number;
}
