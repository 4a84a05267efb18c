// @vitest-environment happy-dom
import { describe, expect, it } from "vitest";
import { href, placeOf } from "../router";
import { DEFAULT_SORT, readView, type View, viewParams } from "./view";

const now = Date.now();

describe("the list's address", () => {
  it("gives back what was written", () => {
    const view: View = { rows: "spans", q: 'user:"Ada & Co" cost>0.01', range: "24h", sort: "-cost", live: false };
    const search = href("traces", viewParams(view)).split("?")[1];
    expect(readView(new URLSearchParams(search), now)).toEqual(view);
  });
  it("leaves defaults out", () => {
    expect(viewParams(readView(new URLSearchParams(), now))).toEqual({ rows: undefined, q: undefined, range: undefined, sort: undefined, live: undefined });
    expect(href("traces", viewParams(readView(new URLSearchParams(), now)))).not.toContain("?");
  });
  it("falls back where an old link makes no sense", () => {
    expect(readView(new URLSearchParams("range=nonsense&sort=-price&rows=cats&live=yes"), now)).toEqual({ rows: "traces", q: "", range: "7d", sort: DEFAULT_SORT, live: false });
  });
});

describe("the place that a path names", () => {
  const id = "0af7651916cd43dd8448eb211c80319c";
  it.each([
    ["", "", null],
    ["traces", "traces", null],
    ["traces/", "traces", null],
    [`traces/${id}`, "trace", id],
    [`traces/${id}/`, "trace", id],
    ["traces/a%2Fb", "trace", "a/b"],
    ["traces/%zz", "trace", "%zz"],
    ["alerts", "alerts", null],
    ["alerts/a1", "alerts", "a1"],
    ["overview/x", "overview/x", null],
    ["alerts/a1/x", "alerts/a1/x", null],
  ])("%s is %s with %s", (path, page, wanted) => {
    const found = placeOf(path, new URLSearchParams());
    expect([found.page, found.params.get("id")]).toEqual([page, wanted]);
  });
});
