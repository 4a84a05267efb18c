import { expect, it } from "vitest";
import { matcherText, readMatchers } from "./matchers";

it("reads what it writes", () => {
  const all = [
    { label: "service", operator: "=", value: "search" },
    { label: "model", operator: "!=", value: "a=b" },
    { label: "alertname", operator: "=~", value: "Cost *" },
    { label: "user", operator: "!~", value: "" },
  ] as const;
  expect(readMatchers(all.map(matcherText).join("\n"))).toEqual(all);
});

it("takes blanks and quotes, and names the line that is no condition", () => {
  expect(readMatchers('\n  service = "a b"  \n')).toEqual([{ label: "service", operator: "=", value: "a b" }]);
  expect(() => readMatchers("service=a\nnonsense")).toThrow("nonsense");
  expect(readMatchers("")).toEqual([]);
});
