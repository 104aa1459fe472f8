import { describe, expect, test, vi } from "vitest";
import { wheel } from "./gestures";
import { dragged } from "./minimap_drag";
import { around, clamp, LEAST_NS, pan, wholeOf, zoomAt } from "./window";

const WHOLE = { from: 0, to: 1e6 };

describe("windows", () => {
  test("keep the time under the pointer where it is while one zooms", () => {
    const window = zoomAt({ from: 2e5, to: 6e5 }, 0.5, 3e5, WHOLE);

    expect(window).toEqual({ from: 2.5e5, to: 4.5e5 });
  });

  test("stay within what there is, and keep their width while one pans", () => {
    expect(pan({ from: 7e5, to: 9e5 }, 5e5, WHOLE)).toEqual({ from: 8e5, to: 1e6 });
    expect(pan({ from: 1e5, to: 3e5 }, -9e9, WHOLE)).toEqual({ from: 0, to: 2e5 });
    expect(zoomAt({ from: 1e5, to: 9e5 }, 100, 5e5, WHOLE)).toEqual(WHOLE);
  });

  test("get no narrower than a clock can tell", () => {
    const window = zoomAt({ from: 5e5, to: 5e5 + 60 }, 1e-9, 5e5 + 30, WHOLE);

    expect(window.to - window.from).toBe(LEAST_NS);
    expect(clamp({ from: 5, to: 5 }, WHOLE).to - clamp({ from: 5, to: 5 }, WHOLE).from).toBe(LEAST_NS);
  });

  test("leave room around a block, and around the run", () => {
    const window = around(4e5, 5e5, WHOLE);

    expect([window.from < 4e5, window.to > 5e5]).toEqual([true, true]);
    expect(wholeOf(0, 0).to - wholeOf(0, 0).from).toBeGreaterThan(0);
  });
});

describe("wheel", () => {
  const turn = (change: Partial<WheelEvent>) => {
    const preventDefault = vi.fn();
    const event = {
      deltaX: 0,
      deltaY: 0,
      deltaMode: 0,
      ctrlKey: false,
      metaKey: false,
      shiftKey: false,
      preventDefault,
      ...change,
    };
    const intents = { pan: vi.fn(), zoom: vi.fn() };
    wheel(event, 40, intents);
    return { preventDefault, ...intents };
  };

  test("leaves a plain turn to what scrolls", () => {
    const { pan: moved, zoom, preventDefault } = turn({ deltaY: 100 });

    expect([moved.mock.calls, zoom.mock.calls, preventDefault.mock.calls]).toEqual([[], [], []]);
  });

  test("zooms with ctrl, in one direction as far as in the other", () => {
    const [inside, outside] = [turn({ deltaY: -100, ctrlKey: true }), turn({ deltaY: 100, metaKey: true })];

    expect(inside.zoom.mock.calls[0]?.[0] * outside.zoom.mock.calls[0]?.[0]).toBeCloseTo(1);
    expect(inside.zoom.mock.calls[0]?.[0]).toBeLessThan(1);
    expect(inside.preventDefault).toHaveBeenCalled();
  });

  test("pans with shift or sideways", () => {
    expect(turn({ deltaY: 50, shiftKey: true }).pan).toHaveBeenCalledWith(-50, 0);
    expect(turn({ deltaX: 30, deltaY: 4 }).pan).toHaveBeenCalledWith(-30, 0);
  });
});

describe("dragged", () => {
  const window = { from: 100_000, to: 300_000 };

  test("moves the window, or the end that was taken", () => {
    expect(dragged(window, "inside", 200_000, 250_000)).toEqual({ from: 150_000, to: 350_000 });
    expect(dragged(window, "left", 100_000, 50_000)).toEqual({ from: 50_000, to: 300_000 });
    expect(dragged(window, "right", 300_000, 400_000)).toEqual({ from: 100_000, to: 400_000 });
  });

  test("never turns it round", () => {
    expect(dragged(window, "left", 100_000, 900_000)).toEqual({ from: 299_900, to: 300_000 });
    expect(dragged(window, "right", 300_000, 0)).toEqual({ from: 100_000, to: 100_100 });
  });
});
