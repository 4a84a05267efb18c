/** Adding a price of a model. A price is never changed: one ends and the next begins, so that the past stays right. */
import { useState } from "preact/hooks";
import { createPrice } from "../../api/calls";
import type { PriceInput } from "../../api/client";
import { apiTime } from "../../state/time";
import { FormDialog, TextField } from "../../ui/form";

export function PriceForm({ onClose, onSaved }: { onClose: () => void; onSaved: () => void }) {
  const [model, setModel] = useState("");
  const [provider, setProvider] = useState("");
  const [rates, setRates] = useState({ input: "", output: "", cache_read: "", cache_write: "" });
  const [since, setSince] = useState("");
  const [until, setUntil] = useState("");
  const [note, setNote] = useState("");
  const rate = (name: keyof typeof rates) => ({ type: "number" as const, min: "0", value: rates[name], onInput: (value: string) => setRates({ ...rates, [name]: value }) });
  const instant = (text: string) => (text ? (apiTime(Date.parse(text)) ?? "") : "");
  const body = (): PriceInput => ({
    model: model.trim(),
    provider: provider.trim(),
    rates: Object.fromEntries(Object.entries(rates).filter(([, usd]) => usd !== "").map(([name, usd]) => [`${name}_usd_per_mtok`, usd])),
    above_input_tokens: 0,
    service_tier: "",
    effective_from: instant(since),
    effective_until: instant(until),
    note,
  });
  return (
    <FormDialog title="Add a price" doing="Add" act={() => createPrice(body())} said="Price added" onClose={onClose} onDone={onSaved}>
      <TextField name="Model" value={model} onInput={setModel} required mono placeholder="my-model or my-model*" note="A * at the end takes in all that begin so" />
      <TextField name="Provider" value={provider} onInput={setProvider} placeholder="any" />
      <TextField name="Input, dollars per million tokens" {...rate("input")} />
      <TextField name="Output" {...rate("output")} />
      <TextField name="Read from cache" {...rate("cache_read")} />
      <TextField name="Written to cache" {...rate("cache_write")} />
      <TextField name="Since" value={since} onInput={setSince} type="datetime-local" note="Empty: always" />
      <TextField name="Until" value={until} onInput={setUntil} type="datetime-local" note="Empty: without end" />
      <TextField name="Note" value={note} onInput={setNote} wide />
    </FormDialog>
  );
}
