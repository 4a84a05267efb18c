/** What the keys do and how filters are written. */
import { place } from "../router";
import { Dialog } from "./kit";

const EVERYWHERE: [string[], string][] = [
  [["?"], "This help"],
  [["/"], "Go to the query or to find"],
  [["j"], "Next row"],
  [["k"], "Previous row"],
  [["Enter"], "Open the row"],
  [["Esc"], "One step outwards"],
  [["g", "o"], "Overview; g t traces, g l latency, g c cost, g a alerts, g i ingest"],
];

const TRACE: [string[], string][] = [
  [["↑", "↓"], "Move through the tree"],
  [["←", "→"], "Collapse, expand; to the parent, to the first child"],
  [["["], "Collapse all"],
  [["]"], "Expand all"],
  [["n", "N"], "Next, previous match"],
  [["c"], "Critical path on, off"],
  [["+", "-"], "Zoom in, out around the span"],
  [["f"], "Zoom to the span; again for the whole trace"],
  [["y"], "Copy the link"],
];

const LIST: [string[], string][] = [
  [["t"], "Time range"],
  [["l"], "Live on, off"],
  [["r"], "Reload"],
];

const FIGURES: [string[], string][] = [
  [["t"], "Time range; dragging across a chart picks one"],
  [["r"], "Reload"],
];

const EXAMPLES: [string, string][] = [
  ["status:error", "a field has a value"],
  ["model:gpt-4o -tag:test", "a minus excludes"],
  ["cost>0.01 duration>2s", "compare numbers; durations take a unit"],
  ['user:"Ada L"', "quote blanks"],
  ['text~"refund"', "words in inputs and outputs"],
  ["score.faithfulness<0.5", "scores by name"],
];

const HERE: Record<string, { title: string; rows: [string[], string][] }> = {
  trace: { title: "In a trace", rows: TRACE },
  traces: { title: "In the list", rows: LIST },
};

export function HelpDialog({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keys and filters" onClose={onClose} class="help">
      <div class="help-columns">
        <div>
          <h3>Everywhere</h3>
          <Keys rows={EVERYWHERE} />
          <h3>{HERE[place.value.page]?.title ?? "In charts"}</h3>
          <Keys rows={HERE[place.value.page]?.rows ?? FIGURES} />
        </div>
        <div>
          <h3>Filters</h3>
          <dl class="help-filters">
            {EXAMPLES.map(([example, meaning]) => (
              <div key={example}>
                <dt>
                  <code>{example}</code>
                </dt>
                <dd>{meaning}</dd>
              </div>
            ))}
          </dl>
          <p class="muted">Conditions stand side by side and must all hold. The field names complete as you type.</p>
        </div>
      </div>
    </Dialog>
  );
}

function Keys({ rows }: { rows: [string[], string][] }) {
  return (
    <dl class="keys">
      {rows.map(([keys, meaning]) => (
        <div key={meaning}>
          <dt>
            {keys.map((key) => (
              <kbd key={key}>{key}</kbd>
            ))}
          </dt>
          <dd>{meaning}</dd>
        </div>
      ))}
    </dl>
  );
}
