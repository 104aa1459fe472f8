/** The language of filters (docs/reference/http.md), as far as the page must know it: to complete words. */

export type Subject = "runs" | "events" | "findings";

interface Field {
  readonly name: string;
  readonly hint: string;
  readonly values?: readonly string[];
}

const KINDS = [
  "life.process_start", "life.process_end", "life.thread_start", "life.thread_end", "life.task_start",
  "life.task_end", "life.task_cancel", "life.run_start", "life.run_end", "life.span_start", "life.span_end",
  "life.step", "life.step_end", "life.call_start", "life.call_end", "life.sample", "sync.acquire",
  "sync.acquired", "sync.release", "sync.wait", "sync.await", "sync.abandon", "sync.put", "sync.get", "sync.set",
  "sync.clear", "sync.notify", "sync.resolve", "sync.join", "message.send", "message.receive", "state.read",
  "state.write", "effect.call", "effect.result", "effect.chunk", "error.raised", "error.handled",
  "error.unhandled", "log.record", "gap.dropped", "custom.event",
] as const; // biome-ignore format: a list of words

const OPS = [
  "acquire", "get", "put", "notify_wait", "event_wait", "barrier_wait", "join", "await", "sleep", "gather",
  "wait_any", "wait_for", "submit", "run", "timer", "io", "callback", "spawn", "fork", "http", "db", "file",
  "subprocess", "clock", "random", "env", "model", "retriever", "tool",
] as const; // biome-ignore format: a list of words

const DURATION = "a duration: >1s, 10ms..2s";
const COUNT = "a number: >0, 10..20";

const RUN_FIELDS: readonly Field[] = [
  { name: "service", hint: "who runs it" },
  { name: "status", hint: "how it ended", values: ["running", "succeeded", "failed", "cancelled", "lost"] },
  { name: "name", hint: "of the run; * stands for anything" },
  { name: "env", hint: "environment" },
  { name: "entry", hint: "what began it", values: ["process", "request", "named"] },
  { name: "mode", hint: "of determinism", values: ["live", "replay"] },
  { name: "id", hint: "32 hexadecimal digits" },
  { name: "process", hint: "16 hexadecimal digits" },
  { name: "dur", hint: DURATION, values: [">100ms", ">1s", ">10s", "<10ms"] },
  { name: "events", hint: COUNT, values: [">1000"] },
  { name: "errors", hint: COUNT, values: [">0", "0"] },
  { name: "findings", hint: COUNT, values: [">0", "0"] },
  { name: "since", hint: "how long back, or a time", values: ["10m", "1h", "24h", "7d"] },
];

const EVENT_FIELDS: readonly Field[] = [
  {
    name: "kind",
    hint: "what happened; sync.* for a family",
    values: ["sync.*", "life.*", "effect.*", "error.*", ...KINDS],
  },
  { name: "op", hint: "what was asked for", values: OPS },
  {
    name: "outcome",
    hint: "how it ended",
    values: ["ok", "failed", "cancelled", "timeout", "would_block", "suspended"],
  },
  { name: "scope", hint: "task or thread" },
  { name: "entity", hint: "what it is about" },
  { name: "service", hint: "of the process" },
  { name: "process", hint: "16 hexadecimal digits" },
  { name: "span", hint: "what it is part of" },
  { name: "file", hint: "of the code" },
  { name: "function", hint: "of the code" },
  { name: "line", hint: "of the code" },
  { name: "dur", hint: DURATION, values: [">1ms", ">10ms", ">100ms", ">1s"] },
  { name: "wait", hint: DURATION, values: [">1ms", ">10ms", ">100ms", ">1s"] },
  { name: "seq", hint: "number in its process" },
  { name: "t", hint: "time since the start of the run", values: ["<1s", "1s..2s"] },
  { name: "has", hint: "what it carries", values: ["error", "attrs", "cause"] },
];

const FINDING_FIELDS: readonly Field[] = [
  { name: "severity", hint: "how grave", values: ["critical", "error", "warning", "info"] },
  { name: "confidence", hint: "how it is known", values: ["proved", "likely", "possible"] },
  { name: "kind", hint: "what it is" },
  { name: "service", hint: "where" },
];

const FIELDS: Record<Subject, readonly Field[]> = {
  runs: RUN_FIELDS,
  events: EVENT_FIELDS,
  findings: FINDING_FIELDS,
};

export interface Completion {
  /** What is offered: `status:` or `failed`. */
  readonly text: string;
  readonly hint: string;
  /** The part of the filter it takes the place of. */
  readonly from: number;
  readonly to: number;
}

/** What could be meant by the word the caret stands in, the likeliest first. */
export function completions(
  filter: string,
  caret: number,
  subject: Subject,
  known: Readonly<Record<string, readonly string[]>> = {},
): Completion[] {
  const from = wordStart(filter, caret);
  const word = filter.slice(from, caret);
  if (word.includes('"')) return [];
  const sign = word.startsWith("-") ? 1 : 0;
  const colon = word.indexOf(":");
  if (colon < 0) return fieldCompletions(word.slice(sign), subject, from + sign, caret);
  const name = word.slice(sign, colon);
  const field = FIELDS[subject].find((one) => one.name === name);
  if (!field) return [];
  // Of several values with commas the last is being typed.
  const begun = word.slice(Math.max(colon, word.lastIndexOf(",")) + 1);
  const values = [...new Set([...(known[name] ?? []), ...(field.values ?? [])])];
  return matching(values, begun).map((text) => ({
    text: quoted(text),
    hint: "",
    from: caret - begun.length,
    to: caret,
  }));
}

/** Puts a completion in its place; after a whole value comes a blank. */
export function complete(
  filter: string,
  completion: Completion,
): { readonly text: string; readonly caret: number } {
  const after = filter.slice(completion.to);
  const ending =
    completion.text.endsWith(":") || completion.text.endsWith("*") || after.startsWith(" ") ? "" : " ";
  const before = filter.slice(0, completion.from) + completion.text + ending;
  return { text: before + after, caret: before.length };
}

/** Writes a value so that it is one word of the language. */
export function quoted(value: string): string {
  return /[\s",]/.test(value) ? `"${value.replaceAll('"', "*")}"` : value;
}

function fieldCompletions(begun: string, subject: Subject, from: number, to: number): Completion[] {
  const names = matching(
    FIELDS[subject].map((field) => field.name),
    begun,
  );
  return names.map((name) => {
    const hint = FIELDS[subject].find((field) => field.name === name)?.hint ?? "";
    return { text: `${name}:`, hint, from, to };
  });
}

/** Those that begin with what was typed, then those that hold it. */
function matching(values: readonly string[], begun: string): string[] {
  const wanted = begun.toLowerCase();
  const begins = values.filter((value) => value.toLowerCase().startsWith(wanted) && value !== begun);
  const holds = values.filter(
    (value) => !begins.includes(value) && wanted && value.toLowerCase().includes(wanted) && value !== begun,
  );
  return [...begins, ...holds].slice(0, 12);
}

/** Where the word at the caret begins: after the last blank that is not in quotes. */
function wordStart(filter: string, caret: number): number {
  let start = 0;
  let isQuoted = false;
  for (let i = 0; i < caret; i++) {
    if (filter[i] === '"') isQuoted = !isQuoted;
    else if (filter[i] === " " && !isQuoted) start = i + 1;
  }
  return start;
}
