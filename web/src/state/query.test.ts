import { describe, expect, it } from "vitest";
import { add, caretContext, condition, quote, rank, stateOf, toggle, tokenise, utf16Offset, withoutField } from "./query";

describe("tokenise", () => {
  it("splits conditions, words and quotes", () => {
    const tokens = tokenise('model:gpt-4o -tag:"a b" cost>=0.01 refund (status!=ok)');
    expect(tokens.map(({ negated, field, op, value }) => [negated, field, op, value])).toEqual([
      [false, "model", ":", "gpt-4o"],
      [true, "tag", ":", "a b"],
      [false, "cost", ">=", "0.01"],
      [false, "", "", "refund"],
      [false, "status", "!=", "ok"],
    ]);
  });
  it("never fails, and keeps to the text", () => {
    for (const text of ['"', "-", ":", 'a:"\\', "a:(", '((("', "a:b:c", "\\"]) {
      for (const token of tokenise(text)) {
        expect(token.start).toBeLessThan(token.end);
        expect(token.end).toBeLessThanOrEqual(text.length);
      }
    }
  });
});

describe("editing", () => {
  it("adds, turns round and removes", () => {
    expect(toggle("", "status", "error")).toBe("status:error");
    expect(toggle("a status:error b", "status", "error")).toBe("a b");
    expect(toggle("a status:error b", "status", "error", true)).toBe("a b -status:error");
    expect(add("user:x", "user", "x")).toBe("user:x");
    expect(add("-user:x", "user", "x")).toBe("user:x");
  });
  it("quotes what needs it and reads it back", () => {
    for (const value of ["a b", 'say "hi"', "back\\slash", "wild*", "a,b", "-x", "Ünïcode", "gpt-4o", ""]) {
      expect(stateOf(condition("name", value), "name", value)).toBe("yes");
      expect(stateOf(condition("name", value, true), "name", value)).toBe("not");
    }
    expect(quote("gpt-4o")).toBe("gpt-4o");
    expect(quote("wild*")).toBe('"wild*"');
  });
  it("drops all conditions of a field", () => {
    expect(withoutField("model:a x -model:b model>c", "model")).toBe("x");
  });
});

describe("completion", () => {
  it("completes a field, a value, and nothing at a blank", () => {
    expect(caretContext("sta", 3)).toEqual({ kind: "field", field: "", prefix: "sta", start: 0, end: 3 });
    expect(caretContext("-us", 3)).toMatchObject({ kind: "field", prefix: "us", start: 1 });
    expect(caretContext("a model:gp", 10)).toEqual({ kind: "value", field: "model", prefix: "gp", start: 8, end: 10 });
    expect(caretContext('user:"Ada L', 11)).toMatchObject({ kind: "value", field: "user", prefix: "Ada L" });
    expect(caretContext("model:x ", 8)).toMatchObject({ kind: "field", prefix: "", start: 8, end: 8 });
  });
  it("keeps the operator when a field is completed before it", () => {
    expect(caretContext("mod:x", 3)).toMatchObject({ kind: "field", start: 0, end: 3 });
  });
  it("ranks beginnings before middles", () => {
    expect(rank(["input_tokens", "tokens", "to"], "to", (one) => one)).toEqual(["tokens", "to", "input_tokens"]);
  });
});

describe("utf16Offset", () => {
  it("counts characters as the server does", () => {
    expect(utf16Offset("😀 x", 2)).toBe(3);
    expect(utf16Offset("ab", 5)).toBe(2);
  });
});
