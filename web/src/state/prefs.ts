/** What a person prefers, kept in this browser. A link never writes here. */
import { effect, signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";

export interface Prefs {
  theme: Theme;
  /** Ids of the columns shown in the list, per kind of row. */
  columns: Record<string, string[]>;
  facetsOpen: boolean;
  /** Share of the width that the tree of a trace takes, in percent. */
  treeWidth: number;
  /** Whether assistants' text is rendered as markdown. */
  markdown: boolean;
  /** Whether the waterfall shows what held a trace up. */
  critical: boolean;
}

const KEY = "spanhouse.prefs";
const DEFAULTS: Prefs = { theme: "system", columns: {}, facetsOpen: true, treeWidth: 54, markdown: true, critical: false };

function load(): Prefs {
  try {
    const stored = JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Prefs>;
    return { ...DEFAULTS, ...stored };
  } catch {
    return DEFAULTS;
  }
}

export const prefs = signal<Prefs>(load());

/** Changes some preferences and stores them. */
export function setPrefs(changes: Partial<Prefs>): void {
  prefs.value = { ...prefs.value, ...changes };
  try {
    localStorage.setItem(KEY, JSON.stringify(prefs.value));
  } catch {
    // Storage may be closed to us (private window, full): the choice then lasts until reload.
  }
}

/** Keeps the document's theme equal to the preference. */
export function startTheme(): void {
  effect(() => {
    const { theme } = prefs.value;
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  });
}
