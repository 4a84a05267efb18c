/** Making or changing a rule, with what it would have done to the past beside it. */
import { useEffect, useState } from "preact/hooks";
import { listAlertTypes, listChannels, listRules, saveRule } from "../../api/calls";
import type { RuleInput } from "../../api/client";
import { href, navigate } from "../../router";
import { Await, Card } from "../../ui/figures";
import { CheckField, FormError, SelectField, TextField, useSave } from "../../ui/form";
import { Button, Notice, say } from "../../ui/kit";
import { useLoad } from "../../ui/useLoad";
import { BackTest } from "./BackTest";
import { type Draft, draftOf, METRICS, needsMetric, NEW_RULE, type NoData, PARAMS, ruleOf, type Severity } from "./rules";

export function RuleEditor({ id }: { id: string }) {
  const found = useLoad(`rule|${id}`, async (signal) => {
    const [types, channels, rules] = await Promise.all([listAlertTypes(signal), listChannels(signal), listRules(signal)]);
    const rule = rules.items.find((one) => one.id === id) ?? null;
    return { kinds: types.rules, channels: channels.items.map((one) => one.name), draft: rule ? draftOf(rule) : NEW_RULE, missing: id !== "" && rule === null };
  });
  return (
    <Await of={found} lines={8}>
      {({ kinds, channels, draft, missing }) =>
        missing ? <Notice kind="empty" title="There is no such rule any more" /> : <Editor id={id} first={draft} kinds={kinds} channels={channels} />
      }
    </Await>
  );
}

/** The draft as a rule, or what is wrong with it. */
function tryRule(draft: Draft): { rule: RuleInput | null; wrong: string } {
  try {
    return { rule: ruleOf({ ...draft, name: draft.name || "new rule" }), wrong: "" };
  } catch (error) {
    return { rule: null, wrong: error instanceof Error ? error.message : String(error) };
  }
}

const PAUSE_MS = 700;

function Editor({ id, first, kinds, channels }: { id: string; first: Draft; kinds: { name: string; help: string }[]; channels: string[] }) {
  const [draft, setDraft] = useState(first);
  const [tried, setTried] = useState(first);
  const set = (changes: Partial<Draft>) => setDraft((old) => ({ ...old, ...changes }));
  const param = (name: string) => (value: string) => set({ params: { ...draft.params, [name]: value } });
  const { rule, wrong } = tryRule(draft);
  // Trying a rule costs a read of the past: only once typing rests.
  useEffect(() => {
    const timer = setTimeout(() => setTried(draft), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [draft]);
  const { save, error, busy } = useSave(
    async () => saveRule(id, ruleOf(draft)),
    () => {
      say(id ? "Rule changed" : "Rule added");
      navigate(href("alerts", { tab: "rules" }));
    },
  );
  const help = kinds.find((kind) => kind.name === draft.type)?.help.split("\n\n")[0].replace(/``/g, "").replace(/\s+/g, " ") ?? "";
  return (
    <div class="rule-editor">
      <Card title={id ? "Change the rule" : "Add a rule"} class="rule-form">
        <form class="form" onSubmit={save}>
          {draft.managedBy === "file" && <Notice kind="info" title="This rule comes from a file: the next spanhouse alerts apply writes it anew" />}
          <TextField name="Name" value={draft.name} onInput={(name) => set({ name })} required wide placeholder="Calls fail" />
          <SelectField name="Kind" value={draft.type} onPick={(type) => set({ type })} options={kinds.map((kind) => ({ value: kind.name, name: kind.name.replace("_", " ") }))} note={help} wide />
          {needsMetric(draft.type) && <TextField name="Metric" value={draft.metric} onInput={(metric) => set({ metric })} mono list="rule-metrics" note="A metric, or a ratio of two" />}
          <datalist id="rule-metrics">
            {METRICS.map((metric) => (
              <option key={metric} value={metric} />
            ))}
          </datalist>
          {needsMetric(draft.type) && <TextField name="For each" value={draft.groupBy} onInput={(groupBy) => set({ groupBy })} placeholder="service, model" note="Each group has alerts of its own" />}
          <TextField name="Only spans that fit" value={draft.q} onInput={(q) => set({ q })} mono wide placeholder="environment:prod" />
          <div class="form-group">
            <h3>Breach</h3>
            {(PARAMS[draft.type] ?? []).map((field) =>
              field.kind === "choice" ? (
                <SelectField key={field.name} name={field.label} value={draft.params[field.name] ?? field.options![0]} options={field.options!.map((value) => ({ value, name: value }))} onPick={param(field.name)} note={field.note} />
              ) : (
                <TextField key={field.name} name={field.label} value={draft.params[field.name] ?? ""} onInput={param(field.name)} type={field.kind === "number" ? "number" : "text"} note={field.note} />
              ),
            )}
          </div>
          <div class="form-group">
            <h3>Time</h3>
            <TextField name="Window" value={draft.window} onInput={(window) => set({ window })} note="How far back each judgement measures" />
            <TextField name="Every" value={draft.every} onInput={(every) => set({ every })} />
            <TextField name="Fires after" value={draft.lasts} onInput={(lasts) => set({ lasts })} note="in breach for so long" />
            <TextField name="Ends after" value={draft.keep} onInput={(keep) => set({ keep })} note="well for so long" />
            <SelectField<NoData>
              name="Without data"
              value={draft.noData}
              onPick={(noData) => set({ noData })}
              options={[
                { value: "ok", name: "it is well" },
                { value: "alert", name: "it is a breach" },
                { value: "keep", name: "it stays as it was" },
                { value: "ignore", name: "it is not judged" },
              ]}
            />
            <SelectField<Severity>
              name="Severity"
              value={draft.severity}
              onPick={(severity) => set({ severity })}
              options={[
                { value: "critical", name: "critical" },
                { value: "warning", name: "warning" },
              ]}
            />
          </div>
          <div class="form-group">
            <h3>Who is told</h3>
            {channels.length === 0 ? (
              <p class="muted form-wide">
                There is no channel yet. <a href={href("alerts", { tab: "channels" })}>Add one</a>
              </p>
            ) : (
              <div class="form-wide rule-channels">
                {channels.map((name) => (
                  <label key={name}>
                    <input type="checkbox" checked={draft.channels.includes(name)} onChange={() => set({ channels: draft.channels.includes(name) ? draft.channels.filter((one) => one !== name) : [...draft.channels, name] })} />
                    {name}
                  </label>
                ))}
              </div>
            )}
            <TextField name="Labels" value={draft.labels} onInput={(labels) => set({ labels })} placeholder="team=search" note="Added to its alerts" />
            <TextField name="Note" value={draft.note} onInput={(note) => set({ note })} note="What to do then" />
          </div>
          <CheckField name="Enabled" checked={draft.enabled} onPick={(enabled) => set({ enabled })} />
          <FormError error={error} />
          {wrong && <p class="field-error form-wide">{wrong}</p>}
          <div class="form-end">
            <a class="btn btn-outline" href={href("alerts", { tab: "rules" })}>
              Cancel
            </a>
            <Button look="primary" type="submit" disabled={busy || rule === null}>
              {id ? "Save" : "Add"}
            </Button>
          </div>
        </form>
      </Card>
      <BackTest rule={tryRule(tried).rule} />
    </div>
  );
}
