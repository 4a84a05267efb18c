/** Making or changing a service level. */
import { useState } from "preact/hooks";
import { saveSlo, type SloState } from "../../api/calls";
import type { SloInput } from "../../api/client";
import { CheckField, FormDialog, SelectField, TextField } from "../../ui/form";

export function SloForm({ slo, onClose, onSaved }: { slo: SloState | null; onClose: () => void; onSaved: () => void }) {
  const [name, setName] = useState(slo?.name ?? "");
  const [goal, setGoal] = useState(slo ? String(Number((Number(slo.objective) * 100).toFixed(6))) : "99");
  const [indicator, setIndicator] = useState(slo?.indicator ?? "availability");
  const [unit, setUnit] = useState(slo?.unit ?? "requests");
  const [latencyOf, setLatencyOf] = useState(slo?.latency_of ?? "duration");
  const [within, setWithin] = useState(String(slo?.threshold_ms || 2000));
  const [days, setDays] = useState(String(slo?.window_days ?? 30));
  const [events, setEvents] = useState(String(slo?.min_events ?? 30));
  const [q, setQ] = useState(slo?.q ?? "");
  const [note, setNote] = useState(slo?.note ?? "");
  const [enabled, setEnabled] = useState(slo?.enabled ?? true);
  const body = (): SloInput => ({
    name,
    // Per cent to a share, as text: 99.9 must not become 0.9990000000000001.
    objective: (Number(goal) / 100).toFixed(8).replace(/0+$/, ""),
    indicator,
    unit,
    latency_of: latencyOf,
    threshold_ms: indicator === "latency" ? Number(within) : 0,
    q,
    window_days: Number(days),
    min_events: Number(events),
    min_bad_events: slo?.min_bad_events ?? 3,
    enabled,
    note,
  });
  return (
    <FormDialog title={slo ? "Change the service level" : "Add a service level"} doing={slo ? "Save" : "Add"} act={() => saveSlo(slo?.id ?? "", body())} said={slo ? "Service level changed" : "Service level added"} onClose={onClose} onDone={onSaved}>
      <TextField name="Name" value={name} onInput={setName} required wide />
      <TextField name="Objective in per cent" value={goal} onInput={setGoal} type="number" min="50" required />
      <SelectField
        name="Of"
        value={unit}
        onPick={setUnit}
        options={[
          { value: "requests", name: "calls of models" },
          { value: "traces", name: "traces" },
        ]}
      />
      <SelectField
        name="Must"
        value={indicator}
        onPick={setIndicator}
        options={[
          { value: "availability", name: "succeed" },
          { value: "latency", name: "be quick" },
        ]}
      />
      {indicator === "latency" && (
        <>
          <SelectField
            name="Measured by"
            value={latencyOf}
            onPick={setLatencyOf}
            options={[
              { value: "duration", name: "duration" },
              { value: "ttft", name: "time to first token" },
            ]}
          />
          <TextField name="Within (ms)" value={within} onInput={setWithin} type="number" min="0" />
        </>
      )}
      <TextField name="Over days" value={days} onInput={setDays} type="number" min="1" step="1" />
      <TextField name="Judged from so many events" value={events} onInput={setEvents} type="number" min="1" step="1" note="Fewer never alert" />
      <TextField name="Only spans that fit" value={q} onInput={setQ} mono wide placeholder="environment:prod" />
      <TextField name="Note" value={note} onInput={setNote} wide />
      <CheckField name="Enabled" checked={enabled} onPick={setEnabled} note="A rule of type burn rate tells when the error budget burns too fast." />
    </FormDialog>
  );
}
