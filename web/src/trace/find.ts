/** Finding spans within a trace by what the skeleton holds. Texts of messages are searched by the server. */

export interface Findable {
  span_id: string;
  name: string;
  category: string;
  model?: string;
  status_code?: string;
}

/** Tells which spans hold every word of `text` in their name, kind, model, status or id. */
export function findSpans(spans: readonly Findable[], text: string): Set<string> {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = new Set<string>();
  if (!words.length) return found;
  for (const span of spans) {
    const hay = `${span.name}\n${span.category}\n${span.model ?? ""}\n${span.status_code === "error" ? "error" : ""}\n${span.span_id}`.toLowerCase();
    if (words.every((word) => hay.includes(word))) found.add(span.span_id);
  }
  return found;
}

/** Picks the match after (+1) or before (-1) a position; wraps around. -1 when there is none. */
export function nextMatch(matches: readonly number[], position: number, step: 1 | -1): number {
  if (!matches.length) return -1;
  if (step > 0) return matches.find((one) => one > position) ?? matches[0];
  for (let i = matches.length - 1; i >= 0; i--) if (matches[i] < position) return matches[i];
  return matches[matches.length - 1];
}
