/**
 * Time as people read it. A time is a whole number of nanoseconds since the start of the run that is looked
 * at; a double holds 104 days of them exactly. Times of day come as text (RFC 3339) and stay text.
 */

const UNITS = [
  [1e9, "s"],
  [1e6, "ms"],
  [1e3, "µs"],
  [1, "ns"],
] as const;

/** Writes a number with three significant digits, and never fewer digits than its whole part has. */
export function threeDigits(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return "0";
  return value.toFixed(size < 9.995 ? 2 : size < 99.95 ? 1 : 0);
}

/** Writes a duration in a fitting unit: `1.28 s`, `412 ms`, `15.3 µs`, `4 min 12 s`. */
export function duration(ns: number | null | undefined): string {
  if (ns === null || ns === undefined) return "";
  if (ns === 0) return "0 ns";
  const sign = ns < 0 ? "-" : "";
  const size = Math.abs(ns);
  if (size >= 120e9) return sign + longDuration(size);
  for (const [unit, name] of UNITS) {
    // What would round up to 1000 of a unit is one of the next: 999.7 µs reads 1.00 ms.
    if (size >= unit * 0.9995 || unit === 1) {
      const digits = unit === 1 ? String(Math.round(size)) : threeDigits(size / unit);
      return `${sign}${digits} ${name}`;
    }
  }
  return "";
}

function longDuration(ns: number): string {
  const seconds = Math.round(ns / 1e9);
  const parts: [number, string][] = [
    [Math.floor(seconds / 86400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  return parts
    .slice(first, first + 2)
    .filter(([count], i) => i === 0 || count > 0)
    .map(([count, name]) => `${count} ${name}`)
    .join(" ");
}

/** Writes a time since the start of the run: `+1.284 s`, `-0.002 s`. */
export function moment(ns: number): string {
  // What rounds to zero has no sign of its own.
  return `${ns <= -500_000 ? "-" : "+"}${(Math.abs(ns) / 1e9).toFixed(3)} s`;
}

/** Writes a time so that events in one table can be told apart: `+1.284 316 s`. */
export function rowMoment(ns: number): string {
  const size = Math.round(Math.abs(ns) / 1e3);
  const fraction = String(size % 1e6).padStart(6, "0");
  return `${ns <= -500 ? "-" : "+"}${Math.floor(size / 1e6)}.${fraction.slice(0, 3)} ${fraction.slice(3)} s`;
}

/** Writes a time since the start in a fitting unit: `+12.3 ms`. */
export function age(ns: number): string {
  return ns < 0 ? `-${duration(-ns)}` : `+${duration(ns)}`;
}

/** Writes a time so exactly that it can be told from its neighbours: `+1.284 316 004 s`. */
export function exactMoment(ns: number): string {
  const size = Math.round(Math.abs(ns));
  const fraction = String(size % 1e9).padStart(9, "0");
  const groups = `${fraction.slice(0, 3)} ${fraction.slice(3, 6)} ${fraction.slice(6)}`;
  return `${ns < 0 ? "-" : "+"}${Math.floor(size / 1e9)}.${groups} s`;
}

/** Writes a time of day in the reader's zone, with the date where it is not today: `11:20:06`, `Nov 26 11:20:06`. */
export function timeOfDay(at: string, now: Date = new Date()): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return at;
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map((n) =>
    String(n).padStart(2, "0"),
  );
  const day = date.toDateString() === now.toDateString() ? "" : dayOf(date, now);
  return `${day}${clock.join(":")}`;
}

function dayOf(date: Date, now: Date): string {
  const day = date.toLocaleDateString("en", { month: "short", day: "numeric" });
  return date.getFullYear() === now.getFullYear() ? `${day} ` : `${day} ${date.getFullYear()} `;
}

/** Adds nanoseconds to a time of day (RFC 3339) without losing any: the absolute time of an event. */
export function absolute(startedAt: string, ns: number): string {
  const match = /^(.*?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/.exec(startedAt);
  if (!match?.[1]) return startedAt;
  const base = BigInt(Date.parse(`${match[1]}${match[3]}`)) * 1_000_000n;
  if (Number.isNaN(Date.parse(`${match[1]}${match[3]}`))) return startedAt;
  const total = base + BigInt((match[2] ?? "").padEnd(9, "0").slice(0, 9)) + BigInt(Math.round(ns));
  const fraction = ((total % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  const seconds = new Date(Number((total - fraction) / 1_000_000n)).toISOString().slice(0, 19);
  return `${seconds}.${String(fraction).padStart(9, "0")}Z`;
}
