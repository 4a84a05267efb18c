/** How to send the first span, and whether it has arrived. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { createKey, getIngest, listTraces } from "../../api/calls";
import { ApiError, apiRoot, type IngestReply, type TraceItem } from "../../api/client";
import { href, place, setParams } from "../../router";
import { formatAgo, formatExact, plural } from "../../state/format";
import { FormError, useSave } from "../../ui/form";
import { useTitle } from "../../ui/hooks";
import { Icon } from "../../ui/icons";
import { Button, CopyButton, Tabs } from "../../ui/kit";
import { Code } from "./Code";
import { freshIds, rejectionHint, snippets } from "./snippets";
import "../../styles/setup.css";

const POLL_MS = 1500;

interface Arrivals {
  ingest: IngestReply | null;
  newest: TraceItem | null;
  /** Set while the server does not answer. */
  lost: boolean;
}

/** Asks again and again what has arrived, while the page is in view. */
function useArrivals(): Arrivals {
  const [state, setState] = useState<Arrivals>({ ingest: null, newest: null, lost: false });
  useEffect(() => {
    const abort = new AbortController();
    let timer = 0;
    let allowed = true;
    const ask = async () => {
      try {
        const [ingest, list] = await Promise.all([
          allowed ? getIngest(abort.signal).catch(forbidden) : null,
          listTraces({ q: "", sort: "", limit: 1 }, abort.signal),
        ]);
        setState({ ingest, newest: list.items[0] ?? null, lost: false });
      } catch {
        if (!abort.signal.aborted) setState((old) => ({ ...old, lost: true }));
      }
    };
    // A project's key does not open the server's counters; the list of traces tells enough then.
    const forbidden = (error: unknown) => {
      if (!(error instanceof ApiError) || error.status !== 403) throw error;
      allowed = false;
      return null;
    };
    const loop = async () => {
      if (!document.hidden) await ask();
      if (!abort.signal.aborted) timer = window.setTimeout(loop, POLL_MS);
    };
    void loop();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, []);
  return state;
}

export function SetupPage({ keysRequired, admin }: { keysRequired: boolean; admin: boolean }) {
  useTitle("Setup");
  const arrivals = useArrivals();
  const [now] = useState(() => Date.now());
  const ids = useMemo(freshIds, []);
  // A new key is shown this once: it lives no longer than this page.
  const [secret, setSecret] = useState("");
  const endpoint = apiRoot.replace(/\/$/, "");
  const all = snippets(endpoint, keysRequired, ids, now);
  const chosen = all.find((one) => one.id === place.value.params.get("way")) ?? all[0];
  return (
    <div class="setup">
      <div class="setup-main">
        <h1>Send your first trace</h1>
        <p class="setup-lead">
          Spanhouse listens for OpenTelemetry on <code>{endpoint}</code>
          <CopyButton text={endpoint} label="Copy the address" />
        </p>
        <Tabs label="Ways to send" panelId="setup-panel" tabs={all.map(({ id, name }) => ({ id, name }))} active={chosen.id} onPick={(id) => setParams({ way: id === "python" ? undefined : id }, { replace: true })} />
        <div id="setup-panel" role="tabpanel" aria-labelledby={`setup-panel-${chosen.id}`} class="setup-steps">
          {keysRequired && <KeyNote admin={admin} made={secret !== ""} onMade={setSecret} />}
          {chosen.steps.map((step, index) => (
            <section key={step.title} class="step">
              <h2>
                <span class="step-number num">{index + 1}</span>
                {step.title}
              </h2>
              {step.note && <p class="step-note">{step.note}</p>}
              <Code code={secret ? step.code.replaceAll("YOUR_KEY", secret) : step.code} language={step.language} />
            </section>
          ))}
        </div>
        <section class="setup-demo">
          <h2>Only want to look around?</h2>
          <p>This sends the traffic of a small sample application, without any key or network:</p>
          <Code code={`.venv/bin/spanhouse demo${endpoint === "http://127.0.0.1:4318" ? "" : ` --endpoint ${endpoint}`}`} language="shell" />
        </section>
      </div>
      <Status {...arrivals} />
    </div>
  );
}

/** What to do about the key that this server asks for; an admin makes one on the spot. */
function KeyNote({ admin, made, onMade }: { admin: boolean; made: boolean; onMade: (secret: string) => void }) {
  const { save, error, busy } = useSave(() => createKey("setup"), (key) => onMade(key.secret));
  return (
    <div class="setup-key">
      <span>{made ? "The new key is in the code below. It is not shown again, so copy it now." : `This server asks for keys: put one in place of YOUR_KEY${admin ? ", or" : "."}`}</span>
      {admin && !made && (
        <Button look="outline" icon="plus" disabled={busy} onClick={save}>
          Make one
        </Button>
      )}
      <FormError error={error} />
    </div>
  );
}

function Status({ ingest, newest, lost }: Arrivals) {
  const received = ingest?.received_spans ?? 0;
  const some = received > 0 || newest !== null;
  const rejected = Object.entries(ingest?.rejected ?? {}).filter(([, count]) => count > 0);
  const waiting = ingest ? Math.max(0, ingest.spool.requests) : 0;
  return (
    <aside class="arrivals" aria-label="What has arrived">
      <div class={`arrivals-card${some ? " arrivals-some" : ""}${lost ? " arrivals-lost" : ""}`} role="status">
        <span class="beacon" aria-hidden="true">
          {lost ? <Icon name="error" size={18} /> : some ? <Icon name="check" size={18} /> : null}
        </span>
        {lost ? (
          <div>
            <p class="arrivals-title">The server does not answer</p>
            <p class="muted">Is it still running? This page keeps asking.</p>
          </div>
        ) : some ? (
          <div>
            <p class="arrivals-title num">{ingest ? `Received ${plural(received, "span")}` : "Receiving"}</p>
            {ingest && (
              <p class="muted num">
                {formatExact(ingest.stored_spans)} stored{waiting > 0 ? `, ${plural(waiting, "request")} on the way` : ""}
              </p>
            )}
          </div>
        ) : (
          <div>
            <p class="arrivals-title">Waiting for the first span…</p>
            <p class="muted">It shows here the moment it arrives.</p>
          </div>
        )}
      </div>
      {newest && (
        <a class="arrivals-trace" href={href("trace", { id: newest.trace_id })}>
          <span class="muted">Newest trace, {formatAgo(newest.start_time)}</span>
          <b class="ellipsis">{newest.name || "(no name)"}</b>
          {newest.input_preview && <span class="ellipsis muted">{newest.input_preview}</span>}
        </a>
      )}
      {some && (
        <a class="btn btn-primary btn-wide" href={href("traces")}>
          Open the traces
        </a>
      )}
      {rejected.length > 0 && (
        <section class="rejected">
          <h2>
            <Icon name="warning" size={14} /> Rejected
          </h2>
          <ul>
            {rejected.map(([reason, count]) => (
              <li key={reason}>
                <p>
                  <b class="num">{formatExact(count)}</b> {reason.replace(/_/g, " ")}
                </p>
                <p class="muted">{rejectionHint(reason)}</p>
              </li>
            ))}
          </ul>
        </section>
      )}
      {!some && !lost && (
        <section class="setup-hints">
          <h2>Nothing arrives?</h2>
          <ul>
            <li>A short program must flush before it ends. The SDK does so at exit; elsewhere call the provider's shutdown.</li>
            <li>In a container, 127.0.0.1 is the container itself: use the host's name.</li>
            <li>
              gRPC exporters use port 4317, HTTP ones 4318 and the path <code>/v1/traces</code>.
            </li>
          </ul>
        </section>
      )}
    </aside>
  );
}
