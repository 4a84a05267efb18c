/** The filter text: coloured, completed, and marked where the server could not read it. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { getFacet } from "../api/calls";
import type { ApiError, FieldItem } from "../api/client";
import { capital } from "../state/format";
import { type CaretContext, caretContext, quote, rank, tokenise, utf16Offset } from "../state/query";
import { useHotkeys } from "./hooks";
import { Icon } from "./icons";
import { Button } from "./kit";

interface Props {
  value: string;
  fields: FieldItem[];
  error: ApiError | null;
  from?: string;
  to?: string;
  scope: string;
  onApply: (q: string) => void;
}

interface Suggestion {
  text: string;
  insert: string;
  note: string;
}

export function QueryBar({ value, fields, error, from, to, scope, onApply }: Props) {
  const [draft, setDraft] = useState(value);
  const [caret, setCaret] = useState(value.length);
  const [open, setOpen] = useState(false);
  const [picked, setPicked] = useState(-1);
  const input = useRef<HTMLInputElement>(null);
  const paint = useRef<HTMLDivElement>(null);
  useEffect(() => setDraft(value), [value]);

  const context = caretContext(draft, caret);
  const values = useValues(open && context.kind === "value" ? context.field : "", fields, scope, from, to);
  const suggestions = useMemo(() => suggest(context, fields, values), [draft, caret, fields, values]);
  const shown = open && suggestions.length > 0;
  const faulty = error && error.code === "bad_query" && draft === value ? error : null;

  useHotkeys((key) => {
    if (key !== "/") return false;
    input.current?.focus();
    input.current?.select();
    return true;
  });

  const follow = () => {
    const field = input.current!;
    setCaret(field.selectionStart ?? field.value.length);
    if (paint.current) paint.current.scrollLeft = field.scrollLeft;
  };
  const apply = (text: string) => {
    setOpen(false);
    setPicked(-1);
    setDraft(text.trim());
    onApply(text.trim());
  };
  const take = (suggestion: Suggestion) => {
    const text = draft.slice(0, context.start) + suggestion.insert + draft.slice(context.end);
    const end = context.start + suggestion.insert.length;
    setDraft(text);
    setCaret(end);
    setPicked(-1);
    setOpen(context.kind === "field");
    requestAnimationFrame(() => {
      input.current?.focus();
      input.current?.setSelectionRange(end, end);
    });
  };
  const keys = (event: KeyboardEvent) => {
    if (event.key === "Enter") {
      event.preventDefault();
      if (shown && picked >= 0) take(suggestions[picked]);
      else apply(draft);
    } else if (event.key === "Tab" && shown && !event.shiftKey && (picked >= 0 || context.prefix)) {
      event.preventDefault();
      take(suggestions[Math.max(0, picked)]);
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      setOpen(true);
      const step = event.key === "ArrowDown" ? 1 : -1;
      setPicked((picked + step + suggestions.length + (picked < 0 && step < 0 ? 1 : 0)) % Math.max(1, suggestions.length));
    } else if (event.key === "Escape") {
      if (shown) setOpen(false);
      else {
        setDraft(value);
        input.current?.blur();
      }
      event.stopPropagation();
    }
  };

  return (
    <div class={`query${faulty ? " query-faulty" : ""}`} role="search">
      <Icon name="search" size={15} class="query-icon" />
      <div class="query-field">
        <div class="query-paint" ref={paint} aria-hidden="true">
          <Painted text={draft} error={faulty} />
        </div>
        <input
          ref={input}
          class="query-input"
          type="text"
          value={draft}
          placeholder="Filter, e.g.  status:error  model:gpt-4o  cost>0.01  or words to search for"
          role="combobox"
          aria-label="Filter"
          aria-expanded={shown}
          aria-controls="query-suggestions"
          aria-activedescendant={shown && picked >= 0 ? `query-suggestion-${picked}` : undefined}
          aria-autocomplete="list"
          aria-invalid={faulty !== null}
          aria-describedby={faulty ? "query-error" : undefined}
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          onInput={(event) => {
            setDraft(event.currentTarget.value);
            setOpen(true);
            setPicked(-1);
            follow();
          }}
          onKeyDown={keys}
          onKeyUp={follow}
          onClick={follow}
          onScroll={follow}
          onFocus={() => {
            follow();
            setOpen(true);
          }}
          onBlur={() => setOpen(false)}
        />
      </div>
      {draft !== value && <span class="query-hint muted">Enter to apply</span>}
      {draft && <Button icon="close" label="Clear the filter" class="query-clear" onClick={() => apply("")} />}
      {shown && (
        <ul class="suggestions" id="query-suggestions" role="listbox" aria-label={context.kind === "field" ? "Fields" : `Values of ${context.field}`}>
          {suggestions.map((suggestion, index) => (
            <li
              key={suggestion.text}
              id={`query-suggestion-${index}`}
              role="option"
              aria-selected={index === picked}
              class="suggestion"
              onPointerDown={(event) => {
                event.preventDefault();
                take(suggestion);
              }}
            >
              <code class="ellipsis">{suggestion.text}</code>
              <span class="muted ellipsis">{suggestion.note}</span>
            </li>
          ))}
        </ul>
      )}
      {faulty && (
        <p class="query-error" id="query-error" role="alert">
          <Icon name="error" size={14} />
          <span>
            <b>{capital(faulty.message)}.</b> {capital(faulty.hint)}
          </span>
        </p>
      )}
    </div>
  );
}

/** The text below the transparent input: fields, operators and values in colour, the fault underlined. */
function Painted({ text, error }: { text: string; error: ApiError | null }) {
  const parts: { from: number; to: number; look: string }[] = [];
  for (const token of tokenise(text)) {
    if (!token.op) {
      parts.push({ from: token.start, to: token.end, look: /^(AND|OR|NOT)$/i.test(token.value) ? "q-word" : "q-text" });
      continue;
    }
    const opStart = token.valueStart - token.op.length;
    parts.push({ from: token.start, to: opStart, look: token.negated ? "q-field q-not" : "q-field" });
    parts.push({ from: opStart, to: token.valueStart, look: "q-op" }, { from: token.valueStart, to: token.end, look: "q-value" });
  }
  const fault =
    error && error.position >= 0
      ? { from: utf16Offset(text, error.position), to: utf16Offset(text, error.position + Math.max(1, error.length)) }
      : null;
  const out = [];
  let at = 0;
  for (const part of parts) {
    if (part.from > at) out.push(text.slice(at, part.from));
    out.push(<span class={part.look}>{text.slice(part.from, part.to)}</span>);
    at = part.to;
  }
  out.push(text.slice(at));
  return (
    <>
      {out}
      {fault && (
        <span class="q-fault-layer">
          {text.slice(0, fault.from)}
          <span class="q-fault">{text.slice(fault.from, fault.to) || " "}</span>
        </span>
      )}
    </>
  );
}

