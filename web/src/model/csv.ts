/** Writes the answer of a query as CSV (RFC 4180). */

import type { Cell, SqlAnswer } from "../api/types";

export function csv(answer: Pick<SqlAnswer, "columns" | "rows">): string {
  const lines = [
    answer.columns.map((column) => field(column.name)),
    ...answer.rows.map((row) => row.map(cell)),
  ];
  return lines.map((line) => `${line.join(",")}\r\n`).join("");
}

/** A cell as text; null is empty. */
export function cellText(value: Cell | undefined): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function cell(value: Cell): string {
  const text = cellText(value);
  // A spreadsheet would run a text that begins like a formula, and what was recorded is not ours to trust.
  return field(typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text);
}

function field(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
