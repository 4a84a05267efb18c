/** Buttons, menus, dialogs and notes: the small parts every page is made of. */
import { signal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { Icon, type IconName } from "./icons";

type ButtonProps = Omit<JSX.ButtonHTMLAttributes<HTMLButtonElement>, "icon"> & {
  icon?: IconName;
  look?: "plain" | "outline" | "primary";
  label?: string;
  children?: ComponentChildren;
};

/** A button with an icon, text or both. Without text it needs a `label`, which is also its tooltip. */
export function Button({ icon, look = "plain", label, children, class: className, ...rest }: ButtonProps) {
  return (
    <button type="button" class={`btn btn-${look}${children ? "" : " btn-square"} ${className ?? ""}`} aria-label={label} title={label} {...rest}>
      {icon && <Icon name={icon} size={children ? 14 : 16} />}
      {children}
    </button>
  );
}

export const toast = signal<string>("");
let toastTimer = 0;

/** Says something briefly at the bottom of the page. */
export function say(text: string): void {
  toast.value = text;
  clearTimeout(toastTimer);
  toastTimer = window.setTimeout(() => (toast.value = ""), 2200);
}

/** Where brief notes appear; screen readers hear them. */
export function Toast() {
  return (
    <div class="toast-place" role="status" aria-live="polite">
      {toast.value && <div class="toast">{toast.value}</div>}
    </div>
  );
}

/** Copies text to the clipboard and says so. */
export async function copyText(text: string, what = "Copied"): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without https or permission the clipboard API is closed; the old way still works.
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "visually-hidden";
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  say(what);
}

/** A button that copies and shows a tick for a moment. */
export function CopyButton({ text, label = "Copy", children, look }: { text: string | (() => string); label?: string; children?: ComponentChildren; look?: "plain" | "outline" }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    await copyText(typeof text === "string" ? text : text());
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  return (
    <Button icon={done ? "check" : "copy"} look={look} label={label} onClick={copy} class="copy">
      {children}
    </Button>
  );
}

interface PopoverProps {
  trigger: (open: boolean) => ComponentChildren;
  label: string;
  /** The trigger shows text, which is its name then. */
  textual?: boolean;
  align?: "start" | "end";
  look?: "plain" | "outline";
  class?: string;
  children: (close: () => void) => ComponentChildren;
}

/** A button that opens a small panel below itself; Esc and a click elsewhere close it. */
export function Popover({ trigger, label, textual = false, align = "start", look = "outline", class: className, children }: PopoverProps) {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const id = useId();
  useEffect(() => {
    if (!open) return undefined;
    const outside = (event: Event) => {
      if (!box.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    box.current?.querySelector<HTMLElement>(".popover [autofocus], .popover input, .popover button")?.focus();
    return () => document.removeEventListener("pointerdown", outside);
  }, [open]);
  const close = () => {
    setOpen(false);
    button.current?.focus();
  };
  const keys = (event: KeyboardEvent) => {
    if (event.key !== "Escape" || !open) return;
    event.stopPropagation();
    event.preventDefault();
    close();
  };
  return (
    <div class={`popover-place ${className ?? ""}`} ref={box} onKeyDown={keys}>
      <button ref={button} type="button" class={`btn btn-${look}`} aria-expanded={open} aria-controls={open ? id : undefined} aria-label={textual ? undefined : label} title={label} onClick={() => setOpen(!open)}>
        {trigger(open)}
      </button>
      {open && (
        <div id={id} class={`popover popover-${align}`} role="group" aria-label={label}>
          {children(close)}
        </div>
      )}
    </div>
  );
}

/** A modal dialog; the browser keeps the focus inside and closes it on Esc. */
export function Dialog({ title, onClose, children, class: className }: { title: string; onClose: () => void; children: ComponentChildren; class?: string }) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = element.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  const backdrop = (event: MouseEvent) => {
    if (event.target === element.current) onClose();
  };
  return (
    <dialog ref={element} class={`dialog ${className ?? ""}`} aria-labelledby={id} onClose={onClose} onClick={backdrop}>
      <div class="dialog-head">
        <h2 id={id}>{title}</h2>
        <Button icon="close" label="Close" onClick={onClose} />
      </div>
      <div class="dialog-body">{children}</div>
    </dialog>
  );
}

/** Says that something is missing or went wrong, with what to do about it. */
export function Notice({ kind, title, heading, children }: { kind: "empty" | "error" | "warn" | "info"; title: string; /** It is all there is of the page. */ heading?: boolean; children?: ComponentChildren }) {
  const icon: Record<string, IconName> = { empty: "search", error: "error", warn: "warning", info: "info" };
  return (
    <div class={`notice notice-${kind}`} role={kind === "error" ? "alert" : undefined}>
      <Icon name={icon[kind]} size={18} />
      <div>
        {heading ? <h1 class="notice-title">{title}</h1> : <p class="notice-title">{title}</p>}
        {children && <div class="notice-body">{children}</div>}
      </div>
    </div>
  );
}

/** Tabs with arrow keys; the panel is drawn by the caller and named by `panelId`. */
export function Tabs({ tabs, active, onPick, label, panelId }: { tabs: { id: string; name: string; count?: number }[]; active: string; onPick: (id: string) => void; label: string; panelId: string }) {
  const row = useRef<HTMLDivElement>(null);
  const keys = (event: KeyboardEvent) => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const at = tabs.findIndex((tab) => tab.id === active);
    const next = (at + step + tabs.length) % tabs.length;
    onPick(tabs[next].id);
    (row.current?.children[next] as HTMLElement | undefined)?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label={label} ref={row} onKeyDown={keys}>
      {tabs.map((tab) => (
        <button key={tab.id} type="button" role="tab" class="tab" id={`${panelId}-${tab.id}`} aria-selected={tab.id === active} aria-controls={panelId} tabIndex={tab.id === active ? 0 : -1} onClick={() => onPick(tab.id)}>
          {tab.name}
          {tab.count ? <span class="tab-count num">{tab.count}</span> : null}
        </button>
      ))}
    </div>
  );
}
