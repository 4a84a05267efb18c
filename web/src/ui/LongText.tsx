/** Text that keeps its line breaks, cut where it would fill the page, and says so. */
import { useState } from "preact/hooks";
import { formatExact } from "../state/format";

const MOST = 3000;
/** Showing more than this at once makes browsers slow, so the rest is shown step by step. */
const STEP = 200_000;

export function LongText({ text, mono = false, most = MOST }: { text: string; mono?: boolean; most?: number }) {
  const [shown, setShown] = useState(most);
  const cut = text.length > shown * 1.2;
  return (
    <div class={`text${mono ? " mono" : ""}`} dir="auto">
      {cut ? text.slice(0, shown) : text}
      {cut && (
        <button type="button" class="text-more" onClick={() => setShown(shown === most ? STEP : shown + STEP)}>
          … show {text.length <= STEP ? "all" : "more"} ({formatExact(text.length)} characters)
        </button>
      )}
    </div>
  );
}
