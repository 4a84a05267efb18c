/** Tables of figures: one way to head them, and to stay usable where they are wider than the page. */
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { add } from "../state/query";
import { viewHref } from "../state/view";

/** A column's head: its name, a name above figures that stand at the right, or one that only screen readers need. */
export type Head = string | { end: string } | { hidden: string };

/** A table of rows that the caller draws; `after` stands below it. */
export function FigureTable({ heads, label, class: className, after, children }: { heads: Head[]; label?: string; class?: string; after?: ComponentChildren; children: ComponentChildren }) {
  return (
    <Scroll label={label} class={className}>
      <table class="figures">
        <thead>
          <tr>
            {heads.map((head) => (
              <HeadCell key={JSON.stringify(head)} head={head} />
            ))}
          </tr>
        </thead>
        <tbody class="num">{children}</tbody>
      </table>
      {after}
    </Scroll>
  );
}

function HeadCell({ head }: { head: Head }) {
  if (typeof head === "string") return <th scope="col">{head}</th>;
  if ("hidden" in head) {
    return (
      <th scope="col">
        <span class="visually-hidden">{head.hidden}</span>
      </th>
    );
  }
  return (
    <th scope="col" class="end">
      {head.end}
    </th>
  );
}

/** Heads a row with the value it is about; it leads to the traces with that value. */
export function GroupHead({ field, value, scope, sort }: { field: string; value: string; scope: { q: string; range: string }; sort?: string }) {
  return (
    <th scope="row" class="clip">
      {value ? <a href={viewHref({ q: add(scope.q, field, value), range: scope.range, sort })}>{value}</a> : <span class="muted">(none)</span>}
    </th>
  );
}

/** Holds a table that may be wider than the page; where it is, the keyboard can scroll it. */
export function Scroll({ children, label = "Table", class: className }: { children: ComponentChildren; label?: string; class?: string }) {
  const box = useRef<HTMLDivElement>(null);
  const [over, setOver] = useState(false);
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const observer = new ResizeObserver(() => setOver(element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 1));
    observer.observe(element);
    if (element.firstElementChild) observer.observe(element.firstElementChild);
    return () => observer.disconnect();
  }, []);
  return (
    <div ref={box} class={`figures-scroll ${className ?? ""}`} role="group" aria-label={label} tabIndex={over ? 0 : undefined}>
      {children}
    </div>
  );
}
