// @vitest-environment happy-dom
import { describe, expect, it } from "vitest";
import { href, prefixOf } from "../router";
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

describe("prefixOf", () => {
  const id = "0af7651916cd43dd8448eb211c80319c";
  it.each([
    ["/", "/traces", "/"],
    ["/", "/", "/"],
    ["/obs/", "/obs/traces", "/obs/"],
    ["/traces/", `/traces/${id}`, "/"],
    ["/obs/traces/", `/obs/traces/${id}`, "/obs/"],
    ["/traces/", "/traces/setup", "/traces/"],
    ["/traces/traces/", `/traces/traces/${id}`, "/traces/"],
  ])("with scripts below %s, page %s: %s", (root, path, wanted) => expect(prefixOf(root, path)).toBe(wanted));
});
