/** Inhibitions: which alerts hold back others, so that one cause is told once. */
import { useState } from "preact/hooks";
import { listInhibitions, setInhibitions } from "../../api/calls";
import type { InhibitionInput, InhibitionItem } from "../../api/client";
import { Field, FormDialog, TextField } from "../../ui/form";
import { Button } from "../../ui/kit";
import { FigureTable } from "../../ui/FigureTable";
import { Managed } from "../../ui/Managed";
import { type Matcher, matcherText, readMatchers } from "./matchers";

/** The server keeps them as one list: they are told apart by their place in it, as it was at that version. */
interface Placed extends InhibitionItem {
  place: number;
  version: string;
}

async function placed(signal?: AbortSignal): Promise<{ items: Placed[] }> {
  const { items, version } = await listInhibitions(signal);
  return { items: items.map((item, place) => ({ ...item, place, version })) };
}

/** Puts something in the place of an inhibition, or nothing; a new one goes to the end. */
async function replace(item: Placed | null, next: InhibitionInput[]) {
  const { items, version } = await listInhibitions();
  return setInhibitions(item ? items.flatMap((one, place) => (place === item.place ? next : [one])) : [...items, ...next], item?.version ?? version);
}

export function Inhibitions() {
  return (
    <Managed<Placed>
      title="Inhibitions"
      note="While one alert fires, others about the same are not told"
      add="Add an inhibition"
      load={placed}
      empty="Every alert is told, also what follows from a graver one."
      form={(item, close, saved) => <InhibitionForm item={item} onClose={close} onSaved={saved} />}
      removal={(item) => ({
        title: "Delete this inhibition?",
        words: "Alerts that it held back and that still fire are told then.",
        act: () => replace(item, []),
      })}
    >
      {(items, { edit, remove }) => (
        <FigureTable heads={["While these fire", "These are held back", "Where these labels agree", { hidden: "Change" }]} label="Inhibitions">
          {items.map((item) => (
            <tr key={item.place}>
              <th scope="row">
                <Matchers of={item.source} />
              </th>
              <td>
                <Matchers of={item.target} />
              </td>
              <td class="wrap">{item.equal.includes("*") ? "all that say what it is about" : item.equal.join(", ") || <span class="muted">whatever they are about</span>}</td>
              <td class="end">
                <Button icon="edit" label={`Change inhibition ${item.place + 1}`} onClick={() => edit(item)} />
                <Button icon="trash" label={`Delete inhibition ${item.place + 1}`} onClick={() => remove(item)} />
              </td>
            </tr>
          ))}
        </FigureTable>
      )}
    </Managed>
  );
}

/** Conditions on labels, as they are written. */
export function Matchers({ of }: { of: Matcher[] }) {
  return (
    <span class="labels">
      {of.map((matcher) => (
        <code key={matcherText(matcher)} class="chip">
          {matcherText(matcher)}
        </code>
      ))}
    </span>
  );
}

/** A field for conditions on labels, one a line. */
export function MatcherField({ name, value, onInput, placeholder }: { name: string; value: string; onInput: (text: string) => void; placeholder: string }) {
  return (
    <Field name={name} wide note="One condition a line: label=value, label!=value, label=~pattern* or label!~pattern*">
      {(ids) => <textarea {...ids} class="text-input mono" rows={Math.max(3, value.split("\n").length)} value={value} placeholder={placeholder} onInput={(event) => onInput(event.currentTarget.value)} />}
    </Field>
  );
}

function InhibitionForm({ item, onClose, onSaved }: { item: Placed | null; onClose: () => void; onSaved: () => void }) {
  const [source, setSource] = useState((item?.source ?? []).map(matcherText).join("\n"));
  const [target, setTarget] = useState((item?.target ?? []).map(matcherText).join("\n"));
  const [equal, setEqual] = useState((item?.equal ?? ["*"]).join(", "));
  const act = async () => {
    const next = { source: readMatchers(source), target: readMatchers(target), equal: equal.split(",").map((one) => one.trim()).filter(Boolean) };
    return replace(item, [next]);
  };
  return (
    <FormDialog title={item ? "Change the inhibition" : "Add an inhibition"} doing={item ? "Save" : "Add"} act={act} said={item ? "Inhibition changed" : "Inhibition added"} onClose={onClose} onDone={onSaved}>
      <MatcherField name="While alerts fire whose labels fit all of" value={source} onInput={setSource} placeholder="severity=critical" />
      <MatcherField name="hold back alerts whose labels fit all of" value={target} onInput={setTarget} placeholder="severity=warning" />
      <TextField name="where these labels agree" value={equal} onInput={setEqual} wide placeholder="service, model" note="* stands for all that say what an alert is about; empty: whatever they are about" />
    </FormDialog>
  );
}
