/** The row on top of pages of figures: filter, range, reload, and what the page adds. */
import type { ComponentChildren } from "preact";
import type { ApiError } from "../api/client";
import { useFields } from "../state/fields";
import type { ScopeControls } from "../state/scope";
import { apiTime } from "../state/time";
import { useHotkeys } from "./hooks";
import { Button } from "./kit";
import { QueryBar } from "./QueryBar";
import { RangePicker } from "./RangePicker";

export function FilterBar({ controls, error, children }: { controls: ScopeControls; error: ApiError | null; children?: ComponentChildren }) {
  const fields = useFields();
  const { scope, set, reload } = controls;
  useHotkeys((key) => {
    if (key === "r") reload();
    else if (key === "t") document.querySelector<HTMLButtonElement>(".range-menu > button")?.click();
    else return false;
    return true;
  });
  return (
    <div class="toolbar">
      {children}
      <QueryBar value={scope.q} fields={fields} error={error} from={apiTime(scope.from || null)} to={apiTime(scope.to || null)} scope="spans" onApply={(q) => set({ q })} />
      <RangePicker range={scope.range} onPick={(range) => set({ range })} />
      <Button icon="reload" look="outline" label="Reload (r)" class="reload" onClick={reload} />
    </div>
  );
}
