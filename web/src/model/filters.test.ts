import { describe, expect, it } from "vitest";
import { complete, completions, quoted } from "./filters";

/** The filter after the first completion at the mark `|` is taken. */
function completed(text: string, subject: "runs" | "events" = "runs", known = {}): string {
  const caret = text.indexOf("|");
  const filter = text.replace("|", "");
  const [first] = completions(filter, caret, subject, known);
  if (!first) return "nothing";
  const next = complete(filter, first);
  return `${next.text.slice(0, next.caret)}|${next.text.slice(next.caret)}`;
}

describe("a filter is completed", () => {
  it.each([
    ["sta|", "status:|"],
    ["status:f|", "status:failed |"],
    ["-sta|", "-status:|"],
    ["service:bank st|", "service:bank status:|"],
    ["status:failed,ca|", "status:failed,cancelled |"],
    ["st| transfer", "status:| transfer"],
    ["status:lo| transfer", "status:lost| transfer"],
  ])("%s to %s", (text, wanted) => {
    expect(completed(text)).toBe(wanted);
  });

  it("with the words of events where events are filtered", () => {
    expect(completed("kind:error.u|", "events")).toBe("kind:error.unhandled |");
    expect(completed("has:c|", "events")).toBe("has:cause |");
    expect(completed("kind:syn|", "events")).toBe("kind:sync.*|");
  });

  it("with values that are known, quoted where they hold blanks", () => {
    expect(completed("service:ba|", "runs", { service: ["bank.app"] })).toBe("service:bank.app |");
    expect(completed("name:PO|", "runs", { name: ["POST /x"] })).toBe('name:"POST /x" |');
  });

  it("not within quotes, and not for a field that is not known", () => {
    expect(completed('name:"sta|')).toBe("nothing");
    expect(completed("nonsense:|")).toBe("nothing");
    expect(completed("status:failed|")).toBe("nothing");
  });
});

it("a blank within quotes does not end a word", () => {
  const [first] = completions('name:"a b" st', 13, "runs");
  expect(first).toMatchObject({ text: "status:", from: 11, to: 13 });
});

it("a value with a comma is quoted, as a comma means another value", () => {
  expect(quoted("a,b")).toBe('"a,b"');
  expect(quoted("plain")).toBe("plain");
});
