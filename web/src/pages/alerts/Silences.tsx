/** Silences: what is told nobody for a while, and why. */
import { useState } from "preact/hooks";
import { createSilence, endSilence, listSilences } from "../../api/calls";
import type { SilenceItem } from "../../api/client";
import { formatFull, formatWhen } from "../../state/format";
import { State } from "../../ui/figures";
import { FigureTable } from "../../ui/FigureTable";
import { FormDialog, SelectField, TextField } from "../../ui/form";
import { Button } from "../../ui/kit";
import { Managed } from "../../ui/Managed";
import { MatcherField, Matchers } from "./Inhibitions";
import { matcherText, readMatchers } from "./matchers";

const LOOKS = { active: "warn", waiting: "off", ended: "off" } as const;

export function Silences() {
  return (
    <Managed<SilenceItem>
      title="Silences"
      note="Alerts are still judged and listed; nobody is told"
      add="Add a silence"
      load={listSilences}
      empty="Nothing is silenced."
      form={(_, close, saved) => <SilenceForm labels={{}} onClose={close} onSaved={saved} />}
      removal={(silence) => ({ title: "End this silence?", doing: "End it", words: "Alerts that it held back and that still fire are told then.", act: () => endSilence(silence.id) })}
    >
      {(silences, { remove }) => (
        <FigureTable heads={["State", "Alerts that fit", "Until", "Why", { hidden: "End" }]}>
          {silences.map((silence) => (
            <tr key={silence.id}>
              <td>
                <State look={LOOKS[silence.state]}>{silence.state}</State>
              </td>
              <th scope="row">
                <Matchers of={silence.matchers} />
              </th>
              <td>
                <time title={formatFull(silence.ends_at)}>{formatWhen(silence.ends_at)}</time>
              </td>
              <td class="wrap">
                {silence.note || <span class="muted">–</span>}
                {silence.created_by && <span class="muted"> ({silence.created_by})</span>}
              </td>
              <td class="end">
                {silence.state !== "ended" && (
                  <Button look="outline" onClick={() => remove(silence)}>
                    End
                  </Button>
                )}
              </td>
            </tr>
          ))}
        </FigureTable>
      )}
    </Managed>
  );
}

const LENGTHS = [
  { value: "+1h", name: "An hour" },
  { value: "+2h", name: "Two hours" },
  { value: "+8h", name: "Eight hours" },
  { value: "+1d", name: "A day" },
  { value: "+7d", name: "A week" },
];

export function SilenceForm({ labels, onClose, onSaved }: { labels: Record<string, string>; onClose: () => void; onSaved: () => void }) {
  const [text, setText] = useState(Object.entries(labels).map(([label, value]) => matcherText({ label, operator: "=", value })).join("\n"));
  const [length, setLength] = useState("+2h");
  const [note, setNote] = useState("");
  const [who, setWho] = useState("");
  return (
    <FormDialog title="Silence alerts" doing="Silence" act={() => createSilence({ matchers: readMatchers(text), starts_at: "", ends_at: length, note, created_by: who })} said="Silenced" onClose={onClose} onDone={onSaved}>
      <MatcherField name="Alerts whose labels fit all of" value={text} onInput={setText} placeholder="service=search" />
      <SelectField name="For" value={length} options={LENGTHS} onPick={setLength} />
      <TextField name="By" value={who} onInput={setWho} placeholder="your name" />
      <TextField name="Why" value={note} onInput={setNote} wide placeholder="known, being worked on" />
    </FormDialog>
  );
}
