/** The side panel: frequent values with counts; a click edits the filter text. */
import { useEffect, useState } from "preact/hooks";
import { getFacet } from "../../api/calls";
import { type FacetsReply, type FieldItem, isAbort } from "../../api/client";
import { formatCount } from "../../state/format";
import { stateOf, toggle, withoutField } from "../../state/query";
import { apiTime } from "../../state/time";
import type { View } from "../../state/view";
import { Icon } from "../../ui/icons";

interface Props {
  view: View;
  fields: FieldItem[];
  from: number | null;
  to: number | null;
  stamp: number;
  onQuery: (q: string) => void;
}

/** Shown in this order; the first ones are open from the start. */
const ORDER = ["status", "model", "name", "user", "service", "environment", "category", "tool", "agent", "error", "session", "tag", "release", "provider", "prompt", "operation", "dialect"];
const OPEN = new Set(["status", "model", "name", "user"]);

export function Facets({ view, fields, from, to, stamp, onQuery }: Props) {
  const known = new Set(fields.filter((field) => field.facet).map((field) => field.name));
  const shown = ORDER.filter((name) => known.has(name));
  const [open, setOpen] = useState(OPEN);
  const flip = (name: string) => {
    const next = new Set(open);
    if (!next.delete(name)) next.add(name);
    setOpen(next);
  };
  return (
    <div class="facets" role="region" aria-label="Filter by value">
      {shown.map((name) => (
        <section key={name} class="facet">
          <h2>
            <button type="button" class="facet-head" aria-expanded={open.has(name)} onClick={() => flip(name)}>
              <Icon name="chevron" size={12} class={open.has(name) ? "down" : ""} />
              {name.replace(/_/g, " ")}
            </button>
          </h2>
          {open.has(name) && <Values name={name} view={view} from={from} to={to} stamp={stamp} onQuery={onQuery} />}
        </section>
      ))}
    </div>
  );
}

function Values({ name, view, from, to, stamp, onQuery }: Omit<Props, "fields"> & { name: string }) {
  const [reply, setReply] = useState<FacetsReply | null>(null);
  const [all, setAll] = useState(false);
  // What is chosen in a facet must not hide its other values, so its own conditions are left out.
  const q = withoutField(view.q, name);
  useEffect(() => {
    if (stamp === 0) return undefined;
    const abort = new AbortController();
    getFacet({ field: name, q, from: apiTime(from), to: apiTime(to), scope: view.rows, limit: 50 }, abort.signal).then(setReply, (error) => {
      if (!isAbort(error)) setReply((old) => old);
    });
    return () => abort.abort();
  }, [name, q, from, to, view.rows, stamp]);

  const values = reply?.values.filter((one) => one.value !== "") ?? [];
  if (reply && values.length === 0) return <p class="facet-none muted">none</p>;
  const most = Math.max(1, ...values.map((one) => one.count));
  const shown = all ? values : values.slice(0, 6);
  return (
    <ul class="facet-values">
      {shown.map(({ value, count }) => {
        const state = stateOf(view.q, name, value);
        return (
          <li key={value} class={`facet-value${state ? ` facet-${state}` : ""}`}>
            <button type="button" class="facet-pick" aria-pressed={state === "yes"} title={value} onClick={() => onQuery(toggle(view.q, name, value))}>
              <span class="facet-box">{state === "yes" ? <Icon name="check" size={10} /> : state === "not" ? <Icon name="minus" size={10} /> : null}</span>
              <span class="ellipsis">{value}</span>
              <span class="facet-count num">{formatCount(count)}</span>
              <span class="facet-bar" style={{ width: `${(count / most) * 100}%` }} />
            </button>
            <button type="button" class="facet-not" aria-label={`Without ${name} ${value}`} title="Exclude" onClick={() => onQuery(toggle(view.q, name, value, true))}>
              <Icon name="minus" size={12} />
            </button>
          </li>
        );
      })}
      {(values.length > 6 || reply?.more) && (
        <li>
          <button type="button" class="facet-more" onClick={() => setAll(!all)}>
            {all ? "Fewer" : `${values.length - 6}${reply?.more ? "+" : ""} more`}
          </button>
        </li>
      )}
    </ul>
  );
}
