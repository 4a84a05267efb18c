/** Reading and editing the filter text. The server's parser decides; this one serves colours, completion and facets. */

export interface Token {
  start: number;
  end: number;
  negated: boolean;
  /** The field before the operator; empty for plain words, brackets and connectives. */
  field: string;
  op: string;
  /** The value with its quotes removed. */
  value: string;
  valueStart: number;
}

const OPERATORS = [">=", "<=", "!=", "~", ":", ">", "<", "="];

/** Splits filter text at blanks outside quotes. Never fails: unfinished text gives unfinished tokens. */
export function tokenise(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    if (/[\s()]/.test(text[at])) {
      at++;
      continue;
    }
    const start = at;
    let quoted = false;
    while (at < text.length && (quoted || !/[\s()]/.test(text[at]))) {
      if (quoted && text[at] === "\\") at++;
      else if (text[at] === '"') quoted = !quoted;
      at++;
    }
    at = Math.min(at, text.length);
    tokens.push(readToken(text, start, at));
  }
  return tokens;
}

function readToken(text: string, start: number, end: number): Token {
  const negated = text[start] === "-" && end - start > 1;
  const from = negated ? start + 1 : start;
  const body = text.slice(from, end);
  const field = /^[A-Za-z_][\w.-]*/.exec(body)?.[0] ?? "";
  const op = OPERATORS.find((one) => body.startsWith(one, field.length));
  if (!field || !op) return { start, end, negated, field: "", op: "", value: unquote(body), valueStart: from };
  const valueStart = from + field.length + op.length;
  return { start, end, negated, field, op, value: unquote(text.slice(valueStart, end)), valueStart };
}

/** Quotes a value where the filter language needs it. */
export function quote(value: string): string {
  return /^[\w./:@+-]+$/.test(value) && !value.startsWith("-") ? value : `"${value.replace(/["\\]/g, "\\$&")}"`;
}

function unquote(text: string): string {
  if (!text.startsWith('"')) return text;
  const body = text.length > 1 && text.endsWith('"') ? text.slice(1, -1) : text.slice(1);
  return body.replace(/\\(["\\])/g, "$1");
}

/** Writes one condition. */
export function condition(field: string, value: string, negated = false, op = ":"): string {
  return `${negated ? "-" : ""}${field}${op}${quote(value)}`;
}

/** Tells whether the filter holds this condition: "yes", "not" (excluded) or "" (neither). */
export function stateOf(text: string, field: string, value: string): "yes" | "not" | "" {
  const found = tokenise(text).find((token) => token.field === field && token.op === ":" && token.value === value);
  return found ? (found.negated ? "not" : "yes") : "";
}

/** Adds a condition, turns it round if its opposite is there, or removes it if it is there already. */
export function toggle(text: string, field: string, value: string, negated = false): string {
  const found = tokenise(text).find((token) => token.field === field && token.op === ":" && token.value === value);
  if (!found) return joinWords(text, condition(field, value, negated));
  const without = remove(text, found);
  return found.negated === negated ? without : joinWords(without, condition(field, value, negated));
}

/** Adds a condition unless it is there. */
export function add(text: string, field: string, value: string, negated = false): string {
  return stateOf(text, field, value) === (negated ? "not" : "yes") ? text : toggle(text, field, value, negated);
}

/** Removes every condition on a field. */
export function withoutField(text: string, field: string): string {
  for (;;) {
    const found = tokenise(text).find((token) => token.field === field);
    if (!found) return text;
    text = remove(text, found);
  }
}

function remove(text: string, token: Token): string {
  return `${text.slice(0, token.start)} ${text.slice(token.end)}`.replace(/\s+/g, " ").trim();
}

function joinWords(text: string, word: string): string {
  return text.trim() === "" ? word : `${text.trim()} ${word}`;
}

/** What the caret stands in: a field to complete, or a value of a field. */
export interface CaretContext {
  kind: "field" | "value";
  field: string;
  /** What was typed so far of the thing to complete. */
  prefix: string;
  /** The part of the text a completion replaces. */
  start: number;
  end: number;
}

/** Finds what can be completed at the caret. */
export function caretContext(text: string, caret: number): CaretContext {
  const token = tokenise(text).find((one) => one.start < caret && caret <= one.end);
  if (!token) return { kind: "field", field: "", prefix: "", start: caret, end: caret };
  if (token.op && caret >= token.valueStart) {
    const prefix = unquote(text.slice(token.valueStart, caret));
    return { kind: "value", field: token.field, prefix, start: token.valueStart, end: token.end };
  }
  const start = token.negated ? token.start + 1 : token.start;
  const end = token.op ? token.valueStart - token.op.length : token.end;
  return { kind: "field", field: "", prefix: text.slice(start, caret), start, end };
}

/** Ranks candidates: those that start with what was typed first, then those that contain it. */
export function rank<T>(items: T[], prefix: string, name: (item: T) => string, most = 12): T[] {
  const wanted = prefix.toLowerCase();
  const starts: T[] = [];
  const holds: T[] = [];
  for (const item of items) {
    const text = name(item).toLowerCase();
    if (text.startsWith(wanted)) starts.push(item);
    else if (text.includes(wanted)) holds.push(item);
  }
  return [...starts, ...holds].slice(0, most);
}

/** Turns the server's offset, which counts characters, into one that counts UTF-16 units as strings here do. */
export function utf16Offset(text: string, characters: number): number {
  let at = 0;
  for (let count = 0; count < characters && at < text.length; count++) at += text.codePointAt(at)! > 0xffff ? 2 : 1;
  return at;
}
