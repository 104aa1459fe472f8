import { describe, expect, it } from "vitest";
import { type Action, Keymap, keyLabel, keyName } from "./keys";

function action(id: string, key: string, done: string[], otherKeys: string[] = []): Action {
  return { id, title: id, key, otherKeys, group: "Go to", run: () => done.push(id) };
}

describe("the keymap", () => {
  it("does what was registered last for a key, and again the one before once that is gone", () => {
    const keymap = new Keymap();
    const done: string[] = [];
    keymap.register([action("frame", "enter", done)]);
    const remove = keymap.register([action("list", "enter", done)]);
    keymap.press("enter", 0);
    remove();
    keymap.press("enter", 10);
    expect(done).toEqual(["list", "frame"]);
  });

  it("knows two keys in a row, unless the second comes late", () => {
    const keymap = new Keymap();
    const done: string[] = [];
    keymap.register([action("runs", "g r", done), action("r", "r", done)]);
    expect(keymap.press("g", 0)).toBe(true);
    keymap.press("r", 200);
    keymap.press("g", 1000);
    keymap.press("r", 9000);
    expect(done).toEqual(["runs", "r"]);
  });

  it("forgets the first of two where the second means nothing", () => {
    const keymap = new Keymap();
    const done: string[] = [];
    keymap.register([action("runs", "g r", done)]);
    keymap.press("g", 0);
    expect(keymap.press("x", 10)).toBe(false);
    expect(keymap.press("r", 20)).toBe(false);
    expect(done).toEqual([]);
  });

  it("takes other keys for the same", () => {
    const keymap = new Keymap();
    const done: string[] = [];
    keymap.register([action("zoom", "+", done, ["="])]);
    keymap.press("=", 0);
    expect(done).toEqual(["zoom"]);
  });
});

describe("names of keys", () => {
  const press = (key: string, about: Partial<KeyboardEvent> = {}) =>
    keyName({ key, ctrlKey: false, metaKey: false, altKey: false, ...about });

  it("are those of actions", () => {
    expect(press("Escape")).toBe("esc");
    expect(press("k", { ctrlKey: true })).toBe("mod+k");
    expect(press("K", { metaKey: true })).toBe("mod+k");
    expect(press("Enter", { ctrlKey: true })).toBe("mod+enter");
    expect(press("?")).toBe("?");
    expect(press("ArrowDown")).toBe("arrowdown");
  });

  it("are none for what belongs to the system", () => {
    expect(press("Control", { ctrlKey: true })).toBe("");
    expect(press("d", { altKey: true })).toBe("");
  });

  it("read as people know them", () => {
    expect(keyLabel("mod+k", true)).toBe("⌘K");
    expect(keyLabel("mod+k", false)).toBe("Ctrl K");
    expect(keyLabel("g r", false)).toBe("g r");
  });
});
