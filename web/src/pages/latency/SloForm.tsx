/** Making or changing a service level. */
import { saveSlo, type SloState } from "../../api/calls";
import type { SloInput } from "../../api/client";
import { CheckField, FormDialog, SelectField, TextField, useFields } from "../../ui/form";

const UNITS = [
  { value: "requests" as const, name: "calls of models" },
  { value: "traces" as const, name: "traces" },
];
const INDICATORS = [
  { value: "availability" as const, name: "succeed" },
  { value: "latency" as const, name: "be quick" },
];
const MEASURES = [
  { value: "duration" as const, name: "duration" },
  { value: "ttft" as const, name: "time to first token" },
];

export function SloForm({ slo, onClose, onSaved }: { slo: SloState | null; onClose: () => void; onSaved: () => void }) {
  const { values, text, pick, check } = useFields({
    name: slo?.name ?? "",
    goal: slo ? String(Number((Number(slo.objective) * 100).toFixed(6))) : "99",
    indicator: (slo?.indicator ?? "availability") as SloInput["indicator"],
    unit: (slo?.unit ?? "requests") as SloInput["unit"],
    latency_of: (slo?.latency_of ?? "duration") as SloInput["latency_of"],
    within: String(slo?.threshold_ms || 2000),
    days: String(slo?.window_days ?? 30),
    events: String(slo?.min_events ?? 30),
    q: slo?.q ?? "",
    note: slo?.note ?? "",
    enabled: slo?.enabled ?? true,
  });
  const timed = values.indicator === "latency";
  const body = (): SloInput => {
    const { goal, within, days, events, ...same } = values;
    return {
      ...same,
      // Per cent to a share, as text: 99.9 must not become 0.9990000000000001.
      objective: (Number(goal) / 100).toFixed(8).replace(/0+$/, ""),
      threshold_ms: timed ? Number(within) : 0,
      window_days: Number(days),
      min_events: Number(events),
      min_bad_events: slo?.min_bad_events ?? 3,
    };
  };
  return (
    <FormDialog title={slo ? "Change the service level" : "Add a service level"} doing={slo ? "Save" : "Add"} act={() => saveSlo(slo?.id ?? "", body())} said={slo ? "Service level changed" : "Service level added"} onClose={onClose} onDone={onSaved}>
      <TextField name="Name" {...text("name")} required wide />
      <TextField name="Objective in per cent" {...text("goal")} type="number" min="50" required />
      <SelectField name="Of" {...pick("unit")} options={UNITS} />
      <SelectField name="Must" {...pick("indicator")} options={INDICATORS} />
      {timed && (
        <>
          <SelectField name="Measured by" {...pick("latency_of")} options={MEASURES} />
          <TextField name="Within (ms)" {...text("within")} type="number" min="0" />
        </>
      )}
      <TextField name="Over days" {...text("days")} type="number" min="1" step="1" />
      <TextField name="Judged from so many events" {...text("events")} type="number" min="1" step="1" note="Fewer never alert" />
      <TextField name="Only spans that fit" {...text("q")} mono wide placeholder="environment:prod" />
      <TextField name="Note" {...text("note")} wide />
      <CheckField name="Enabled" {...check("enabled")} note="A rule of type burn rate tells when the error budget burns too fast." />
    </FormDialog>
  );
}
