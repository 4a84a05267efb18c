/** Silences: what is told nobody for a while, and why. */
import { useState } from "preact/hooks";
import { createSilence, endSilence, listSilences } from "../../api/calls";
import { formatFull, formatWhen } from "../../state/format";
import { Await, Card, Empty, Scroll, State } from "../../ui/figures";
import { Confirm, Field, FormError, SelectField, TextField, useSave } from "../../ui/form";
import { Button, Dialog, say } from "../../ui/kit";
import { useLoad } from "../../ui/useLoad";
import { matcherText, readMatchers } from "./matchers";

export function Silences() {
  const [stamp, setStamp] = useState(1);
  const [adding, setAdding] = useState(false);
  const [ending, setEnding] = useState<string | null>(null);
  const found = useLoad(`${stamp}`, listSilences);
  const again = () => setStamp((n) => n + 1);
  const looks = { active: "warn", waiting: "off", ended: "off" } as const;
  return (
    <Card
      title="Silences"
      note="Alerts are still judged and listed; nobody is told"
      actions={
        <Button look="outline" icon="plus" onClick={() => setAdding(true)}>
          Add a silence
        </Button>
      }
    >
      <Await of={found} onRetry={again}>
        {(list) =>
          list.items.length === 0 ? (
            <Empty>Nothing is silenced.</Empty>
          ) : (
            <Scroll>
              <table class="figures">
                <thead>
                  <tr>
                    <th scope="col">State</th>
                    <th scope="col">Alerts that fit</th>
                    <th scope="col">Until</th>
                    <th scope="col">Why</th>
                    <th scope="col">
                      <span class="visually-hidden">End</span>
                    </th>
                  </tr>
                </thead>
                <tbody class="num">
                  {list.items.map((silence) => (
                    <tr key={silence.id}>
                      <td>
                        <State look={looks[silence.state]}>{silence.state}</State>
                      </td>
                      <th scope="row">
                        <span class="labels">
                          {silence.matchers.map((matcher) => (
                            <code key={matcherText(matcher)} class="chip">
                              {matcherText(matcher)}
                            </code>
                          ))}
                        </span>
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
                          <Button look="outline" onClick={() => setEnding(silence.id)}>
                            End
                          </Button>
                        )}
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </Scroll>
          )
        }
      </Await>
      {adding && (
        <SilenceForm
          labels={{}}
          onClose={() => setAdding(false)}
          onSaved={() => {
            setAdding(false);
            again();
          }}
        />
      )}
      {ending && (
        <Confirm
          title="End this silence?"
          doing="End it"
          act={() => endSilence(ending)}
          onClose={() => setEnding(null)}
          onDone={() => {
            setEnding(null);
            again();
          }}
        >
          Alerts that it held back and that still fire are told then.
        </Confirm>
      )}
    </Card>
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
  const { save, error, busy } = useSave(
    async () => createSilence({ matchers: readMatchers(text), starts_at: "", ends_at: length, note, created_by: who }),
    () => {
      say("Silenced");
      onSaved();
    },
  );
  return (
    <Dialog title="Silence alerts" onClose={onClose}>
      <form class="form" onSubmit={save}>
        <Field name="Alerts whose labels fit all of" wide note="One condition a line: label=value, label!=value, label=~pattern* or label!~pattern*">
          {(ids) => <textarea {...ids} class="text-input mono" rows={Math.max(3, text.split("\n").length)} value={text} placeholder="service=search" onInput={(event) => setText(event.currentTarget.value)} />}
        </Field>
        <SelectField name="For" value={length} options={LENGTHS} onPick={setLength} />
        <TextField name="By" value={who} onInput={setWho} placeholder="your name" />
        <TextField name="Why" value={note} onInput={setNote} wide placeholder="known, being worked on" />
        <FormError error={error} />
        <div class="form-end">
          <Button look="outline" onClick={onClose}>
            Cancel
          </Button>
          <Button look="primary" type="submit" disabled={busy}>
            Silence
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
