/** Numbers and names as people read them. */

import { threeDigits } from "./time";

const GROUPS = new Intl.NumberFormat("en-US");

/** Writes a whole number with its thousands apart: `13,457`. */
export function count(value: number): string {
  return GROUPS.format(value);
}

/** Writes a whole number in few characters: `13.5k`, `2.40M`. */
export function short(value: number): string {
  const size = Math.abs(value);
  if (size < 10_000) return GROUPS.format(value);
  if (size < 999_500) return `${threeDigits(value / 1e3)}k`;
  return size < 999_500_000 ? `${threeDigits(value / 1e6)}M` : `${threeDigits(value / 1e9)}G`;
}

/** Writes a count with its noun: `1 process`, `3 processes`. */
export function plural(value: number, noun: string): string {
  const ending = value === 1 ? "" : noun.endsWith("s") ? "es" : "s";
  return `${count(value)} ${noun}${ending}`;
}

/** Writes a number of bytes: `812 B`, `1.2 MB`. */
export function bytes(size: number): string {
  if (size < 1000) return `${size} B`;
  const power = Math.min(Math.floor(Math.log10(size) / 3), 4);
  return `${(size / 1000 ** power).toFixed(1)} ${["B", "kB", "MB", "GB", "TB"][power]}`;
}

/** Cuts a text to a number of characters, with an ellipsis where it was cut. */
export function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(width - 1, 0))}…`;
}

/** Writes a place in the code: `bank/app.py:31 Bank.transfer`; only the last two folders of a long path. */
export function place(file: string, line: number | null, name = ""): string {
  if (!file) return "";
  return `${shortPath(file)}${line ? `:${line}` : ""}${name ? ` ${name}` : ""}`;
}

/** Writes the end of a path that tells files apart. */
export function shortPath(file: string): string {
  const parts = file.split("/");
  return parts.length > 3 ? parts.slice(-2).join("/") : file;
}
