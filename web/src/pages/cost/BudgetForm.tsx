/** Making or changing a budget. */
import { saveBudget } from "../../api/calls";
import type { BudgetInput, BudgetItem } from "../../api/client";
import { CheckField, FormDialog, SelectField, TextField, useFields } from "../../ui/form";

const PERIODS = [
  { value: "day" as const, name: "Day" },
  { value: "week" as const, name: "Week" },
  { value: "month" as const, name: "Month" },
  { value: "rolling" as const, name: "The last hours" },
];

export function BudgetForm({ budget, onClose, onSaved }: { budget: BudgetItem | null; onClose: () => void; onSaved: () => void }) {
  const { values, text, pick, check } = useFields({
    name: budget?.name ?? "",
    limit_usd: budget?.limit_usd ?? "",
    period: (budget?.period ?? "month") as BudgetInput["period"],
    hours: String(budget?.rolling_hours || 24),
    time_zone: budget?.time_zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone ?? "UTC",
    q: budget?.q ?? "",
    per: budget?.per ?? "",
    thresholds: (budget?.thresholds ?? [50, 80, 100]).join(", "),
    enforce: budget?.enforce ?? false,
    enabled: budget?.enabled ?? true,
    note: budget?.note ?? "",
  });
  const rolling = values.period === "rolling";
  const body = (): BudgetInput => {
    const { hours, thresholds, ...same } = values;
    return {
      ...same,
      rolling_hours: rolling ? Number(hours) : 0,
      thresholds: thresholds.split(",").map((one) => one.trim()).filter(Boolean).map(Number),
      user: "",
      key: "",
      tag: "",
    };
  };
  return (
    <FormDialog title={budget ? "Change the budget" : "Add a budget"} doing={budget ? "Save" : "Add"} act={() => saveBudget(budget?.id ?? "", body())} said={budget ? "Budget changed" : "Budget added"} onClose={onClose} onDone={onSaved}>
      <TextField name="Name" {...text("name")} required wide />
      <TextField name="Limit in US dollars" {...text("limit_usd")} type="number" min="0" required />
      <SelectField name="Period" {...pick("period")} options={PERIODS} />
      {rolling ? <TextField name="Hours" {...text("hours")} type="number" min="1" step="1" /> : <TextField name="Time zone" {...text("time_zone")} note="Where days begin" />}
      <TextField name="Alert at (per cent)" {...text("thresholds")} placeholder="50, 80, 100" />
      <TextField name="Only spans that fit" {...text("q")} mono wide placeholder="user:ada  tag:batch  model:gpt-4o" note="A filter as in the list of traces; empty: everything" />
      <TextField name="For each" {...text("per")} placeholder="user, tag, metadata.key_id" note="The limit then holds for each value by itself" />
      <TextField name="Note" {...text("note")} />
      <CheckField name="The proxy refuses calls once the limit is reached" {...check("enforce")} />
      <CheckField name="Enabled" {...check("enabled")} note="A rule of type budget tells when a threshold is reached or the forecast ends above the limit." />
    </FormDialog>
  );
}
