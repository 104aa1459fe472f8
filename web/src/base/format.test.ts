import { expect, it } from "vitest";
import { bytes, count, cut, place, plural, short } from "./format";

it("sets thousands apart, and shortens what is long", () => {
  expect(count(13_457)).toBe("13,457");
  expect(short(9_646)).toBe("9,646");
  expect(short(13_457)).toBe("13.5k");
  expect(short(2_400_000)).toBe("2.40M");
  expect(short(999_700)).toBe("1.00M");
});

it("says one process and three processes", () => {
  expect(plural(1, "process")).toBe("1 process");
  expect(plural(3, "process")).toBe("3 processes");
  expect(plural(0, "event")).toBe("0 events");
});

it("writes bytes in powers of a thousand", () => {
  expect(bytes(812)).toBe("812 B");
  expect(bytes(178_700)).toBe("178.7 kB");
  expect(bytes(1_200_000)).toBe("1.2 MB");
});

it("shows the end of a long path", () => {
  expect(place("/srv/app/examples/bank/receipts.py", 29, "Receipts.send")).toBe(
    "bank/receipts.py:29 Receipts.send",
  );
  expect(place("app.py", 3)).toBe("app.py:3");
  expect(place("", 3)).toBe("");
});

it("cuts with an ellipsis", () => {
  expect(cut("Account.lock", 8)).toBe("Account…");
});
