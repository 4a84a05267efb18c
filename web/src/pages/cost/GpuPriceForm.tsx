/** Adding GPUs of one's own with their price. A price is never changed: one ends and the next begins. */
import { useState } from "preact/hooks";
import { createGpuPrice } from "../../api/calls";
import type { GpuPriceInput } from "../../api/client";
import { apiTime, localMinute } from "../../state/time";
import { FormDialog, TextField } from "../../ui/form";

export function GpuPriceForm({ onClose, onSaved }: { onClose: () => void; onSaved: () => void }) {
  const [name, setName] = useState("");
  const [type, setType] = useState("");
  const [count, setCount] = useState("1");
  const [price, setPrice] = useState("");
  const [q, setQ] = useState("");
  const [since, setSince] = useState(() => localMinute(new Date().setHours(0, 0, 0, 0)));
  const [until, setUntil] = useState("");
  const [note, setNote] = useState("");
  const body = (): GpuPriceInput => ({
    name,
    gpu_type: type,
    gpu_count: count,
    usd_per_gpu_hour: price,
    q,
    effective_from: apiTime(Date.parse(since)) ?? "",
    effective_until: until ? (apiTime(Date.parse(until)) ?? "") : "",
    note,
  });
  return (
    <FormDialog title="Add GPUs" doing="Add" act={() => createGpuPrice(body())} said="GPUs added" onClose={onClose} onDone={onSaved}>
      <TextField name="Name" value={name} onInput={setName} required placeholder="chat cluster" />
      <TextField name="Type" value={type} onInput={setType} placeholder="H200" />
      <TextField name="How many" value={count} onInput={setCount} type="number" min="0" required />
      <TextField name="Dollars per GPU and hour" value={price} onInput={setPrice} type="number" min="0" required placeholder="3.50" />
      <TextField name="Calls they serve" value={q} onInput={setQ} mono wide required placeholder="model:llama-3*" note="A filter as in the list of traces" />
      <TextField name="Paid since" value={since} onInput={setSince} type="datetime-local" required />
      <TextField name="Until" value={until} onInput={setUntil} type="datetime-local" note="Empty: still" />
      <TextField name="Note" value={note} onInput={setNote} wide />
    </FormDialog>
  );
}
