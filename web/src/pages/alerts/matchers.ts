/** Conditions on labels as people write them, one a line. Pure. */

export interface Matcher {
  label: string;
  operator: "=" | "!=" | "=~" | "!~";
  value: string;
}

/** Writes a condition. */
export function matcherText({ label, operator, value }: Matcher): string {
  return `${label}${operator}${value}`;
}

/** Reads conditions; throws an Error that names the line which is none. */
export function readMatchers(text: string): Matcher[] {
  const lines = text.split("\n").map((line) => line.trim()).filter(Boolean);
  return lines.map((line) => {
    const found = /^([^\s=!~]+)\s*(=~|!~|!=|=)\s*(.*)$/.exec(line);
    if (!found) throw new Error(`“${line.slice(0, 60)}” is no condition: write label=value`);
    return { label: found[1], operator: found[2] as Matcher["operator"], value: found[3].replace(/^"(.*)"$/, "$1") };
  });
}
