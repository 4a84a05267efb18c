import { describe, expect, it } from "vitest";
import { parseExactly } from "./exact";

describe("parseExactly", () => {
  it("keeps the digits of integers that a number cannot hold", () => {
    expect(parseExactly('{"id":1234567890123456789,"below":-9223372036854775808,"most":18446744073709551615}')).toEqual({ id: "1234567890123456789", below: "-9223372036854775808", most: "18446744073709551615" });
  });
  it.each([
    '{"a":9007199254740991,"b":-9007199254740991}',
    '{"text":"1234567890123456789","quoted":"say \\"1234567890123456789\\" and \\\\"}',
    '{"1234567890123456789":1}',
    "[1.2345678901234567890,1e300,1234567890123456789e-3,1234567890123456789.5,0,-1]",
    '{"a":[{"b":null,"c":true}],"d":""}',
    "12",
  ])("changes nothing else: %s", (text) => expect(parseExactly(text)).toEqual(JSON.parse(text)));
  it.each(["words and words\n", '\\"', "\\", "n"])("reads a text of megabytes: %j", (word) => {
    const value = { text: word.repeat(10_000_000 / word.length), after: "1234567890123456789" };
    expect(parseExactly(JSON.stringify(value).replace('"1234567890123456789"', "1234567890123456789")) as object).toStrictEqual(value);
  });
  it("says that it is no JSON where it is none", () => {
    expect(() => parseExactly('{"id":1234567890123456789,"open')).toThrow(SyntaxError);
  });
});
