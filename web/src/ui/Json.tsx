/** JSON as a tree whose branches are drawn only while they are open. */
import { useState } from "preact/hooks";
import { formatExact } from "../state/format";

const CHUNK = 100;
const MOST_TEXT = 2000;

/** Draws a value; objects and lists up to `open` levels deep start open. */
export function Json({ value, open = 2 }: { value: unknown; open?: number }) {
  return (
    <div class="json mono">
      <Node value={value} level={0} open={open} />
    </div>
  );
}

function Node({ name, value, level, open }: { name?: string; value: unknown; level: number; open: number }) {
  const branch = typeof value === "object" && value !== null;
  const size = branch ? (Array.isArray(value) ? value.length : Object.keys(value).length) : 0;
  const [shown, setShown] = useState(level < open && size <= 50);
  const [most, setMost] = useState(CHUNK);
  const label = name === undefined ? null : <span class="json-key">{name}</span>;
  if (!branch || size === 0) {
    return (
      <div class="json-line">
        {label}
        <Leaf value={value} />
      </div>
    );
  }
  const entries: [string, unknown][] = shown ? (Array.isArray(value) ? value.slice(0, most).map((one, i) => [String(i), one]) : Object.entries(value).slice(0, most)) : [];
  return (
    <div class="json-branch">
      <button type="button" class={`json-toggle${shown ? " open" : ""}`} aria-expanded={shown} onClick={() => setShown(!shown)}>
        {label}
        <span class="json-size">{Array.isArray(value) ? `[${formatExact(size)}]` : `{${formatExact(size)}}`}</span>
        {!shown && <span class="json-peek">{peek(value)}</span>}
      </button>
      {shown && (
        <div class="json-inner">
          {entries.map(([key, one]) => (
            <Node key={key} name={key} value={one} level={level + 1} open={open} />
          ))}
          {size > most && (
            <button type="button" class="text-more" onClick={() => setMost(most + CHUNK * 10)}>
              … {formatExact(size - most)} more
            </button>
          )}
        </div>
      )}
    </div>
  );
}

function Leaf({ value }: { value: unknown }) {
  const [all, setAll] = useState(false);
  if (typeof value !== "string") return <span class={`json-${value === null ? "null" : typeof value}`}>{Array.isArray(value) ? "[]" : typeof value === "object" && value !== null ? "{}" : String(value)}</span>;
  const cut = !all && value.length > MOST_TEXT;
  return (
    <span class="json-string" dir="auto">
      {cut ? value.slice(0, MOST_TEXT) : value}
      {cut && (
        <button type="button" class="text-more" onClick={() => setAll(true)}>
          … all {formatExact(value.length)} characters
        </button>
      )}
    </span>
  );
}

function peek(value: object): string {
  const names = Array.isArray(value) ? value.slice(0, 4).map((one) => (typeof one === "object" ? "…" : String(one).slice(0, 20))) : Object.keys(value).slice(0, 5);
  return names.join(", ").slice(0, 80);
}
