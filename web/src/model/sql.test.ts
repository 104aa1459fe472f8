import { describe, expect, it } from "vitest";
import { csv } from "./csv";
import { sqlWords } from "./sql_words";

describe("a statement", () => {
  it("is coloured and stays what it was", () => {
    const statement =
      "select count(*), 'it''s -- no', 1.5e3 -- a comment\nfrom Events where selected = 1 /* open";
    const words = sqlWords(statement);
    expect(words.map((word) => word.text).join("")).toBe(statement);
    const of = (kind: string) => words.filter((word) => word.kind === kind).map((word) => word.text);
    expect(of("keyword")).toEqual(["select", "from", "where"]);
    expect(of("text")).toEqual(["'it''s -- no'"]);
    expect(of("number")).toEqual(["1.5e3", "1"]);
    expect(of("comment")).toEqual(["-- a comment", "/* open"]);
  });
});

describe("a download", () => {
  const columns = [
    { name: "a", type: "TEXT" },
    { name: 'b"', type: "TEXT" },
  ];

  it("quotes what must be quoted, and keeps whole numbers whole", () => {
    const text = csv({
      columns,
      rows: [
        ["x,y", 1_764_242_406_123_456_789n],
        [null, { k: 1 }],
      ],
    });
    expect(text).toBe('a,"b"""\r\n"x,y",1764242406123456789\r\n,"{""k"":1}"\r\n');
  });

  it("does not let a spreadsheet run what was recorded", () => {
    expect(csv({ columns: [{ name: "a", type: "" }], rows: [["=cmd()"], [-5]] })).toBe(
      "a\r\n'=cmd()\r\n-5\r\n",
    );
  });
});
