/** Making or changing a channel. A secret that is left empty stays as it is. */
import { useState } from "preact/hooks";
import { saveChannel } from "../../api/calls";
import type { ChannelInput, ChannelItem } from "../../api/client";
import { CheckField, FormDialog, SelectField, TextField } from "../../ui/form";
import { SETTINGS, setUp, typedOf } from "./channels";
import { readSeconds, writeSeconds } from "./rules";

export function ChannelForm({ channel, onClose, onSaved }: { channel: ChannelItem | null; onClose: () => void; onSaved: () => void }) {
  const [name, setName] = useState(channel?.name ?? "");
  const [type, setType] = useState(channel?.type ?? "webhook");
  const [typed, setTyped] = useState<Record<string, string>>(channel ? typedOf(channel.type, channel.options) : {});
  const [groupBy, setGroupBy] = useState((channel?.group_by ?? ["alertname"]).join(", "));
  const [wait, setWait] = useState(writeSeconds(channel?.group_wait_s ?? 30));
  const [interval, setInterval] = useState(writeSeconds(channel?.group_interval_s ?? 300));
  const [repeat, setRepeat] = useState(writeSeconds(channel?.repeat_interval_s ?? 14_400));
  const [resolved, setResolved] = useState(channel?.send_resolved ?? true);
  const [enabled, setEnabled] = useState(channel?.enabled ?? true);
  const seconds = (text: string, field: string) => {
    const found = readSeconds(text);
    if (found === null) throw new Error(`${field}: “${text}” is no time; write 30s, 5m or 4h`);
    return found;
  };
  const body = (): ChannelInput => ({
    name: name.trim(),
    type,
    ...setUp(type, typed),
    group_by: groupBy.split(",").map((one) => one.trim()).filter(Boolean),
    group_wait_s: seconds(wait, "Waits for others"),
    group_interval_s: seconds(interval, "Pause"),
    repeat_interval_s: seconds(repeat, "Says it again after"),
    send_resolved: resolved,
    enabled,
    managed_by: channel?.managed_by === "file" ? "file" : "",
  });
  const kept = (secret: string) => channel !== null && channel.type === type && channel.secrets[secret] === "set";
  return (
    <FormDialog title={channel ? "Change the channel" : "Add a channel"} doing={channel ? "Save" : "Add"} act={() => saveChannel(channel?.id ?? "", body())} said={channel ? "Channel changed" : "Channel added"} onClose={onClose} onDone={onSaved}>
      <TextField name="Name" value={name} onInput={setName} required placeholder="on-call" />
      <SelectField
        name="Type"
        value={type}
        onPick={(next) => {
          setType(next);
          setTyped({});
        }}
        options={Object.keys(SETTINGS).map((one) => ({ value: one, name: one }))}
      />
      <div class="form-group">
        <h3>Where to</h3>
        {(SETTINGS[type] ?? []).map((setting) =>
          setting.kind === "choice" ? (
            <SelectField key={setting.name} name={setting.label} value={typed[setting.name] ?? setting.options![0]} options={setting.options!.map((value) => ({ value, name: value }))} onPick={(value) => setTyped({ ...typed, [setting.name]: value })} note={setting.note} />
          ) : (
            <TextField
              key={`${type}${setting.name}`}
              name={setting.label}
              type={setting.secret ? "password" : setting.kind === "number" ? "number" : "text"}
              value={typed[setting.name] ?? ""}
              onInput={(value) => setTyped({ ...typed, [setting.name]: value })}
              placeholder={setting.secret && kept(setting.name) ? "set; empty keeps it" : setting.placeholder}
              required={setting.required && !kept(setting.name)}
              note={setting.secret ? (setting.note ?? "Stored encrypted, never shown again") : setting.note}
              wide={setting.name === "url" || setting.kind === "list"}
            />
          ),
        )}
      </div>
      <div class="form-group">
        <h3>When</h3>
        <TextField name="One message for alerts with the same" value={groupBy} onInput={setGroupBy} wide />
        <TextField name="Waits for others" value={wait} onInput={setWait} />
        <TextField name="Pause between changes" value={interval} onInput={setInterval} />
        <TextField name="Says it again after" value={repeat} onInput={setRepeat} />
      </div>
      <CheckField name="Tells when alerts end" checked={resolved} onPick={setResolved} />
      <CheckField name="Enabled" checked={enabled} onPick={setEnabled} />
    </FormDialog>
  );
}