function suggest(context: CaretContext, fields: FieldItem[], values: { value: string; count: number | null }[]): Suggestion[] {
  if (context.kind === "value") {
    return rank(values, context.prefix, (one) => one.value).map((one) => ({
      text: one.value,
      insert: `${quote(one.value)} `,
      note: one.count === null ? "" : one.count.toLocaleString("en-US"),
    }));
  }
  const matching = rank(fields, context.prefix, (field) => field.name);
  if (matching.length === 1 && matching[0].name === context.prefix && matching[0].operators.length > 1) {
    const [field] = matching;
    return field.operators.map((operator) => ({ text: `${field.name}${operator}`, insert: `${field.name}${operator}`, note: field.help }));
  }
  return matching.map((field) => ({ text: field.name, insert: field.name.endsWith(".") ? field.name : field.name + (field.operators[0] ?? ":"), note: field.help }));
}

/** The values that a field can have: fixed ones, else the most frequent ones of the range. */
function useValues(name: string, fields: FieldItem[], scope: string, from?: string, to?: string) {
  const [found, setFound] = useState<{ value: string; count: number | null }[]>([]);
  const field = fields.find((one) => one.name === name || one.aliases.includes(name));
  useEffect(() => {
    setFound(field?.values.map((value) => ({ value, count: null })) ?? []);
    if (!field?.facet) return undefined;
    const abort = new AbortController();
    getFacet({ field: field.name, from, to, scope, limit: 100 }, abort.signal).then(
      (reply) => reply.values.length && setFound(reply.values.filter((one) => one.value !== "")),
      () => undefined,
    );
    return () => abort.abort();
  }, [field?.name, scope, from, to]);
  return found;
}
