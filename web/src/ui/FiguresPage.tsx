/** The frame of pages of figures: filter and range on top, sums below it, then what the page is about. */
import type { ComponentChildren } from "preact";
import type { ScopeControls } from "../state/scope";
import { condition } from "../state/query";
import { absolute } from "../state/time";
import { viewHref } from "../state/view";
import type { Line } from "./chart/prepare";
import { Await } from "./figures";
import { FilterBar } from "./FilterBar";
import { useTitle } from "./hooks";
import type { Loaded } from "./useLoad";

interface Props<T> {
  title: string;
  controls: ScopeControls;
  /** What the sums are made of. Without it the page has nothing to show but why. */
  of: Loaded<T>;
  /** Stands before the filter. */
  picker: ComponentChildren;
  sums: (data: T) => ComponentChildren;
  /** Stands at the end whatever happened to the figures. */
  foot?: ComponentChildren;
  children: ComponentChildren;
}

export function FiguresPage<T>({ title, controls, of, picker, sums, foot, children }: Props<T>) {
  useTitle(title);
  return (
    <div class="figures-page">
      <h1 class="visually-hidden">{title}</h1>
      <FilterBar controls={controls} error={of.error}>
        {picker}
      </FilterBar>
      <div class="figures-body">
        <Await of={of} onRetry={controls.reload} lines={2}>
          {sums}
        </Await>
        {!of.error && children}
        {foot}
      </div>
    </div>
  );
}

/** Chooses what figures are grouped by; it stands in the address unless it is the first of the options. */
export function ByPicker({ by, options, onPick }: { by: string; options: string[]; onPick: (by: string | undefined) => void }) {
  return (
    <label class="by">
      <span>By</span>
      <select class="select" value={by} onChange={(event) => onPick(event.currentTarget.value === options[0] ? undefined : event.currentTarget.value)}>
        {(options.includes(by) ? options : [by, ...options]).map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

/** Returns what leads from a stretch of a chart, or of one of its lines, to the traces behind it. */
export function tracesBehind(q: string, more: { only?: string; sort?: string } = {}): (from: number, to: number, line?: Line) => string {
  return (from, to, line) => {
    const parts = [q, more.only, line?.filter && condition(line.filter.field, line.filter.value)];
    return viewHref({ q: parts.filter(Boolean).join(" "), range: absolute(from, to), sort: more.sort });
  };
}
