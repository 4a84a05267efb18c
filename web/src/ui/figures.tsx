/** Parts of pages of figures: tiles, cards, changes, and what stands there when figures are missing. */
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import { capital, formatShare } from "../state/format";
import type { Loaded } from "./useLoad";
import { useDelayed } from "./hooks";
import { Icon } from "./icons";
import { Button, Notice } from "./kit";
import "../styles/figures.css";

/** A figure with its name, and what it was before. */
export function Tile({ name, value, children, look }: { name: string; value: ComponentChildren; children?: ComponentChildren; look?: "error" | "warn" }) {
  return (
    <div class={`tile${look ? ` tile-${look}` : ""}`}>
      <dt>{name}</dt>
      <dd class="num">
        <span class="tile-value">{value}</span>
        {children && <span class="tile-note">{children}</span>}
      </dd>
    </div>
  );
}

export function Tiles({ children, label }: { children: ComponentChildren; label: string }) {
  return (
    <dl class="tiles" aria-label={label}>
      {children}
    </dl>
  );
}

/** How a figure changed against the period before. `bad` tells which way is the wrong one. */
export function Change({ now, before, bad }: { now: number | null; before: number | null; bad?: "up" | "down" }) {
  if (now === null || before === null) return null;
  if (before === 0) return now === 0 ? <span class="muted">no change</span> : <span class="muted">new</span>;
  const share = (now - before) / Math.abs(before);
  if (Math.abs(share) < 0.005) return <span class="muted">no change</span>;
  const wrong = bad === (share > 0 ? "up" : "down");
  return (
    <span class={wrong ? "change change-bad" : "change"}>
      {share > 0 ? "▲" : "▼"} {formatShare(Math.abs(share))}
      <span class="visually-hidden">{share > 0 ? " up" : " down"}</span>
    </span>
  );
}

/** A titled part of a page. */
export function Card({ title, note, actions, children, class: className }: { title: string; note?: ComponentChildren; actions?: ComponentChildren; children: ComponentChildren; class?: string }) {
  const id = useId();
  return (
    <section class={`figure-card ${className ?? ""}`} aria-labelledby={id}>
      <div class="figure-card-head">
        <h2 id={id}>{title}</h2>
        {note && <span class="muted">{note}</span>}
        <span class="grow" />
        {actions}
      </div>
      {children}
    </section>
  );
}

/** Draws what was loaded; until then quiet bars, and after a failure what went wrong. */
export function Await<T>({ of, onRetry, lines = 3, children }: { of: Loaded<T>; onRetry?: () => void; lines?: number; children: (data: T) => ComponentChildren }) {
  const slow = useDelayed(of.loading);
  if (of.error) return <Failed of={of} onRetry={onRetry} />;
  if (of.data === null) return slow ? <Bones lines={lines} /> : <div style={{ minHeight: `${lines * 28}px` }} />;
  return <div class={slow ? "await-slow" : undefined}>{children(of.data)}</div>;
}

/** Says why figures could not be loaded. A filter that cannot be read is explained below the filter. */
export function Failed<T>({ of, onRetry }: { of: Loaded<T>; onRetry?: () => void }) {
  if (!of.error) return null;
  if (of.error.code === "bad_query" && of.error.position >= 0) return <p class="muted figure-empty">The filter above could not be read.</p>;
  return (
    <Notice kind="error" title={capital(of.error.message)}>
      {of.error.hint && <p>{capital(of.error.hint)}</p>}
      {onRetry && (
        <Button look="outline" icon="reload" onClick={onRetry}>
          Try again
        </Button>
      )}
    </Notice>
  );
}

function Bones({ lines }: { lines: number }) {
  return (
    <div class="bones" aria-hidden="true">
      {Array.from({ length: lines }, (_, index) => (
        <span key={index} style={{ width: `${88 - ((index * 29) % 46)}%` }} />
      ))}
    </div>
  );
}

/** Says that there is nothing, and what would change that. */
export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="muted figure-empty">{children}</p>;
}

/** A share as a bar with its figure. */
export function ShareBar({ share, look }: { share: number; look?: "error" | "warn" }) {
  return (
    <span class="share" title={formatShare(share)}>
      <span class={`share-bar${look ? ` share-${look}` : ""}`} style={{ width: `${Math.max(0, Math.min(1, share)) * 100}%` }} />
    </span>
  );
}

/** Names a state in words and colour. */
export function State({ look, children }: { look: "ok" | "warn" | "error" | "off"; children: ComponentChildren }) {
  const icon = { ok: "check", warn: "warning", error: "error", off: "minus" } as const;
  return (
    <span class={`state state-${look}`}>
      <Icon name={icon[look]} size={12} />
      {children}
    </span>
  );
}
