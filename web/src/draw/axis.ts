/** The time axis: round times, in the unit that fits what is seen. */

export interface Tick {
  readonly t: number;
  readonly label: string;
}

const STEPS = [1, 2, 5];
const SIXTIES = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];
const SECOND = 1e9;

/** The least round step of at least `ns`. */
export function roundStep(ns: number): number {
  if (ns > SECOND) {
    const seconds = ns / SECOND;
    const step = SIXTIES.find((one) => one >= seconds);
    return (step ?? Math.ceil(seconds / 86400) * 86400) * SECOND;
  }
  const power = 10 ** Math.floor(Math.log10(Math.max(ns, 1)));
  const step = STEPS.find((one) => one * power >= ns);
  return Math.max(1, step ? step * power : 10 * power);
}

/**
 * The ticks of a window.
 *
 * All have one unit; the first significant digit that differs from tick to tick is shown, and no further.
 */
export function ticksOf(from: number, to: number, width: number, least = 90): readonly Tick[] {
  const step = roundStep(((to - from) * least) / Math.max(width, 1));
  const unit = unitOf(step, Math.max(Math.abs(from), Math.abs(to)));
  const ticks: Tick[] = [];
  const first = Math.ceil(from / step);
  for (let i = first; i * step <= to && ticks.length < 200; i++)
    ticks.push({ t: i * step, label: tickLabel(i * step, step, unit) });
  return ticks;
}

interface Unit {
  readonly ns: number;
  readonly name: string;
}

function unitOf(step: number, largest: number): Unit {
  // Far from the start small units would be long numbers: seconds with many digits read better.
  if (step >= SECOND || largest >= 1000 * SECOND) return { ns: SECOND, name: "s" };
  if (largest >= SECOND) return { ns: SECOND, name: "s" };
  if (largest >= 1e6) return { ns: 1e6, name: "ms" };
  return largest >= 1e3 ? { ns: 1e3, name: "µs" } : { ns: 1, name: "ns" };
}

function tickLabel(t: number, step: number, unit: Unit): string {
  if (t === 0) return "0";
  const sign = t < 0 ? "-" : "+";
  const size = Math.abs(t);
  if (step >= 60 * SECOND || (size >= 600 * SECOND && step >= SECOND)) return sign + clock(size);
  const digits = Math.max(0, Math.round(Math.log10(unit.ns)) - Math.floor(Math.log10(step) + 1e-9));
  return `${sign}${grouped((size / unit.ns).toFixed(Math.min(digits, 9)))} ${unit.name}`;
}

function clock(ns: number): string {
  const seconds = Math.round(ns / SECOND);
  const two = (n: number) => String(n).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** Long fractions in groups of three: `1.284 316`. */
function grouped(text: string): string {
  const [whole = "", fraction = ""] = text.split(".");
  return fraction ? `${whole}.${(fraction.match(/.{1,3}/g) ?? []).join("\u2009")}` : whole;
}
