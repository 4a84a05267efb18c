/** Colours for the canvas, which knows no tokens: resolved where the chart stands, so that the theme is right. */
import { useEffect, useState } from "preact/hooks";
import { prefs } from "../../state/prefs";
import { type Colour, PALETTE } from "./prepare";

/** The name of the token of a colour. */
export function token(colour: Colour): string {
  if (typeof colour === "number") return `--series-${(colour % PALETTE) + 1}`;
  return colour === "other" ? "--series-other" : `--${colour}`;
}

export interface Ink {
  /** The colour of a token, e.g. "--line". */
  of: (name: string) => string;
  /** Called when nothing is drawn with it any more. */
  end: () => void;
}

/** Reads tokens as colours that a canvas takes. */
export function inkNear(place: HTMLElement): Ink {
  const probe = document.createElement("span");
  probe.hidden = true;
  place.append(probe);
  const found = new Map<string, string>();
  const read = (name: string) => {
    probe.style.color = `var(${name})`;
    const colour = getComputedStyle(probe).color;
    found.set(name, colour);
    return colour;
  };
  return { of: (name) => found.get(name) ?? read(name), end: () => probe.remove() };
}

/** Changes whenever colours may have: the chosen theme, or the system's. */
export function useThemeKey(): string {
  const [dark, setDark] = useState(() => window.matchMedia("(prefers-color-scheme: dark)").matches);
  useEffect(() => {
    const media = window.matchMedia("(prefers-color-scheme: dark)");
    const update = () => setDark(media.matches);
    media.addEventListener("change", update);
    return () => media.removeEventListener("change", update);
  }, []);
  return `${prefs.value.theme}|${dark}`;
}
