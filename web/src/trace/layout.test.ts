import { describe, expect, it } from "vitest";
import { barOf, frameOf, readZoom, timeTicks, writeZoom, zoomBy, zoomTo } from "./layout";

const whole = { from: -100, to: 900 };

describe("barOf", () => {
  it("clips a bar to the frame and says beyond which end one lies", () => {
    expect(barOf({ start_ms: 0, duration_ms: 200 }, { from: 100, to: 300 })).toMatchObject({ left: 0, width: 50, beyond: "" });
    expect(barOf({ start_ms: 0, duration_ms: 50 }, { from: 100, to: 300 })).toMatchObject({ width: 0, beyond: "left" });
    expect(barOf({ start_ms: 400, duration_ms: 50 }, { from: 100, to: 300 })).toMatchObject({ width: 0, beyond: "right" });
    expect(barOf({ start_ms: 300, duration_ms: -5 }, { from: 100, to: 300 })).toMatchObject({ left: 100, width: 0, beyond: "" });
  });
});

describe("zoom", () => {
  it("stays within the trace and ends at all of it", () => {
    expect(zoomTo(whole, -500, 0)).toEqual({ from: -100, to: 400 });
    expect(zoomTo(whole, 800, 1000)).toEqual({ from: 700, to: 900 });
    expect(zoomTo(whole, -500, 5000)).toBeNull();
    expect(zoomBy(whole, whole, 400, 0.5)).toEqual({ from: 150, to: 650 });
    expect(zoomBy(whole, { from: 150, to: 650 }, 400, 4)).toBeNull();
    const close = zoomBy(whole, { from: 0, to: 0.001 }, 0, 0.01)!;
    expect(close.to - close.from).toBeCloseTo(0.001, 9);
  });

  it("survives the address, and what others write there", () => {
    for (const zoom of [{ from: -12.5, to: 80.125 }, { from: 0, to: 1 }]) expect(readZoom(writeZoom(zoom)!, whole)).toEqual(zoom);
    expect(writeZoom(null)).toBeUndefined();
    for (const text of ["", "x", "5..5", "9..3", "1e9..2e9", "2000..3000", "-Infinity..1", "..", "1..2..3"]) expect(readZoom(text, whole)).toBeNull();
  });
});

describe("timeTicks", () => {
  it("counts from the origin, whatever part is shown", () => {
    expect(timeTicks({ from: 0, to: 1000 }, 5)).toEqual([200, 400, 600, 800]);
    expect(timeTicks({ from: 330, to: 730 }, 4, 0)).toEqual([400, 500, 600, 700]);
    expect(timeTicks({ from: -50, to: 50 }, 2)).toEqual([50]);
  });
});

it("finds what a trace covers, also of nothing", () => {
  expect(frameOf([{ start_ms: -3, duration_ms: 1 }, { start_ms: 5, duration_ms: 10 }])).toEqual({ from: -3, to: 15 });
  expect(frameOf([])).toEqual({ from: 0, to: 1 });
});
