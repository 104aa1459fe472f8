import { expect, test } from "vitest";
import { Texts } from "./texts";

const WIDTHS: Readonly<Record<string, number>> = { i: 3, W: 12, "…": 9 };
const measure = (text: string) => [...text].reduce((sum, letter) => sum + (WIDTHS[letter] ?? 6), 0);

test("a text is cut to the room there is, whatever the widths of its letters", () => {
  const texts = new Texts("11px sans", measure);
  for (const text of ["handle_request", "iiiiiiiiiiWWWWWW", "WWWWWWiiiiiiiiii"])
    for (let room = 0; room < 120; room += 7) {
      const cut = texts.fit(text, room);
      expect(measure(cut)).toBeLessThanOrEqual(room);
      expect(cut === text || cut === "" || text.startsWith(cut.slice(0, -1))).toBe(true);
    }
  expect(texts.fit("main", 21)).toBe("main");
  expect(texts.fit("main", 20)).toBe("");
});

test("a text is measured once, however often it is drawn", () => {
  let measured = 0;
  const texts = new Texts("11px sans", (text) => {
    measured++;
    return measure(text);
  });
  for (let i = 0; i < 50; i++) texts.fit("handle_request", 40);

  expect(measured).toBeLessThan(8);
});
