/** The time range: typed, picked, stepped, or exact. */
import { useState } from "preact/hooks";
import { zone } from "../state/format";
import { describeRange, parseTyped, PRESETS, resolveRange, stepRange } from "../state/time";
import { Icon } from "./icons";
import { Button, Popover } from "./kit";

export function RangePicker({ range, onPick }: { range: string; onPick: (range: string) => void }) {
  const now = Date.now();
  const bounded = resolveRange(range, now)?.from !== null;
  return (
    <div class="range">
      {bounded && <Button icon="left" look="outline" label="Back by this range" onClick={() => onPick(stepRange(range, -1, Date.now()))} class="range-step" />}
      <Popover
        label="Time range (t)"
        textual
        align="end"
        class="range-menu"
        trigger={() => (
          <>
            <Icon name="clock" size={14} />
            <span class="num range-long">{describeRange(range, now)}</span>
            <span class="num range-short">{PRESETS.some((one) => one.text === range) ? range : "Range"}</span>
            <Icon name="down" size={12} />
          </>
        )}
      >
        {(close) => (
          <RangeForm
            range={range}
            onPick={(text) => {
              onPick(text);
              close();
            }}
          />
        )}
      </Popover>
      {bounded && <Button icon="chevron" look="outline" label="Forward by this range" onClick={() => onPick(stepRange(range, 1, Date.now()))} class="range-step" />}
    </div>
  );
}

function RangeForm({ range, onPick }: { range: string; onPick: (range: string) => void }) {
  const [typed, setTyped] = useState("");
  const [wrong, setWrong] = useState(false);
  const submit = (event: Event) => {
    event.preventDefault();
    const found = parseTyped(typed, Date.now());
    if (found) onPick(found);
    else setWrong(true);
  };
  return (
    <div class="range-form">
      <form onSubmit={submit}>
        <label class="field">
          <span>Type a range</span>
          <input
            value={typed}
            placeholder="3h, yesterday, 2026-01-02 to 2026-01-05"
            aria-invalid={wrong}
            aria-describedby="range-note"
            onInput={(event) => {
              setTyped(event.currentTarget.value);
              setWrong(false);
            }}
          />
        </label>
        <p id="range-note" class={wrong ? "field-error" : "field-note"}>
          {wrong ? "Not understood. Try 45m, 3h, 2d, today, or two dates with “to” between." : `Times are local, ${zone(new Date())}. Enter applies.`}
        </p>
      </form>
      <div class="menu">
        {PRESETS.map((preset) => (
          <button key={preset.text} type="button" class="menu-item" aria-pressed={preset.text === range} onClick={() => onPick(preset.text)}>
            {preset.label}
            <kbd>{preset.text}</kbd>
          </button>
        ))}
      </div>
    </div>
  );
}
