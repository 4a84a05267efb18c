/** Who is told of alerts, and what became of the messages. Secrets can be set here, never read. */
import { useState } from "preact/hooks";
import { deleteChannel, listChannels, listNotifications, testChannel } from "../../api/calls";
import type { ChannelItem } from "../../api/client";
import { formatDuration, formatFull, formatWhen, plural } from "../../state/format";
import { Await, State } from "../../ui/figures";
import { FigureTable } from "../../ui/FigureTable";
import { useSave } from "../../ui/form";
import { Button, Dialog } from "../../ui/kit";
import { Managed } from "../../ui/Managed";
import { useLoad } from "../../ui/useLoad";
import { ChannelForm } from "./ChannelForm";
import { When } from "./parts";

export function Channels() {
  const [shown, setShown] = useState<ChannelItem | null>(null);
  return (
    <>
      <Managed<ChannelItem>
        title="Channels"
        note="Rules name the channels that are told"
        add="Add a channel"
        load={listChannels}
        empty="No channel yet: alerts are listed here, and nobody is told."
        form={(channel, close, saved) => <ChannelForm channel={channel} onClose={close} onSaved={saved} />}
        removal={(channel) => ({ title: `Delete the channel ${channel.name}?`, words: "What it was still to be told is dropped.", act: () => deleteChannel(channel.id) })}
      >
        {(channels, { edit, remove }) => (
          <ul class="channels">
            {channels.map((channel) => (
              <Channel key={channel.id} channel={channel} onEdit={() => edit(channel)} onRemove={() => remove(channel)} onMessages={() => setShown(channel)} />
            ))}
          </ul>
        )}
      </Managed>
      {shown && <Messages channel={shown} onClose={() => setShown(null)} />}
    </>
  );
}

function Channel({ channel, onEdit, onRemove, onMessages }: { channel: ChannelItem; onEdit: () => void; onRemove: () => void; onMessages: () => void }) {
  const [result, setResult] = useState<{ delivered: boolean; error: string; took_ms: number } | null>(null);
  const { save: test, error, busy } = useSave(() => testChannel(channel.id), setResult);
  const { deliveries } = channel;
  return (
    <li class="channel">
      <div class="item-head">
        <h3 class="ellipsis">{channel.name}</h3>
        <span class="chip">{channel.type}</span>
        {channel.managed_by === "file" && <span class="chip">from a file</span>}
        {!channel.enabled && <span class="chip chip-warn">off</span>}
        <span class="muted ellipsis">{channel.target}</span>
        <span class="grow" />
        <Button look="outline" onClick={() => void test()} disabled={busy}>
          {busy ? "Sending…" : "Send a test"}
        </Button>
        <Button look="outline" onClick={onMessages}>
          Messages
        </Button>
        <Button icon="edit" label={`Change ${channel.name}`} onClick={onEdit} />
        <Button icon="trash" label={`Delete ${channel.name}`} onClick={onRemove} />
      </div>
      <p class="channel-facts num">
        <span>{plural(deliveries.delivered, "message")} delivered</span>
        {deliveries.waiting > 0 && <span>{deliveries.waiting} waiting</span>}
        {deliveries.failed > 0 && <span class="error-text">{deliveries.failed} given up</span>}
        {deliveries.last_delivered_at && (
          <span class="muted">
            last <When at={deliveries.last_delivered_at} />
          </span>
        )}
        <span class="muted">{Object.keys(channel.secrets).length ? `${Object.keys(channel.secrets).join(", ")} set` : "no secret set"}</span>
      </p>
      {deliveries.last_error && (
        <p class="error-text small reason">
          {deliveries.last_error} <When at={deliveries.last_error_at} />
        </p>
      )}
      <p role="status" class="small">
        {result && (result.delivered ? <State look="ok">The test was delivered in {formatDuration(result.took_ms)}</State> : <State look="error">The test failed: {result.error}</State>)}
        {error && <State look="error">{error.message}</State>}
      </p>
    </li>
  );
}

const LOOKS = { delivered: "ok", waiting: "off", failed: "error" } as const;

function Messages({ channel, onClose }: { channel: ChannelItem; onClose: () => void }) {
  const found = useLoad(channel.id, (signal) => listNotifications(channel.id, signal));
  return (
    <Dialog title={`Messages to ${channel.name}`} onClose={onClose}>
      <Await of={found}>
        {(list) =>
          list.items.length === 0 ? (
            <p class="muted">None yet.</p>
          ) : (
            <FigureTable heads={["When", "What", "State", { end: "Tries" }]}>
              {list.items.map((message) => (
                <tr key={message.id}>
                  <th scope="row">
                    <time title={formatFull(message.created_at)}>{formatWhen(message.created_at)}</time>
                  </th>
                  <td>
                    {plural(message.alerts, "alert")} {message.status}
                    {message.repeat && " (again)"}
                  </td>
                  <td class="wrap">
                    <State look={LOOKS[message.state]}>{message.state}</State>
                    {message.error && <p class="error-text small reason">{message.error}</p>}
                  </td>
                  <td class="end">{message.attempts}</td>
                </tr>
              ))}
            </FigureTable>
          )
        }
      </Await>
    </Dialog>
  );
}
