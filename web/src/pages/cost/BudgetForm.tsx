/** Making or changing a budget. */
import { useState } from "preact/hooks";
import { saveBudget } from "../../api/calls";
import type { BudgetInput, BudgetItem } from "../../api/client";
import { CheckField, FormDialog, SelectField, TextField } from "../../ui/form";

export function BudgetForm({ budget, onClose, onSaved }: { budget: BudgetItem | null; onClose: () => void; onSaved: () => void }) {
  const [name, setName] = useState(budget?.name ?? "");
  const [limit, setLimit] = useState(budget?.limit_usd ?? "");
  const [period, setPeriod] = useState(budget?.period ?? "month");
  const [hours, setHours] = useState(String(budget?.rolling_hours || 24));
  const [zone, setZone] = useState(budget?.time_zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone ?? "UTC");
  const [q, setQ] = useState(budget?.q ?? "");
  const [per, setPer] = useState(budget?.per ?? "");
  const [thresholds, setThresholds] = useState((budget?.thresholds ?? [50, 80, 100]).join(", "));
  const [enforce, setEnforce] = useState(budget?.enforce ?? false);
  const [enabled, setEnabled] = useState(budget?.enabled ?? true);
  const [note, setNote] = useState(budget?.note ?? "");
  const body = (): BudgetInput => ({
    name,
    limit_usd: limit,
    period,
    rolling_hours: period === "rolling" ? Number(hours) : 0,
    time_zone: zone,
    q,
    per,
    thresholds: thresholds.split(",").map((one) => one.trim()).filter(Boolean).map(Number),
    enforce,
    enabled,
    note,
    user: "",
    key: "",
    tag: "",
  });
  return (
    <FormDialog title={budget ? "Change the budget" : "Add a budget"} doing={budget ? "Save" : "Add"} act={() => saveBudget(budget?.id ?? "", body())} said={budget ? "Budget changed" : "Budget added"} onClose={onClose} onDone={onSaved}>
      <TextField name="Name" value={name} onInput={setName} required wide />
      <TextField name="Limit in US dollars" value={limit} onInput={setLimit} type="number" min="0" required />
      <SelectField
        name="Period"
        value={period}
        onPick={setPeriod}
        options={[
          { value: "day", name: "Day" },
          { value: "week", name: "Week" },
          { value: "month", name: "Month" },
          { value: "rolling", name: "The last hours" },
        ]}
      />
      {period === "rolling" ? <TextField name="Hours" value={hours} onInput={setHours} type="number" min="1" step="1" /> : <TextField name="Time zone" value={zone} onInput={setZone} note="Where days begin" />}
      <TextField name="Alert at (per cent)" value={thresholds} onInput={setThresholds} placeholder="50, 80, 100" />
      <TextField name="Only spans that fit" value={q} onInput={setQ} mono wide placeholder="user:ada  tag:batch  model:gpt-4o" note="A filter as in the list of traces; empty: everything" />
      <TextField name="For each" value={per} onInput={setPer} placeholder="user, tag, metadata.key_id" note="The limit then holds for each value by itself" />
      <TextField name="Note" value={note} onInput={setNote} />
      <CheckField name="The proxy refuses calls once the limit is reached" checked={enforce} onPick={setEnforce} />
      <CheckField name="Enabled" checked={enabled} onPick={setEnabled} note="A rule of type budget tells when a threshold is reached or the forecast ends above the limit." />
    </FormDialog>
  );
}
